"""A client on raw keep-alive connections, each of which sends its next request as soon as it has its answer.

Bare asyncio protocols, so that the machine's time goes to the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class BadAnswerError(Exception):
    """An answer was not 200, or broke off; what was measured would be something else."""


def match_requests(pairs: Sequence[tuple[str, str]]) -> list[bytes]:
    """A `POST /v1/match` for each pair, as it goes over the wire; without a request id, as most callers send it."""
    bodies = [json.dumps({"address1": first, "address2": second}, ensure_ascii=False).encode() for first, second in pairs]
    return [
        b"POST /v1/match HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    ]


class KeepAliveClient:
    """An asynchronous context manager, inside of which its connections are open.

    Args:
        port: of a server on 127.0.0.1.
        connections: that are open at once.
    """

    def __init__(self, port: int, *, connections: int) -> None:
        self._port = port
        self._connections = [_Connection() for _ in range(connections)]

    async def __aenter__(self) -> Self:
        """Open all connections.

        Raises:
            OSError: nobody listens.
        """
        for connection in self._connections:
            await connection.open(self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        for connection in self._connections:
            connection.close()

    async def send(self, requests: Sequence[bytes], *, total: int, timeout: float) -> None:  # noqa: ASYNC109 -- a bound of a measurement
        """Send `total` requests in turn, one at a time on each connection, and wait for all answers.

        Args:
            requests: sent one after the other, again from the first after the last.
            total: how many, at least one.
            timeout: seconds for all of it.

        Raises:
            BadAnswerError: an answer was not 200, has no length, or the server closed a connection, now or since the last call.
            TimeoutError: it took longer.
        """
        load = _Load(islice(cycle(requests), total), total, asyncio.get_running_loop().create_future())
        for connection in self._connections:
            connection.begin(load)
        async with asyncio.timeout(timeout):
            await load.done


@dataclass(slots=True)
class _Load:
    """What all connections share: the requests still to send, the answers still to come, and the end."""

    requests: Iterator[bytes]
    missing: int
    done: asyncio.Future[None]

    def answered(self) -> None:
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(BadAnswerError(reason))


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""
        self._load: _Load | None = None
        self._transport: asyncio.Transport | None = None

    async def open(self, port: int) -> None:
        self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def begin(self, load: _Load) -> None:
        self._load = load
        self._send_next(load)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0 or self._load is None:
            return
        head = self._received[: head_end + 2]
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or length is None or status[1] != b"200":
            self._load.fail(f"instead of an answer: {self._received[:300]!r}")
        elif len(self._received) >= head_end + 4 + int(length[1]):
            self._received = b""
            self._load.answered()
            self._send_next(self._load)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._load is not None:
            self._load.fail(f"the server closed a connection ({exc or 'without an error'})")

    def _send_next(self, load: _Load) -> None:
        if self._transport is None:
            load.fail("the server closed a connection that was to be kept")
            return
        request = next(load.requests, None)
        if request is not None:
            self._transport.write(request)
