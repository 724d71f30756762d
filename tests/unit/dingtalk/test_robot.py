"""One call of a robot, over real sockets."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dingtalk.answer import Outcome
from dingtalk.clock import Clock
from dingtalk.config import Robot
from dingtalk.part import Part
from dingtalk.robot import RobotClient, robot_http_client

NOW = 1_800_000_000.0
PART = Part(title="标题", text="正文")


@contextmanager
def serving(respond):
    """A server whose every POST is answered by `respond(handler, body)`; gives its address and the calls it got."""
    calls = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            calls.append((self.path, self.headers["content-type"], body))
            respond(self)

        do_GET = do_POST  # noqa: N815 -- named by the library

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/robot/send", calls
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answering(status=200, body=b'{"errcode":0,"errmsg":"ok"}', date=NOW, **headers):
    def respond(handler):
        handler.send_response_only(status)
        handler.send_header("Content-Length", str(len(body)))
        if date is not None:
            handler.send_header("Date", formatdate(date, usegmt=True))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def robot(url, **values):
    return Robot(name="r1", token="very-secret-token", url=url, **values)


async def send(url, *, now=NOW, timeout=5.0, **values):
    async with robot_http_client(timeout=timeout) as http:
        client = RobotClient(http, clock=Clock(unix=lambda: now), timeout=timeout)
        return await client.send(robot(url, **values), PART, "uuid-1")


async def test_a_message_is_posted_as_dingtalk_wants_it():
    """UTF-8 JSON with the msgUuid; the token in the address, the signature encoded once."""
    with serving(answering()) as (url, calls):
        answer = await send(url, secret="SEC1")
    ((path, content_type, body),) = calls
    assert answer.outcome is Outcome.DELIVERED
    assert content_type == "application/json; charset=utf-8"
    assert json.loads(body)["msgUuid"] == "uuid-1"
    assert "正文".encode() in body
    assert "access_token=very-secret-token" in path
    assert "timestamp=1800000000000" in path
    assert "sign=" in path
    assert "%25" not in path


async def test_a_robot_without_a_secret_is_called_without_a_signature():
    """Keyword or address list is its security then."""
    with serving(answering()) as (url, calls):
        await send(url)
    assert "sign" not in calls[0][0]


async def test_the_redirect_of_a_silenced_robot_is_not_followed():
    """Its page would look like success."""
    with serving(answering(302, b"", Location="/page")) as (url, calls):
        answer = await send(url)
    assert answer.outcome is Outcome.THROTTLED
    assert len(calls) == 1


@pytest.mark.parametrize(("ahead", "skew"), [(0.0, 0.0), (0.9, 0.0), (100.5, 99.5), (-100.0, -100.0)])
async def test_the_clocks_are_compared(ahead, skew):
    """By the Date header, which has whole seconds."""
    with serving(answering(date=NOW)) as (url, _):
        assert (await send(url, now=NOW + ahead)).clock_skew == pytest.approx(skew)


async def test_a_date_that_is_none_is_not_compared():
    """Nor one that is missing."""
    with serving(answering(date=None)) as (url, _):
        assert (await send(url)).clock_skew is None
    with serving(answering(date=None, Date="yesterday")) as (url, _):
        assert (await send(url)).clock_skew is None


async def test_a_connection_that_is_refused_sent_nothing():
    """So another robot may send it."""
    with serving(answering()) as (url, _):
        pass
    answer = await send(url)
    assert (answer.outcome, answer.ambiguous) == (Outcome.RETRY, False)


async def test_a_connection_that_breaks_may_have_sent_it():
    """So it is repeated at the same robot."""

    def hang_up(handler):
        handler.connection.close()

    with serving(hang_up) as (url, calls):
        answer = await send(url)
    assert (answer.outcome, answer.ambiguous) == (Outcome.RETRY, True)
    assert len(calls) == 1


async def test_an_answer_that_does_not_come_may_come_late():
    """The whole call has one deadline."""
    release = threading.Event()

    def wait(handler):
        release.wait(10)

    with serving(wait) as (url, _):
        answer = await send(url, timeout=0.2)
        release.set()
    assert (answer.outcome, answer.ambiguous) == (Outcome.RETRY, True)


async def test_an_endless_answer_is_cut():
    """What is read of it is enough to judge it."""
    with serving(answering(200, b"<" + b"x" * 1_000_000)) as (url, _):
        assert (await send(url)).outcome is Outcome.THROTTLED


async def test_the_token_is_in_no_log_and_no_answer(caplog):
    """Whatever happens."""
    caplog.set_level(logging.DEBUG)
    answers = []
    for respond in (answering(), answering(500), lambda handler: handler.connection.close()):
        with serving(respond) as (url, _):
            answers.append(await send(url, secret="SEC-very-secret"))
        answers.append(await send(url))
    assert "very-secret" not in caplog.text
    assert "very-secret" not in repr(answers)
    assert "very-secret" not in repr(robot("https://oapi.dingtalk.com/robot/send", secret="SEC-very-secret"))


async def test_certificates_are_verified():
    """A robot behind a certificate that nobody vouches for gets nothing."""
    import ssl

    import trustme

    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server_side)
    with serving(answering()) as (_, calls):
        pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = server_side.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *args: None
    thread = threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        answer = await send(f"https://127.0.0.1:{server.server_address[1]}/robot/send")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert (answer.outcome, answer.ambiguous) == (Outcome.RETRY, False)
    assert calls == []
