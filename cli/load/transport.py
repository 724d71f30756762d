"""How the requests of a load reach the service: a Protocol, and HTTP over connections of our own."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Protocol

from cli.load.connection import LoadConnection

if TYPE_CHECKING:
    from cli.load.outcome import Answer
    from cli.load.request import LoadRequest
    from cli.service_url import ServiceUrl

IDLE_LIMIT = 2.0
"""Seconds; a server may close a connection that was idle longer (uvicorn: 5 s), just as the next request is on its way."""


class Transport(Protocol):
    """Sends one request of a load."""

    async def send(self, request: LoadRequest) -> Answer | None:
        """Send a request on a connection of its own time and wait; None when it was cut off after `close_after`.

        Raises:
            ConnectionFailed: no HTTP answer came.
        """
        ...


class HttpTransport:
    """HTTP/1.1 with kept-alive connections, as many as there are requests in flight.

    A request is never sent twice: one that fails on a kept connection fails, since the service may have seen it.
    """

    def __init__(self, url: ServiceUrl, *, api_key: str | None = None) -> None:
        self._url = url
        self._tls = ssl.create_default_context() if url.tls else None
        self._key = f"Authorization: Bearer {api_key}\r\n" if api_key else ""
        self._idle: list[LoadConnection] = []

    async def send(self, request: LoadRequest) -> Answer | None:
        """Send on the connection that was used last, or on a new one."""
        connection = self._kept() or await LoadConnection.connect(self._url, self._tls)
        answer = await connection.exchange(self._bytes(request), close_after=request.close_after)
        if connection.reusable:
            self._idle.append(connection)
        return answer

    async def probe(self) -> None:
        """See whether anything listens; nothing is sent.

        Raises:
            ConnectionFailed: nothing listens at the address.
        """
        (await LoadConnection.connect(self._url, self._tls)).close()

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> LoadConnection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.idle_since < IDLE_LIMIT:
                return connection
            connection.close()
        return None

    def _bytes(self, request: LoadRequest) -> bytes:
        head = (
            f"POST {self._url.prefix}{request.path} HTTP/1.1\r\n"
            f"Host: {self._url.authority}\r\n"
            "Accept: application/json\r\n"
            f"Content-Type: {request.content_type}\r\n"
            f"Content-Length: {len(request.body)}\r\n"
            f"X-Request-ID: {request.request_id}\r\n"
            f"{self._key}\r\n"
        )
        return head.encode("latin-1") + request.body
