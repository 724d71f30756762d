"""A client on raw keep-alive connections, each of which sends its next request as soon as it has its answer.

Bare asyncio protocols, so that the machine's time goes to the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class BadAnswerError(Exception):
    """An answer was not 200, or broke off; what was measured would be something else."""


@dataclass(frozen=True, slots=True)
class Burst:
    """What the client saw: answers, and the seconds until the last one."""

    answers: int
    seconds: float


def match_requests(pairs: Sequence[tuple[str, str]]) -> list[bytes]:
    """A `POST /v1/match` for each pair, as it goes over the wire; without a request id, as most callers send it."""
    bodies = [json.dumps({"address1": first, "address2": second}, ensure_ascii=False).encode() for first, second in pairs]
    return [
        b"POST /v1/match HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    ]


async def drive(port: int, requests: Sequence[bytes], *, total: int, connections: int, deadline: float) -> Burst:
    """Send `total` requests in turn, at most one at a time on each connection.

    Args:
        port: of a server on 127.0.0.1.
        requests: sent one after the other, again from the first after the last.
        total: answers to wait for, at least one.
        connections: that are open at once.
        deadline: seconds for all of it.

    Raises:
        BadAnswerError: an answer was not 200, has no length, or the server closed a connection.
        TimeoutError: it took longer than `deadline`.
        OSError: nobody listens.
    """
    loop = asyncio.get_running_loop()
    load = _Load(islice(cycle(requests), total), total, loop.create_future())
    opened = [_Connection(load) for _ in range(connections)]
    try:
        async with asyncio.timeout(deadline):
            for connection in opened:
                await connection.open(port)
            begun = loop.time()
            for connection in opened:
                connection.send_next()
            await load.done
        return Burst(answers=total, seconds=loop.time() - begun)
    finally:
        for connection in opened:
            connection.close()


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
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""
        self._transport: asyncio.Transport | None = None

    async def open(self, port: int) -> None:
        self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def send_next(self) -> None:
        request = next(self._load.requests, None)
        if request is not None and self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._received[: head_end + 2]
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or length is None or status[1] != b"200":
            self._load.fail(f"instead of an answer: {self._received[:300]!r}")
        elif len(self._received) >= head_end + 4 + int(length[1]):
            self._received = b""
            self._load.answered()
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(f"the server closed a connection ({exc or 'without an error'})")
