"""`mgeo up`, `mgeo status` and `mgeo down` with the real service and stand-ins for the programs that scrape it.

The real programs run in tests/stack; these can be made to fail.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli.drill.free_ports import free_ports
from cli.drill.stage import Clock, Stage
from cli.main import main
from cli.stack.interrupts import Interrupts
from cli.stack.layout import Layout
from cli.stack.marked import SUPERVISOR, marked_processes
from service.file_lock import FileLock
from tests.deadline import until
from tests.notifier import alert, payload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # a busy machine takes its time to load the service

ROOT = Path(__file__).parents[3]
STAND_IN = Path(__file__).with_name("stand_in.py").read_text()


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Settings of a stack on free ports; whatever of it runs in the end is ended."""
    names = ("PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "NOTIFIER_PORT", "SIMULATOR_PORT")
    ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
    settings = {**ports, "MODEL": "fake", "GPU": "off", "DATA_DIR": str(tmp_path / "var")}
    for name in ("prometheus", "alertmanager"):
        program = tmp_path / name
        program.write_text(f"#!{sys.executable} -S\n{STAND_IN}")
        program.chmod(0o755)
        settings[f"{name.upper()}_BINARY"] = str(program)
    for name, value in settings.items():
        monkeypatch.setenv(f"MGEO_{name}", value)
    layout = Layout(tmp_path / "var")
    yield layout
    main(["down"])
    assert running(layout) == []


def running(layout):
    return sorted(found.program for found in marked_processes(layout.run))


@contextmanager
def in_foreground():
    """`mgeo up` as a shell starts it."""
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until_it_is_up(process):
    until(lambda: process.stderr.readline() == "running until Ctrl-C or SIGTERM\n", deadline=90)


def test_a_stack_comes_up_is_looked_at_and_goes_down(layout, capsys):
    """A second `up` says that it is there and starts nothing; a second `down` finds nothing and is content."""
    assert main(["up", "--detach"]) == 0
    shown, told = capsys.readouterr()
    lines = shown.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "ADDRESS", "PID", "MEMORY", "HEALTH"]
    assert [line.split()[0] for line in lines[1:6]] == ["simulator", "notifier", "prometheus", "alertmanager", "service"]
    assert all(line.endswith(" healthy") for line in lines[1:6])
    assert lines[-1] == f"end it:    mgeo down --data-dir {layout.data_dir}"
    assert "starting simulator, notifier, prometheus, alertmanager, service, auditor\n" in told

    assert main(["status", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["version"], row["healthy"]) for row in rows] == [
        ("simulator", "0.1.0", True),
        ("notifier", "0.1.0", True),
        ("prometheus", "3.15.0", True),
        ("alertmanager", "0.31.1", True),
        ("service", "0.1.0", True),
    ]
    assert {row["pid"]: row["name"] for row in rows} == {
        found.pid: found.program for found in marked_processes(layout.run) if found.program not in {SUPERVISOR, "auditor"}
    }
    assert "auditor" in running(layout)

    assert main(["up", "--detach"]) == 1
    shown, told = capsys.readouterr()
    assert shown.splitlines()[:1] == lines[:1]
    assert "the stack is up already, profile lite; `mgeo status` shows it, `mgeo down` ends it" in told

    assert main(["down"]) == 0
    assert capsys.readouterr().out == "stopped: auditor, service, prometheus, alertmanager, notifier, simulator\n"
    assert running(layout) == []
    assert main(["down"]) == 0
    assert capsys.readouterr().out == "nothing was running\n"


