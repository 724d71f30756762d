"""The load client, against a server of a few lines."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from benchmarks.keep_alive import BadAnswerError, KeepAliveClient, match_requests

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Answers each request of `Content-Length` with the next of `answers`, the last one for ever; in pieces of so many bytes."""

    def __init__(self, *answers: bytes, piece: int = 65_536) -> None:
        self.answers = list(answers)
        self.piece = piece
        self.bodies: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                self.bodies.append(await reader.readexactly(length))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                for start in range(0, len(answer), self.piece):
                    writer.write(answer[start : start + self.piece])
                    await writer.drain()
                if answer == b"":
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server):
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def test_a_request_goes_over_the_wire_with_its_length_in_bytes():
    """A Chinese character has three of them."""
    (request,) = match_requests([("文三路", "b")])
    head, _, body = request.partition(b"\r\n\r\n")
    assert json.loads(body) == {"address1": "文三路", "address2": "b"}
    assert head.split(b"\r\n") == [
        b"POST /v1/match HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Content-Type: application/json",
        b"Content-Length: 42",
    ]


async def test_all_requests_are_sent_in_turn_and_answered():
    """From the first again after the last; not one more than asked for."""
    server = Server(OK)
    async with serving(server) as port, KeepAliveClient(port, connections=1) as client:
        await client.send(match_requests([("a", "b"), ("c", "d")]), total=5, timeout=10.0)
        assert [json.loads(body)["address1"] for body in server.bodies] == ["a", "c", "a", "c", "a"]


async def test_connections_share_the_requests_and_are_kept():
    """Over several calls, so that opening them is no part of what is measured."""
    server = Server(OK)
    async with serving(server) as port, KeepAliveClient(port, connections=4) as client:
        await client.send(match_requests([("a", "b")]), total=50, timeout=10.0)
        await client.send(match_requests([("a", "b")]), total=10, timeout=10.0)
        assert (len(server.bodies), server.connections) == (60, 4)


async def test_more_connections_than_requests_are_no_error():
    """Some of them have nothing to do."""
    server = Server(OK)
    async with serving(server) as port, KeepAliveClient(port, connections=8) as client:
        await client.send(match_requests([("a", "b")]), total=2, timeout=10.0)
        assert len(server.bodies) == 2


async def test_an_answer_may_come_in_pieces():
    """As the network cuts it."""
    server = Server(OK, piece=7)
    async with serving(server) as port, KeepAliveClient(port, connections=1) as client:
        await client.send(match_requests([("a", "b")]), total=3, timeout=10.0)
        assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (OK.replace(b"200 OK", b"503 Service Unavailable"), "503"),
        (OK.replace(b"content-length: 2", b"transfer-encoding: chunked"), "chunked"),
        (b"gibberish\r\n\r\n", "gibberish"),
    ],
)
async def test_an_answer_that_is_not_200_with_a_length_ends_the_measurement(answer, said):
    """What was measured would be something else; the error quotes it."""
    async with serving(Server(OK, answer)) as port, KeepAliveClient(port, connections=1) as client:
        with pytest.raises(BadAnswerError, match=said):
            await client.send(match_requests([("a", "b")]), total=5, timeout=10.0)


async def test_a_server_that_hangs_up_ends_the_measurement():
    """Instead of a wait without end; and so does every later one on these connections."""
    async with serving(Server(b"")) as port, KeepAliveClient(port, connections=2) as client:
        for _ in range(2):
            with pytest.raises(BadAnswerError, match="closed"):
                await client.send(match_requests([("a", "b")]), total=5, timeout=10.0)


async def test_a_server_that_does_not_answer_ends_the_measurement_at_the_timeout():
    """By an error of its own kind."""
    async with serving(Server(b"HTTP/1.1 200 OK\r\n")) as port, KeepAliveClient(port, connections=1) as client:
        with pytest.raises(TimeoutError):
            await client.send(match_requests([("a", "b")]), total=1, timeout=0.05)
