"""One question over HTTP."""

from __future__ import annotations

import socket

import pytest

from cli.stack.probe import Probe


def answering(status):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.mark.parametrize(("status", "accepted", "ready"), [(200, (200,), True), (503, (200,), False), (401, (401,), True)])
def test_a_status_means_ready_or_not(serve_app, status, accepted, ready):
    """Only those that are accepted."""
    url = f"{serve_app(answering(status))}/ready"
    assert Probe(url=url, accepted=accepted).ask() == (None if ready else f"{url} answers {status}")


def test_nobody_there_is_not_ready():
    """With the reason."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert Probe(url=url).ask() == f"{url} does not answer (Connection refused)"


def test_who_accepts_and_never_answers_is_not_ready():
    """Within the timeout, by TLS too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "does not answer (timed out)" in Probe(url=f"http://127.0.0.1:{port}").ask(timeout=0.05)
        assert "does not answer" in Probe(url=f"https://127.0.0.1:{port}").ask(timeout=0.05)
