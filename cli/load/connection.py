"""One HTTP/1.1 connection of a load: a request at a time, at a small part of a full client's cost.

A generator that shares its machine with the service must not take the CPU it measures, and it has to know when a request
has left: only then may a cancelled one be cut off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from cli.load.outcome import Answer

if TYPE_CHECKING:
    from ssl import SSLContext

    from cli.service_url import ServiceUrl


class ConnectionFailed(Exception):
    """No HTTP answer came: refused, reset, closed half-way, or not HTTP."""


class LoadConnection(asyncio.Protocol):
    """A connection to the service, made by `connect`.

    Attributes:
        reusable: whether another request may follow.
        idle_since: the loop's time in seconds at which the last answer ended.
    """

    def __init__(self) -> None:
        self.reusable = False
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []

    @classmethod
    async def connect(cls, url: ServiceUrl, tls: SSLContext | None) -> LoadConnection:
        """Open a connection.

        Raises:
            ConnectionFailed: nothing listens there.
        """
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(cls, url.host, url.port, ssl=tls)
        except OSError as error:
            raise ConnectionFailed(str(error)) from error
        return connection

    async def exchange(self, request: bytes, *, close_after: float | None = None) -> Answer | None:
        """Send a whole request and wait for its answer; None when `close_after` seconds passed first and the connection was closed.

        Raises:
            ConnectionFailed: the connection ended before the answer did.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionFailed("the connection is closed")
        self.reusable = False
        self._answer = self._loop.create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(close_after):
                return await self._answer
        except TimeoutError:
            return None
        finally:
            self._answer = None
            if not self.reusable:
                self.close()

    def close(self) -> None:
        """Close the connection; what has been written still leaves."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came; text that is not HTTP ends the exchange."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionFailed(f"the answer is not HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """End an exchange that is still open."""
        self.reusable = False
        self._fail(ConnectionFailed(str(error or "the connection was closed before the answer")))

    def on_message_begin(self) -> None:
        """Begin an answer."""
        self._body.clear()

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Hand over the answer; `100 Continue` and its kind are none."""
        status = self._parser.get_status_code()
        if status >= 200 and self._answer is not None and not self._answer.done():
            # An answer that came before its request had left: the rest would stand before the next request.
            left = self._transport is not None and not self._transport.get_write_buffer_size()
            self.reusable = left and self._parser.should_keep_alive()
            self.idle_since = self._loop.time()
            self._answer.set_result(Answer(status, b"".join(self._body)))

    def _fail(self, error: ConnectionFailed) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
