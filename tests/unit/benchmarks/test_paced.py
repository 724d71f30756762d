"""Requests at a pace, against a server of a few lines."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from benchmarks.keep_alive import BadAnswerError
from benchmarks.paced import send_paced, time_paced

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers with `answer` at once, but the request `held` only when `release` is set; counts connections and requests."""

    def __init__(self, answer: bytes = OK, *, held: int | None = None) -> None:
        self.answer, self.held = answer, held
        self.release = asyncio.Event()
        self.requests = self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                number = self.requests
                self.requests += 1
                if number == self.held:
                    await self.release.wait()
                elif self.held is not None:
                    self.release.set()
                writer.write(self.answer)
                if not self.answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # Cancelled when the loop of the test ends.
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server):
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def test_requests_are_sent_when_they_are_due_and_not_before():
    """Twenty at two hundred a second take nineteen pauses of five milliseconds."""
    server = Server()
    async with serving(server) as port:
        begun = time.monotonic()
        answered = await send_paced(port, [REQUEST] * 20, rate=200.0, connections=2)
        assert time.monotonic() - begun >= 19 / 200
    assert (len(answered), server.requests, server.connections) == (20, 20, 2)
    assert all(each.seconds > 0 for each in answered)
    assert [each.at for each in answered] == sorted(each.at for each in answered)


async def test_one_that_is_not_answered_holds_up_no_other():
    """Its own answer is what the second one waits for here."""
    async with serving(Server(held=0)) as port:
        answered = await send_paced(port, [REQUEST] * 2, rate=1000.0, connections=2)
    assert len(answered) == 2


async def test_the_wait_for_a_connection_counts():
    """Of three that are due at once the first is held for 50 ms; the others cannot be sent before, and are as late."""
    server = Server(held=0)
    asyncio.get_running_loop().call_later(0.05, server.release.set)
    async with serving(server) as port:
        answered = await send_paced(port, [REQUEST] * 3, rate=1e9, connections=1)
    assert all(each.seconds > 0.03 for each in answered)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (OK.replace(b"200 OK", b"503 Service Unavailable"), "503"),
        (OK.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"), "chunked"),
        (b"", "closed"),
    ],
)
async def test_an_answer_that_is_not_200_with_a_length_ends_the_measurement(answer, said):
    """What was measured would be something else; the error quotes it."""
    async with serving(Server(answer)) as port:
        with pytest.raises(BadAnswerError, match=said):
            await send_paced(port, [REQUEST] * 3, rate=1000.0, connections=1)


def test_calls_are_made_in_their_order_when_they_are_due():
    """Their own time alone is measured, not the pause before them."""
    seen: list[bytes] = []
    begun = time.monotonic()
    seconds = time_paced(seen.append, [b"a", b"b", b"c"], rate=20.0)
    assert time.monotonic() - begun >= 2 / 20
    assert seen == [b"a", b"b", b"c"]
    assert len(seconds) == 3
    assert sum(seconds) < 2 / 20
