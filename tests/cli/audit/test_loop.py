"""The program that runs an audit again and again: when, whatever comes of it, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.audit.loop import Runs, loop
from tests.deadline import DEADLINE, until

ROOT = Path(__file__).parents[3]


class Over(Exception):
    pass


def pauses(command, *, every, first, takes, runs):
    """How long it paused before each run, when each takes so long by the clock; what comes after so many runs is not of interest."""
    moment, paused = [0.0], []

    def pause(seconds):
        if len(paused) == runs:
            raise Over
        paused.append(seconds)
        # The run that follows has no clock of its own, so its time passes here.
        moment[0] += seconds

    def monotonic():
        moment[0] += takes / 2  # asked twice from one start to the next
        return moment[0]

    with pytest.raises(Over):
        loop(Runs(command), every=every, first=first, monotonic=monotonic, pause=pause)
    return paused


def test_the_first_run_comes_after_its_time_and_the_others_from_start_to_start():
    """Five minutes, then an hour less what the run took, whatever it ended with."""
    assert pauses(["/bin/true"], every=3600, first=300, takes=0, runs=3) == [300, 3600, 3600]
    assert pauses(["/bin/false"], every=3600, first=300, takes=120, runs=3) == [240, 3540, 3540]


def test_a_run_that_is_late_is_not_made_up_for():
    """The next one comes at once, and no more than that."""
    assert pauses(["/bin/true"], every=10, first=10, takes=100, runs=3) == [0, 0, 0]


def test_a_program_that_is_not_there_is_told_and_tried_again(capsys):
    """It may be there an hour later, as after an upgrade."""
    pauses(["/nowhere/mgeo"], every=3600, first=300, takes=0, runs=1)

    assert capsys.readouterr().out == "/nowhere/mgeo cannot be run (No such file or directory)\n"


def test_a_run_that_takes_longer_than_it_may_is_killed_and_told(tmp_path, capsys):
    """Or one that hangs would be the last."""
    pid = tmp_path / "pid"

    pauses(["/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 60"], every=0.5, first=0, takes=0, runs=1)

    assert capsys.readouterr().out == "killed after 0.5 s, since the next run is due\n"
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


@contextmanager
def running(*command, every="0.01", first="0"):
    """The loop as `mgeo up` starts it."""
    arguments = [sys.executable, "-P", "-m", "cli.audit.loop", every, first, *command]
    with subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_goes_on_until_it_is_told_to_end(tmp_path):
    """Run by run, each in a process of its own and out of the way of others; SIGTERM is no failure."""
    told = tmp_path / "told"
    with running("/bin/sh", "-c", f"nice >> {told}; exit 1") as process:
        until(lambda: told.exists() and len(told.read_text().splitlines()) >= 3)
        process.terminate()
        assert process.wait(DEADLINE) == 0

    assert set(told.read_text().splitlines()) == {str(min(os.nice(0) + 10, 19))}


def test_what_runs_ends_with_it(tmp_path):
    """`mgeo down` does not wait for an audit."""
    pid = tmp_path / "pid"
    with running("/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 60", every="3600") as process:
        until(lambda: pid.exists() and pid.read_text().endswith("\n"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0

    until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())


def test_a_signal_while_a_run_is_being_started_ends_that_run_too(tmp_path):
    """There is nobody to kill yet when it comes, and somebody a moment later."""
    pid = tmp_path / "pid"

    def start(*arguments, **options):
        process = subprocess.Popen(*arguments, **options)
        until(lambda: pid.exists() and pid.read_text().endswith("\n"))
        runs.end(signal.SIGTERM, None)
        return process

    runs = Runs(["/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 60"], start=start)
    with pytest.raises(SystemExit) as ended:
        runs.run(60)

    assert ended.value.code == 0
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_it_ends_while_it_waits_too():
    """An hour is no reason to be killed."""
    with running("/bin/true", every="3600", first="3600") as process:
        # What it does last before it waits.
        until(lambda: os.getpriority(os.PRIO_PROCESS, process.pid) == min(os.nice(0) + 10, 19))
        process.terminate()
        assert process.wait(DEADLINE) == 0
