"""Requests at a fixed pace, whether or not those before are answered, each timed on its own."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.keep_alive import BadAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

ANSWER_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: seconds it took from the moment it was due, a wait for a connection included, and when it came, since 1970."""

    seconds: float
    at: float


async def send_paced(port: int, requests: Sequence[bytes], *, rate: float, connections: int) -> list[Answered]:
    """Send `rate` requests a second over connections that are kept open, which is no part of the time.

    A server that stands still for a while delays all that is due meanwhile, as it would that of real senders.

    Raises:
        OSError: nobody listens.
        BadAnswerError: an answer was not 200, or broke off.
        TimeoutError: one did not come within `ANSWER_TIMEOUT` seconds.
    """
    free: asyncio.Queue[_Connection] = asyncio.Queue()

    async def one(request: bytes) -> Answered:
        due = time.perf_counter()
        async with asyncio.timeout(ANSWER_TIMEOUT):
            connection = await free.get()
            await connection.ask(request)
        answered = Answered(time.perf_counter() - due, time.time())
        free.put_nowait(connection)
        return answered

    async with AsyncExitStack() as opened:
        for _ in range(connections):
            free.put_nowait(await opened.enter_async_context(_connected(port)))
        tasks: list[asyncio.Task[Answered]] = []
        begun = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                for place, request in enumerate(requests):
                    await asyncio.sleep(begun + place / rate - time.perf_counter())
                    tasks.append(group.create_task(one(request)))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]


def time_paced(act: Callable[[bytes], None], values: Sequence[bytes], *, rate: float) -> list[float]:
    """The seconds that each of the calls takes, made one after the other at such a pace."""
    seconds = []
    begun = time.perf_counter()
    for place, value in enumerate(values):
        time.sleep(max(0.0, begun + place / rate - time.perf_counter()))
        called = time.perf_counter()
        act(value)
        seconds.append(time.perf_counter() - called)
    return seconds


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> None:
        self._writer.write(request)
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            _, found, after = head.partition(b"\r\ncontent-length:")
            if not (head.startswith(b"http/1.1 200 ") and found):
                raise BadAnswerError(f"instead of an answer: {head[:300]!r}")
            await self._reader.readexactly(int(after.partition(b"\r\n")[0]))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise BadAnswerError(f"the server closed a connection ({error})") from error


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[_Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield _Connection(reader, writer)
    finally:
        writer.transport.abort()
