"""`mgeo maintenance`, `mgeo down --for` and `mgeo watch`, as far as they need no running notifier; tests/e2e has the rest."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from datetime import timedelta, timezone

import pytest

from cli.main import main
from cli.notifier import running, upkeep
from cli.stack.layout import Layout
from tests.rules.alertmanager import free_port

ROBOT = '[[robots]]\nname = "r"\ntoken = "0123456789abcdef"\n[[receivers]]\nname = "ops"\nrobots = ["r"]\n'
ZONE = timezone(timedelta(hours=8))
DONE = {"alertmanager": "ok", "watchers": {"watch:8060": "ok"}}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["now"], "give END or --for"),
        (["now", "22:00", "--for", "8h"], "give END or --for"),
        (["--for", "8"], "'8' is not a duration"),
        (["yesterday", "now"], "'yesterday' is no moment"),
        (["--end", "--for", "8h"], "--end takes no time"),
        (["--for", "8h", "--url", "ftp://x"], "is not the address of a service"),
        (["--for", "8h", "--token-file", "/nowhere"], "--token-file belongs to --url"),
        (["--for", "8h", "--url", "http://a", "--token-file", "/nowhere"], "the token /nowhere cannot be read: No such file or directory"),
    ],
)
def test_what_is_asked_for_wrongly_is_explained(arguments, words, capsys, tmp_path):
    """Before anybody is asked."""
    assert main(["maintenance", *arguments, "--data-dir", str(tmp_path)]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_notifier_that_does_not_answer_is_named(capsys):
    """With status 1."""
    assert main(["maintenance", "--for", "1h", "--url", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "mgeo: nothing answers at http://127.0.0.1:" in capsys.readouterr().err


def test_down_for_a_time_ends_nothing_when_nobody_could_be_told(capsys, tmp_path, monkeypatch):
    """Unless it is forced: then it says what could not be done, and goes on."""
    monkeypatch.setattr(running, "DEFAULT_URL", f"http://127.0.0.1:{free_port()}")
    assert main(["down", "--for", "8h", "--data-dir", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "- no maintenance was begun: nothing answers at http://127.0.0.1:" in captured.err
    assert "nothing was ended; --force ends it all the same" in captured.err
    assert main(["down", "--for", "8h", "--force", "--data-dir", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == "nothing was running\n"
    assert "- no maintenance was begun: nothing answers at http://127.0.0.1:" in captured.err


def test_down_for_a_wrong_time_ends_nothing(capsys, tmp_path):
    """It is wrong usage."""
    assert main(["down", "--for", "8 hours", "--data-dir", str(tmp_path)]) == 2
    assert "'8 hours' is not a duration" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["maintenance", "--for", "1h"],
        ["maintenance", "--end"],
        ["down", "--for", "1h"],
        ["ack", "0f3c9a1b2d4e"],
        ["silence", "0f3c9a1b2d4e"],
    ],
)
def test_who_has_no_login_name_must_give_one(arguments, capsys, tmp_path, monkeypatch):
    """Whatever is asked for, and before anybody is asked: the group is told who it is."""
    monkeypatch.setattr(running, "DEFAULT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert main(arguments) == 2
    assert "give your name with --by" in capsys.readouterr().err
    assert main([*arguments, "--by", "张三"]) == 1
    assert "nothing answers at" in capsys.readouterr().err


def nobody():
    """As `getpass.getuser` for a user of whom there is but a number."""
    raise KeyError("getpwuid(): uid not found: 54321")


def test_the_token_of_the_stack_is_shown_to_its_own_notifier_alone(tmp_path):
    """Another address gets the token that is given for it, or none."""
    layout = Layout(tmp_path)
    layout.notifier_token.parent.mkdir(parents=True)
    layout.notifier_token.write_text("of the stack\n")
    (tmp_path / "other").write_text("of another\n")

    def shown(client):
        return client._client._headers.get("Authorization")

    assert shown(running.notifier_of(layout)) == "Bearer of the stack"
    assert shown(running.notifier_at("http://elsewhere:8060", None)) is None
    assert shown(running.notifier_at("http://elsewhere:8060", tmp_path / "other")) == "Bearer of another"


def test_what_could_not_be_done_is_told_apart():
    """What goes on by itself is said too."""
    assert upkeep.faults(DONE) == []
    assert upkeep.faults({"alertmanager": "it is away", "watchers": {"watch:8060": "it answers 401"}}) == [
        "Alertmanager is not silenced, and is tried again: it is away",
        "watcher watch:8060 was not told, and is told with the next heartbeat: it answers 401",
    ]


def test_a_maintenance_is_shown_on_local_clocks():
    """With who and why."""
    one = {"from": 1_770_000_000.0, "until": 1_770_003_600.0, "by": "张三", "reason": "换显卡"}
    assert upkeep.text(one, ZONE) == "maintenance from 2026-02-02 10:40 to 2026-02-02 11:40 by 张三: 换显卡"
    assert upkeep.text(None, ZONE) == "no maintenance"


def test_watching_nobody_is_refused(capsys, tmp_path):
    """As a configuration that cannot be used."""
    path = tmp_path / "watch.toml"
    path.write_text(ROBOT)
    assert main(["watch", "--config", str(path)]) == 78
    assert "has no [[boxes]], so there is nothing to watch" in capsys.readouterr().err


def test_neither_command_needs_the_packages_of_the_service():
    """The second machine and the notifier's image have no torch, and not the rest either."""
    absent = {"torch", "transformers", "safetensors", "numpy", "fastapi", "pydantic_settings", "supervisor", "pynvml"}
    code = (
        "import json, sys\n"
        "import cli.main, cli.watch, cli.maintenance, cli.notifier.process, cli.notifier.upkeep, dingtalk.app, dingtalk.config\n"
        "import apprise\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert set(json.loads(ran.stdout)) & absent == set()