def test_a_stack_that_may_be_drilled_has_a_second_machine_that_hears_its_heart(layout, monkeypatch, capsys):
    """By the key that both were given; a drill finds the stack, its minutes as they were asked for, and kills and starts what it wants."""
    monkeypatch.setenv("MGEO_DRILL_SCALE", "0.05")
    monkeypatch.setenv("MGEO_WATCHER_PORT", str(free_ports(1)[0]))
    assert main(["up", "--drills", "on", "--detach"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:4]] == ["simulator", "watcher", "notifier"]
    clock = Clock(unix=time.time, monotonic=time.monotonic, pause=time.sleep)
    with httpx.Client(trust_env=False) as http:
        stage = Stage.of(layout, http=http, clock=clock)
        assert stage.scale == 0.05
        assert http.get(f"{stage.url('watcher')}/v1/boxes").json()["boxes"][0]["last_heartbeat"] is None

        token = {"Authorization": f"Bearer {layout.notifier_token.read_text().strip()}"}
        watchdog = payload(alert("Watchdog", severity="none"), group="watchdog")
        until(
            lambda: (
                http.post(f"{stage.url('notifier')}/v1/alertmanager/watchdog", headers=token, content=watchdog).status_code == 200
                and http.get(f"{stage.url('watcher')}/v1/boxes").json()["boxes"][0]["last_heartbeat"] is not None
            )
        )
        before = running(layout)
        stage.kill("notifier", "watcher")
        assert running(layout) == [name for name in before if name not in {"notifier", "watcher"}]
        stage.start("notifier", "watcher")
        assert running(layout) == before
    assert main(["down"]) == 0
    assert capsys.readouterr().out == "stopped: auditor, service, prometheus, alertmanager, notifier, watcher, simulator\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "words"),
    [
        (["--drills", "sometimes"], {}, 2, "'sometimes' is not one of 'off', 'on', 'weekly'"),
        (["--drills", "on", "--profile", "agent"], {}, 78, "MGEO_DRILLS = on: an agent alerts nobody"),
        ([], {"MGEO_DRILLS": "on", "MGEO_NOTIFIER_CONFIG": "/etc/notifier.toml"}, 78, "drills would alarm real people"),
        (["--drills", "weekly"], {"MGEO_DRILLS": "on", "MGEO_DRILL_SCALE": "0.5"}, 78, "shorter minutes make alerts of nothing"),
    ],
)
def test_drills_that_would_do_harm_are_refused_before_anything_starts(layout, monkeypatch, capsys, arguments, variables, code, words):
    """Whether the command line asks for them, or the environment; the command line wins."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["up", "--detach", *arguments]) == code
    assert words in " ".join(capsys.readouterr().err.split())
    assert running(layout) == []


def test_no_stack_has_no_status(layout, capsys):
    """Exit code 1; an empty list for programs."""
    assert main(["status"]) == 1
    assert capsys.readouterr().err == f"no stack of {layout.data_dir} is up; `mgeo up` starts one\n"
    assert main(["status", "--json"]) == 1
    assert capsys.readouterr().out == "[]\n"


def test_a_stack_that_lost_its_supervisor_is_ended_before_a_new_one_starts(layout, capsys):
    """And status shows what is wrong until then."""
    assert main(["up", "--detach"]) == 0
    for found in marked_processes(layout.run):
        if found.program == SUPERVISOR:
            found.signal(signal.SIGKILL)
    until(lambda: SUPERVISOR not in running(layout))
    capsys.readouterr()
    assert main(["status"]) == 1
    assert "service: nobody supervises it; `mgeo down` ends what is left" in capsys.readouterr().out
    assert main(["up", "--detach"]) == 0
    assert (
        "an earlier stack of this folder had lost its supervisor; stopped: auditor, service, prometheus, alertmanager, notifier, simulator"
        in capsys.readouterr().err
    )


def test_a_program_that_ends_at_once_fails_the_start_and_nothing_stays(layout, capsys, monkeypatch):
    """Exit code 69, with its last words."""
    monkeypatch.setenv("STAND_IN", "ends at once")
    assert main(["up", "--detach"]) == 69
    assert "did not come up: it ended as soon as it was started\nits last lines:\n  the configuration is bad\n" in capsys.readouterr().err
    assert running(layout) == []


def test_what_is_wrong_is_said_before_anything_starts(layout, capsys, monkeypatch, tmp_path):
    """A combination; a start that is under way; a setting in a file."""
    assert main(["up", "--profile", "agent"]) == 78
    assert "add --upstream https://HOST:6006/otlp" in capsys.readouterr().err
    layout.data_dir.mkdir()
    layout.prepare()
    lock = FileLock.take(layout.lock)
    assert main(["up", "--detach"]) == 78
    assert f"another `mgeo up` is at work in {layout.run}; wait for it, or end it" in capsys.readouterr().err
    lock.release()
    file = tmp_path / "mgeo.toml"
    file.write_text("deadline = -1\n")
    monkeypatch.setenv("MGEO_CONFIG_FILE", "replaced")
    assert main(["up", "--config", str(file)]) == 78
    assert "MGEO_DEADLINE = -1" in capsys.readouterr().err
    assert running(layout) == []


def test_a_lock_that_cannot_be_taken_is_named(layout, capsys):
    """With the fix."""
    layout.data_dir.mkdir()
    layout.prepare()
    layout.lock.mkdir()
    assert main(["up", "--detach"]) == 78
    assert f"{layout.lock} cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_a_signal_ends_everything(layout, number):
    """Exit code 0; Ctrl-C reaches the stack only through `mgeo up`."""
    with in_foreground() as process:
        until_it_is_up(process)
        os.killpg(process.pid, number)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "ending\nstopped: auditor, service, prometheus, alertmanager, notifier, simulator\n")
    assert running(layout) == []


def test_a_signal_while_it_starts_ends_what_was_started(layout, monkeypatch):
    """Exit code 130."""
    monkeypatch.setenv("STAND_IN", "never ready")
    with in_foreground() as process:
        until(
            lambda: running(layout) == ["alertmanager", "auditor", "notifier", "prometheus", "service", "simulator", "supervisord"],
            deadline=90,
        )
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.endswith("interrupted; everything that was started has ended\n")
    assert running(layout) == []


@pytest.mark.parametrize(("program", "code"), [("down", 0), ("kill", 1)])
def test_in_the_foreground_the_end_of_supervisord_is_noticed(layout, program, code):
    """By `mgeo down` it was meant; else the rest is ended too, so that whoever watches `mgeo up` can start it anew."""
    with in_foreground() as process:
        until_it_is_up(process)
        if program == "down":
            assert main(["down"]) == 0
        else:
            next(found for found in marked_processes(layout.run) if found.program == SUPERVISOR).signal(signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert ("ended by `mgeo down`" in told) is (code == 0)
    assert ("supervisord ended by itself" in told) is (code == 1)
    assert running(layout) == []


def test_a_signal_while_the_rest_is_ended_changes_nothing(layout):
    """Supervisord had ended by itself: exit code 1, everything ended in order, no traceback."""
    with in_foreground() as process:
        until_it_is_up(process)
        next(found for found in marked_processes(layout.run) if found.program == SUPERVISOR).signal(signal.SIGKILL)
        until(lambda: "supervisord ended by itself" in process.stderr.readline(), deadline=30)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (1, "stopped: auditor, service, prometheus, alertmanager, notifier, simulator\n")
    assert running(layout) == []


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--detach"], 130)])
def test_a_signal_between_a_finished_start_and_noting_it_ends_the_stack(layout, capsys, monkeypatch, options, code):
    """It comes as the start is handed over, and is heard once what runs is known."""
    hold = Interrupts.hold

    def held(signals):
        hold(signals)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Interrupts, "hold", held)
    assert main(["up", *options]) == code
    assert capsys.readouterr().err.endswith("ending\nstopped: auditor, service, prometheus, alertmanager, notifier, simulator\n")
    assert running(layout) == []
