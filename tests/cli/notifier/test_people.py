"""`mgeo ack` and `mgeo silence`, against the notifier's own application on a port."""

from __future__ import annotations

import asyncio
import getpass
import threading

import httpx
import pytest
import uvicorn

from cli.main import main
from dingtalk.links import group_digest
from tests.deadline import until
from tests.people import critical, group, running

DIGEST = group_digest("main", "g")


@pytest.fixture
def notifier(tmp_path):
    """One that listens; it has received a critical alert, and asks for its token."""
    (tmp_path / "token").write_text("a-secret-token\n")
    ready = threading.Event()
    held = {}

    async def serve():
        async with running(tmp_path / "data", values={"token": "a-secret-token"}) as one:
            server = uvicorn.Server(uvicorn.Config(one.app, port=0, log_config=None, lifespan="off"))
            held.update(one=one, server=server)
            task = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.005)
            held["port"] = server.servers[0].sockets[0].getsockname()[1]
            ready.set()
            await task

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    url = f"http://127.0.0.1:{held['port']}"
    headers = {"Authorization": "Bearer a-secret-token"}
    assert httpx.post(f"{url}/v1/alertmanager/main", content=group(critical()), headers=headers, trust_env=False).status_code == 200
    held["options"] = ["--url", url, "--token-file", str(tmp_path / "token")]
    yield held
    held["server"].should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_a_group_is_taken_over(notifier, capsys):
    """Once; then it is said who has it, and the exit code tells."""
    assert main(["ack", DIGEST, "--by", "张三", *notifier["options"]]) == 0
    assert capsys.readouterr().out == f"{DIGEST}: taken over by 张三\n"
    assert main(["ack", DIGEST, "--by", "李四", *notifier["options"]]) == 1
    assert capsys.readouterr().out == f"{DIGEST}: 张三 has it since 2026-11-20 12:00:00 UTC\n"
    assert main(["ack", DIGEST, "--by", "张三", *notifier["options"]]) == 0
    until(lambda: len(notifier["one"].said) == 1)


def test_the_commands_of_a_message_are_whole(notifier, capsys):
    """As they stand there: who it is, the login says."""
    assert main(["silence", DIGEST, "--for", "2h", *notifier["options"]]) == 0
    assert capsys.readouterr().out == f"{DIGEST}: silence silence-1 until 2026-11-20 14:00:00 UTC: alertname=HighErrorRate\n"
    assert notifier["one"].silences.made == [
        {"matchers": {"alertname": "HighErrorRate"}, "seconds": 7200.0, "by": getpass.getuser(), "comment": "未说明原因"}
    ]
    assert main(["ack", DIGEST, *notifier["options"]]) == 0


def test_a_silence_says_who_and_why(notifier):
    """In Alertmanager and in the group."""
    arguments = ["silence", DIGEST, "--for", "30m", "--by", "张三", "--reason", "换盘", *notifier["options"]]
    assert main(arguments) == 0
    assert notifier["one"].silences.made[0] | {"matchers": None} == {"matchers": None, "seconds": 1800.0, "by": "张三", "comment": "换盘"}
    assert "张三 静默 30 分钟：alertname=HighErrorRate（换盘）。" in notifier["one"].said[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ack", "000000000000"], "answered 404: nothing is known of a group 000000000000"),
        (["silence", "000000000000"], "answered 404"),
        (["silence", DIGEST, "--for", "9999h"], "seconds: give a number"),
        (["ack", DIGEST, "--by", "x" * 41], "by: give 1 to 40 characters"),
    ],
)
def test_what_cannot_be_done_is_said(notifier, capsys, arguments, words):
    """With exit code 1."""
    assert main([*arguments, *notifier["options"]]) == 1
    assert words in capsys.readouterr().err


def test_an_alertmanager_that_does_not_answer_is_named(notifier, capsys):
    """The silence is not there."""
    notifier["one"].silences.fails = True
    assert main(["silence", DIGEST, *notifier["options"]]) == 1
    assert "Alertmanager at 127.0.0.1:9093 does not answer" in capsys.readouterr().err


def test_without_its_token_it_is_asked_for(notifier, capsys):
    """By the option that gives it."""
    assert main(["ack", DIGEST, *notifier["options"][:2]]) == 1
    assert "--token-file" in capsys.readouterr().err


def test_a_group_is_shown_with_all_its_alerts(notifier, capsys):
    """Who has it, or since when it waits; as JSON too."""
    arguments = ["notifier", "status", "--group", DIGEST, *notifier["options"]]
    alerts = "- fires since 2026-11-20 12:00:00 UTC: alertname=HighErrorRate, instance=box-1, severity=critical\n"
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"group {DIGEST} of main fires; last heard of at 2026-11-20 12:00:00 UTC\n{alerts}"
    main(["ack", DIGEST, "--by", "张三", *notifier["options"]])
    capsys.readouterr()
    assert main(arguments) == 0
    assert "taken by 张三 at 2026-11-20 12:00:00 UTC\n" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    assert '"taken_by": "张三"' in capsys.readouterr().out
    assert main(["notifier", "status", "--group", "0" * 12, *notifier["options"]]) == 1
    assert "nothing is known of a group" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../../livez", "HighErrorRate", "0F3C9A1B2D4E", ""])
def test_a_group_is_named_as_its_message_does(name, capsys):
    """Before anybody is asked."""
    assert main(["ack", name]) == 2
    assert "names no group" in capsys.readouterr().err


def test_how_long_needs_a_unit(capsys):
    """Before anybody is asked."""
    assert main(["silence", DIGEST, "--for", "2"]) == 2
    assert "is not a duration" in capsys.readouterr().err


def test_a_notifier_that_is_not_there_is_named(capsys):
    """With what starts it."""
    assert main(["ack", DIGEST, "--by", "张三", "--url", "http://127.0.0.1:1"]) == 1
    assert "nothing answers at http://127.0.0.1:1" in capsys.readouterr().err
