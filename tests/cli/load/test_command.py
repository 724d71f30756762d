"""`mgeo load` against a server of its own."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import threading
import time

import pytest

from cli.load import session
from cli.load.session import allow_open_files
from cli.main import main


class Service:
    """Answers like the service: by what is in the body; keeps what came."""

    def __init__(self, *, slow=0.0, on_request=lambda _: None):
        self.slow = slow
        self.on_request = on_request
        self.ids = []
        self.keys = set()
        self.disconnected = 0

    async def __call__(self, scope, receive, send):
        headers = dict(scope["headers"])
        self.ids.append(headers[b"x-request-id"].decode())
        self.keys.add(headers.get(b"authorization"))
        self.on_request(len(self.ids))
        if int(headers[b"content-length"]) > 1_048_576:
            await self.answer(send, 413, {})
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected += 1
                return
            body += message["body"]
            if not message["more_body"]:
                break
        if self.slow:
            await asyncio.sleep(self.slow)
        status, members = self.judge(scope["path"], headers[b"content-type"], body)
        await self.answer(send, status, members)

    @staticmethod
    def judge(path, content_type, body):
        if content_type != b"application/json":
            return 415, {}
        try:
            members = json.loads(body)
            if path.endswith("/batch"):
                return 200, {"results": [{"label": "exact_match"} for _ in members["pairs"]]}
            first, second = members["address1"], members["address2"]
            (first + second).encode()
        except (ValueError, KeyError, TypeError):
            return 422, {}
        return (200, {"label": "exact_match"}) if first.strip() and second.strip() else (422, {})

    @staticmethod
    async def answer(send, status, members):
        body = json.dumps(members).encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


def test_a_mixed_load_is_counted_as_the_server_saw_it(serve_app, capsys):
    """One JSON object on standard output; every request reached the server once, under its own id."""
    service = Service()
    url = serve_app(service)
    mix = "valid=5,invalid=2,oversized=1,batch=2"
    assert main(["load", "--url", url, "--rate", "200", "--duration", "1s", "--mix", mix, "--batch-size", "4", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    kinds = found["kinds"]
    assert found["sent"] == len(service.ids) == len(set(service.ids)) == sum(kinds.values())
    assert set(service.ids) == {f"load-{found['run']}-{number}" for number in range(found["sent"])}
    assert found["outcomes"]["success"] == kinds["valid"] + kinds["batch"]
    assert found["outcomes"]["invalid"] == kinds["invalid"] + kinds["oversized"]
    assert found["inferences"] == found["sent"] + 3 * kinds["batch"]
    assert found["inferences_by_outcome"]["success"] == kinds["valid"] + 4 * kinds["batch"]
    assert found["not_sent"] == 0
    assert 120 <= found["sent"] <= 290
    assert found["passed"] is True


def test_the_seed_decides_what_is_sent(serve_app, capsys):
    """The same count and kinds again."""
    url = serve_app(Service())
    kinds = []
    for seed in ("3", "3", "4"):
        assert (
            main(["load", "--url", url, "--rate", "150", "--duration", "200ms", "--mix", "valid=1,invalid=1", "--seed", seed, "--json"])
            == 0
        )
        kinds.append(json.loads(capsys.readouterr().out)["kinds"])
    assert kinds[0] == kinds[1]
    assert kinds[0] != kinds[2]


def test_a_slow_server_shows_as_slow_and_fails_its_assertion(serve_app, capsys):
    """Exit code 1, with the term that failed; a server that sleeps 50 ms has no latency below."""
    url = serve_app(Service(slow=0.05))
    assert main(["load", "--url", url, "--rate", "50", "--duration", "500ms", "--assert", "p50<50ms,errors<1%,success=100%"]) == 1
    shown = capsys.readouterr().out
    assert "  FAIL p50<50ms  (" in shown
    assert "  ok   errors<1%  (0.00%)" in shown
    assert "  ok   success=100%  (100.00%)" in shown


def test_a_server_that_works_one_by_one_is_not_spared(serve_app, capsys):
    """At 40 requests a second of 50 ms each, the last wait longest: the median is many times the work of one."""
    lock = asyncio.Lock()

    class Single(Service):
        async def answer(self, send, status, members):
            async with lock:
                await asyncio.sleep(0.05)
                await super().answer(send, status, members)

    url = serve_app(Single())
    assert main(["load", "--url", url, "--rate", "40", "--duration", "1s", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["latency_seconds"]["success"]["max"] >= 0.05 * found["sent"] - 1.0
    assert found["latency_seconds"]["success"]["p50"] > 0.2


def test_cancelled_requests_are_cut_off(serve_app, capsys):
    """The server saw each of them, and the connection close."""
    service = Service(slow=0.5)
    url = serve_app(service)
    assert main(["load", "--url", url, "--rate", "100", "--duration", "300ms", "--mix", "cancelled=1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outcomes"]["cancelled"] == found["sent"] > 5
    deadline = time.monotonic() + 10
    while len(service.ids) < found["sent"]:
        assert time.monotonic() < deadline, f"the server saw {len(service.ids)} of {found['sent']}"
        time.sleep(0.01)


def test_too_few_connections_are_said_and_fail_the_assertions(serve_app, capsys):
    """What was not sent proves nothing."""
    url = serve_app(Service(slow=0.3))
    arguments = ["load", "--url", url, "--rate", "100", "--duration", "300ms", "--connections", "2", "--assert", "errors<1%"]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "NOT SENT" in shown
    assert "  FAIL not_sent=0  (" in shown
    assert main([*arguments[:-1], "errors<1%,not_sent>1"]) == 0


def test_the_key_is_sent(serve_app, monkeypatch, capsys):
    """From MGEO_API_KEY."""
    service = Service()
    url = serve_app(service)
    monkeypatch.setenv("MGEO_API_KEY", "s3cret")
    assert main(["load", "--url", url, "--rate", "50", "--duration", "100ms"]) == 0
    assert service.keys == {b"Bearer s3cret"}
    assert "s3cret" not in capsys.readouterr().out


def test_the_address_may_stand_in_the_environment(serve_app, monkeypatch, capsys, tmp_path):
    """MGEO_URL; and pairs in a file."""
    service = Service()
    monkeypatch.setenv("MGEO_URL", serve_app(service))
    (tmp_path / "pairs.csv").write_text("address1,address2\n甲,乙\n", encoding="utf-8")
    assert main(["load", "--rate", "50", "--duration", "100ms", "--pairs", str(tmp_path / "pairs.csv")]) == 0
    assert service.ids


def test_nothing_answering_is_a_message(capsys):
    """Exit code 1, with what to do; nothing was sent."""
    assert main(["load", "--url", "http://127.0.0.1:9", "--duration", "1s"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mgeo: nothing answers at http://127.0.0.1:9 (")
    assert "start it with `mgeo serve`" in captured.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--url", "http://geo.example"], "add --allow-remote"),
        (["--duration", "30"], "is not a phase"),
        (["--assert", "p95"], "is not an assertion"),
        (["--connections", "100000000"], "use at most"),
    ],
)
def test_a_wrong_option_is_a_wrong_usage(arguments, reason, capsys):
    """Exit code 2, before anything is sent."""
    assert main(["load", *arguments]) == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_ctrl_c_ends_the_sending_and_still_reports(serve_app, capsys):
    """Exit code 130, with the figures so far and a word that it was stopped."""

    def interrupt(count):
        if count == 5:
            os.kill(os.getpid(), signal.SIGINT)

    service = Service(on_request=interrupt)
    before = signal.getsignal(signal.SIGINT)
    assert main(["load", "--url", serve_app(service), "--rate", "50", "--duration", "10m", "--json"]) == 130
    found = json.loads(capsys.readouterr().out)
    assert found["stopped"] is True
    assert found["sent"] == len(service.ids) >= 5
    assert found["duration_seconds"] < 60
    assert signal.getsignal(signal.SIGINT) is before


class Hanging(Service):
    """Never answers; lets go when the client does."""

    async def __call__(self, scope, receive, send):
        await receive()
        self.on_request(1)
        await receive()


def test_a_second_ctrl_c_ends_the_program(serve_app, capsys):
    """When answers do not come: exit code 130, without a report."""

    def interrupt(_):
        first = signal.getsignal(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt_again, args=[first]).start()

    def interrupt_again(first):
        while signal.getsignal(signal.SIGINT) is first:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    url = serve_app(Hanging(on_request=interrupt))
    assert main(["load", "--url", url, "--rate", "1000", "--duration", "10s", "--connections", "1"]) == 130
    assert capsys.readouterr().out == ""


def test_open_files_are_raised_up_to_what_the_system_allows(monkeypatch):
    """The soft limit alone, and only when it is too low."""
    limits, asked = (100, 4096), []
    monkeypatch.setattr(session.resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(session.resource, "setrlimit", lambda _, new: asked.append(new))
    allow_open_files(10)
    assert asked == []
    allow_open_files(1000)
    assert asked == [(1064, 4096)]
    limits = (100, resource.RLIM_INFINITY)
    allow_open_files(9000)
    assert asked[1:] == [(9064, resource.RLIM_INFINITY)]
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    allow_open_files(9000)
    assert len(asked) == 2
    limits = (100, 4096)
    with pytest.raises(ValueError, match="this process may have 4096 open files; use at most 4032"):
        allow_open_files(5000)
