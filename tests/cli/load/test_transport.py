"""HTTP as the load speaks it, against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from cli.load.connection import ConnectionFailed, LoadConnection
from cli.load.mix import Kind
from cli.load.outcome import Answer
from cli.load.request import LoadRequest
from cli.load.transport import IDLE_LIMIT, HttpTransport
from cli.service_url import ServiceUrl

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def request(body: bytes = b"{}", **more) -> LoadRequest:
    return LoadRequest(request_id="load-r-1", kind=Kind.VALID, path="/v1/match", content_type="application/json", body=body, **more)


class Server:
    """Answers each request with the next of the given bytes; b"" closes the connection, None never answers."""

    def __init__(self, *answers: bytes | None):
        self.answers = list(answers)
        self.connections = 0
        self.received: list[bytes] = []
        self.closed = asyncio.Event()

    async def handle(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.received.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    await reader.read()
                    return
                writer.write(answer)
                if not answer.startswith(b"HTTP/1.1") or b"Connection: close" in answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def serving(handle, *, prefix="", api_key=None):
    handlers = set()

    async def tracked(reader, writer):
        handlers.add(asyncio.current_task())
        await handle(reader, writer)
        await writer.wait_closed()

    server = await asyncio.start_server(tracked, "127.0.0.1", 0, limit=2**22)
    url = ServiceUrl.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}")
    transport = HttpTransport(url, api_key=api_key)
    try:
        yield transport
    finally:
        transport.close()
        server.close()
        if handlers:
            _, pending = await asyncio.wait(handlers, timeout=5)
            assert not pending


async def test_a_request_is_sent_whole_and_its_answer_comes_back():
    """With its id, its type, the host, and the prefix of the URL."""
    server = Server(OK)
    async with serving(server.handle, prefix="/mgeo") as transport:
        assert await transport.send(request("甲".encode())) == Answer(200, b"{}")
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /mgeo/v1/match HTTP/1.1"
    assert lines[1].startswith("Host: 127.0.0.1:")
    assert lines[2:] == ["Accept: application/json", "Content-Type: application/json", "Content-Length: 3", "X-Request-ID: load-r-1"]
    assert body.decode() == "甲"


async def test_the_api_key_goes_along():
    """As a bearer token."""
    server = Server(OK)
    async with serving(server.handle, api_key="s3cret") as transport:
        await transport.send(request())
    assert b"\r\nAuthorization: Bearer s3cret\r\n" in server.received[0]


async def test_a_connection_is_used_again():
    """One after the other needs one connection; two at once need two."""
    server = Server(OK, OK, OK, OK)
    async with serving(server.handle) as transport:
        await transport.send(request())
        await transport.send(request())
        assert server.connections == 1
        await asyncio.gather(transport.send(request()), transport.send(request()))
        assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again():
    """The server may be closing it at that very moment."""
    server = Server(OK, OK)
    async with serving(server.handle) as transport:
        await transport.send(request())
        transport._idle[0].idle_since -= IDLE_LIMIT
        await transport.send(request())
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer", [OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"]
)
async def test_a_connection_the_server_closes_is_not_used_again(answer):
    """Whether it says so or is of the old kind."""
    server = Server(answer, OK)
    async with serving(server.handle) as transport:
        assert await transport.send(request()) == Answer(200, b"{}")
        assert await transport.send(request()) == Answer(200, b"{}")
    assert server.connections == 2


async def test_chunked_and_interim_answers_are_understood():
    """`100 Continue` is no answer yet."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    server = Server(interim)
    async with serving(server.handle) as transport:
        assert await transport.send(request()) == Answer(503, b"{}")


@pytest.mark.parametrize("answer", [b"", b"this is not HTTP\r\n\r\n"])
async def test_a_connection_that_ends_without_an_answer_is_a_failure(answer):
    """The request is not sent again: the service may have seen it."""
    server = Server(answer)
    async with serving(server.handle) as transport:
        with pytest.raises(ConnectionFailed):
            await transport.send(request())
    assert (server.connections, len(server.received)) == (1, 1)


async def test_a_kept_connection_that_died_is_replaced():
    """It died while nothing was on its way, so nothing is lost."""
    server = Server(OK, OK)
    async with serving(server.handle) as transport:
        await transport.send(request())
        transport._idle[0].close()
        await asyncio.sleep(0)
        assert await transport.send(request()) == Answer(200, b"{}")
    assert server.connections == 2


async def test_a_closed_connection_cannot_be_used():
    """Nor one that was never opened."""
    with pytest.raises(ConnectionFailed, match="the connection is closed"):
        await LoadConnection().exchange(b"")
    LoadConnection().close()


async def test_a_cancelled_request_reaches_the_server_and_then_goes():
    """The server has read all of it, and sees the connection close."""
    server = Server(None)
    async with serving(server.handle) as transport:
        assert await transport.send(request(b'{"a": 1}', close_after=0.01)) is None
        async with asyncio.timeout(5):
            await server.closed.wait()
    assert server.received[0].endswith(b'{"a": 1}')


async def test_a_cancelled_request_that_is_answered_in_time_has_its_answer():
    """The server was faster."""
    server = Server(OK)
    async with serving(server.handle) as transport:
        assert await transport.send(request(close_after=5.0)) == Answer(200, b"{}")


async def test_an_early_refusal_of_a_large_body_is_an_answer():
    """A server may answer 413 and close before it has read the body; the answer counts, and the connection is not kept."""

    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        while await reader.read(65536):
            pass
        writer.close()

    async with serving(refuse) as transport:
        assert await transport.send(request(b"x" * 3_000_000)) == Answer(413, b"")


async def test_nothing_listening_is_a_failure():
    """Both for a request and for the look before the first one."""
    server = Server()
    async with serving(server.handle) as transport:
        await transport.probe()
        async with asyncio.timeout(5):
            await server.closed.wait()
    with pytest.raises(ConnectionFailed):
        await transport.probe()
    with pytest.raises(ConnectionFailed):
        await transport.send(request())


async def test_an_answer_after_the_end_is_ignored():
    """A server that talks on harms nobody."""
    server = Server(OK + OK, OK)
    async with serving(server.handle) as transport:
        assert await transport.send(request()) == Answer(200, b"{}")
        assert await transport.send(request()) == Answer(200, b"{}")
