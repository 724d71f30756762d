"""The program that drills once a week: when, whatever the clock does, whatever comes of it, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.drill import weekly
from cli.drill.weekly import Drilling, Schedule, Stop, command, next_due
from cli.stack.layout import Layout
from cli.stack.marked import marked_processes
from cli.stack.plan import plan
from cli.stack.profile import Profile
from service.file_lock import FileLock
from service.surroundings.drill_record import DrillRecord, read_record, write_record
from tests.cli.stack.sites import site
from tests.deadline import DEADLINE, until

ROOT = Path(__file__).parents[3]
WEEK = timedelta(days=7)
# Clocks that are put forward and back by an hour, by half an hour, at midnight, and never.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Shanghai", "UTC"]

walls = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))
days = st.integers(1, 7)
hours = st.integers(0, 24 * 60 - 1).map(lambda minute: minute / 60)


def wall(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-28 09:00", "2026-12-02 10:00"),
        ("2026-12-02 09:59:59", "2026-12-02 10:00"),
        ("2026-12-02 10:00", "2026-12-09 10:00"),
        ("2026-12-02 10:00:01", "2026-12-09 10:00"),
        ("2026-12-30 12:00", "2027-01-06 10:00"),
    ],
)
def test_it_is_due_on_the_next_wednesday_at_ten(now, due):
    """On the day itself only before that hour."""
    assert next_due(wall(now), 3, 10.0) == wall(due)


def test_hours_have_minutes_and_weeks_end_with_sunday():
    """Half past six on the seventh day."""
    assert next_due(wall("2026-11-28 09:00"), 7, 6.5) == wall("2026-11-29 06:30")
    assert next_due(wall("2026-11-28 09:00"), 1, 0.0) == wall("2026-11-30 00:00")


@given(now=walls, day=days, hour=hours)
def test_what_is_due_is_that_day_and_hour_within_a_week(now, day, hour):
    """Strictly after now, and nothing before it is."""
    due = next_due(now, day, hour)

    assert now < due <= now + WEEK
    assert due.isoweekday() == day
    assert abs((due.hour + due.minute / 60 + due.second / 3600) - hour) < 1 / 3600
    assert next_due(due, day, hour) == due + WEEK
    assert next_due(due - timedelta(microseconds=1), day, hour) == due


@given(
    zone=st.sampled_from(ZONES),
    start=st.builds(datetime, st.integers(2024, 2030), st.sampled_from([3, 4, 9, 10]), st.integers(1, 28), st.integers(0, 23)),
    day=days,
    hour=hours,
    every=st.integers(5, 25),
)
@settings(max_examples=60)
def test_summer_time_makes_it_neither_twice_nor_never(zone, start, day, hour, every):
    """Once in each of six weeks, a week by the clock on the wall from one to the next; an hour that is left out may shift it."""
    local = ZoneInfo(zone)
    moment = start.replace(tzinfo=UTC)

    def shown():
        return moment.astimezone(local).replace(tzinfo=None)

    schedule, begun = Schedule(shown(), day, hour), []
    while moment < start.replace(tzinfo=UTC) + 6 * WEEK:
        moment += timedelta(minutes=every)
        if schedule.is_due(shown()):
            begun.append(shown())

    assert len(begun) in {5, 6}
    for at in begun:
        late = at - (next_due(at, day, hour) - WEEK)
        assert timedelta(0) <= late < timedelta(minutes=every + 60)
    assert all(abs(later - earlier - WEEK) <= timedelta(minutes=every + 60) for earlier, later in pairwise(begun))


def asked(schedule, *moments):
    return [schedule.is_due(wall(moment)) for moment in moments]


def test_nothing_is_due_at_the_start_and_each_time_is_once():
    """A stack that is brought up on Wednesdays at ten is left in peace for a week."""
    assert asked(Schedule(wall("2026-12-02 10:00:10"), 3, 10), "2026-12-02 10:00:40", "2026-12-09 09:59", "2026-12-09 10:00:20") == [
        False,
        False,
        True,
    ]
    assert asked(Schedule(wall("2026-12-02 09:59"), 3, 10), "2026-12-02 10:00", "2026-12-02 10:00:30", "2026-12-09 10:00") == [
        True,
        False,
        True,
    ]


def test_what_the_box_slept_through_is_due_when_it_is_awake_and_once():
    """Three weeks are not made up for; the next is on its day again."""
    assert asked(Schedule(wall("2026-12-01 09:00"), 3, 10), "2026-12-24 08:00", "2026-12-24 08:01", "2026-12-30 10:00") == [
        True,
        False,
        True,
    ]


def test_a_clock_that_was_years_ahead_does_not_make_it_wait_for_years():
    """As one without a battery may be, until it has asked the network."""
    assert asked(Schedule(wall("2031-05-05 09:00"), 3, 10), "2026-12-01 09:00", "2026-12-02 10:00") == [False, True]


def test_a_clock_that_is_put_back_by_an_hour_after_it_began_begins_nothing():
    """The hour comes twice, the drills do not."""
    assert asked(Schedule(wall("2026-10-25 02:20"), 7, 2.5), "2026-10-25 02:30", "2026-10-25 02:00", "2026-10-25 02:30") == [
        True,
        False,
        False,
    ]


def never(seconds):
    time.sleep(seconds / 20)
    return False


def shell(text):
    return ("/bin/sh", "-c", text)


def test_it_looks_each_half_minute_and_drills_when_it_is_time(tmp_path):
    """Until a signal comes; in between it may have been told to end."""
    moments = iter([wall("2026-12-02 09:59:30"), wall("2026-12-02 10:00"), wall("2026-12-02 10:00:30")])
    pauses = []

    def stopped(seconds):
        pauses.append(seconds)
        return len(pauses) > 3

    told = tmp_path / "told"
    drilling = Drilling(tmp_path, shell(f"echo drilled >> {told}"), stopped=never)
    weekly.weekly(Schedule(wall("2026-12-02 09:59"), 3, 10), drilling, now=lambda: next(moments), stopped=stopped)

    assert told.read_text() == "drilled\n"
    assert pauses == [30.0] * 4


def test_the_command_is_every_drill_apart_with_report_and_record():
    """In the data folder beside whose stack it runs, which it is told."""
    assert command(Path("/data")) == (
        *(sys.executable, "-P", "-m", "cli.main"),
        *("drill", "all", "--apart", "--record", "--report=/data/drills", "--data-dir=/data"),
    )


def test_the_drills_have_the_programs_of_the_stack_and_its_settings_of_where_there_are_more():
    """Nothing is downloaded or built for what runs already."""
    driller = {process.name: process for process in plan(site(Profile.FULL, drills="weekly", drill_day=7, drill_hour=22.5))}["driller"]

    assert driller.argv[3:] == ("cli.drill.weekly", "/data", "7", "22.5")
    assert driller.environment["MGEO_LOKI_BINARY"] == "/programs/loki"
    assert driller.drops == ()
    assert driller.stop_grace > weekly.ENDS_WITHIN + weekly.POLL


RECORD = DrillRecord(passed=17, failed=(), ended_unix_ns=1)
WRITES = '{"passed": 16, "failed": ["box-gone"], "ended_unix_ns": 2}'


@pytest.mark.parametrize("code", [0, 1])
def test_what_the_drills_recorded_stands(tmp_path, code):
    """Whatever they ended with: 1 says that one failed, and the record says which."""
    write_record(tmp_path, RECORD)

    Drilling(tmp_path, shell(f"echo '{WRITES}' > {tmp_path}/drills.json; exit {code}"), stopped=never).run()

    assert read_record(tmp_path) == DrillRecord(passed=16, failed=("box-gone",), ended_unix_ns=2)


@pytest.mark.parametrize("program", [shell("exit 1"), ("/nowhere/mgeo",)])
def test_drills_that_left_no_outcome_count_as_failed(tmp_path, capsys, program):
    """A stack that does not come up, no disk, no program: nobody knows whether the alerts come, and somebody must hear of it."""
    write_record(tmp_path, RECORD)

    Drilling(tmp_path, program, stopped=never).run()

    found = read_record(tmp_path)
    assert found is not None
    assert (found.passed, found.failed) == (0, ("weekly",))
    assert abs(found.ended_unix_ns / 1e9 - time.time()) < DEADLINE
    assert capsys.readouterr().out.endswith("the drills left no outcome; that counts as one that failed\n")


def test_a_folder_that_takes_no_record_ends_nothing(tmp_path, capsys):
    """The next week may be better; the timestamp that grows old tells of it."""
    Drilling(tmp_path / "gone", shell("exit 0"), stopped=never).run()

    assert "drills.json cannot be used (No such file or directory)" in capsys.readouterr().out


def marked(layout, program):
    """A process of a stack."""
    variables = {**os.environ, "MGEO_STACK": str(layout.run), "MGEO_STACK_PROGRAM": program}
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], env=variables)


@contextmanager
def stacks(data_dir):
    """A process of the stack itself, and two that a killed drill has left of its own."""
    layout = Layout(data_dir)
    layout.drilled.run.mkdir(parents=True)
    processes = [marked(layout, "service"), marked(layout.drilled, "supervisord"), marked(layout.drilled, "service")]
    try:
        until(lambda: len(marked_processes(layout.drilled.run)) == 2)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_drills_that_take_too_long_are_ended_with_all_they_have_started(tmp_path, capsys, monkeypatch):
    """First asked, then killed; the stack beside them goes on."""
    monkeypatch.setattr(weekly, "ENDS_WITHIN", 0.3)
    pid = tmp_path / "pid"
    with stacks(tmp_path) as (other, supervisor, service):
        Drilling(tmp_path, shell(f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.05; done"), stopped=never).run(within=0.5)

        assert supervisor.wait(DEADLINE) == service.wait(DEADLINE) == -signal.SIGKILL
        assert other.poll() is None
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
    assert not (tmp_path / "drilled").exists()
    assert capsys.readouterr().out.splitlines() == [
        "the drills are ended after 0.5 s",
        "the drills did not end within 0.3 s, and were killed",
        "the drills left no outcome; that counts as one that failed",
    ]


def test_what_somebody_drills_by_hand_meanwhile_is_left_alone(tmp_path):
    """It has the lock."""
    with stacks(tmp_path) as (_, supervisor, service):
        lock = FileLock.take(Layout(tmp_path).drilled_lock)
        assert lock is not None
        Drilling(tmp_path, shell("exit 1"), stopped=never).run()

        assert supervisor.poll() is service.poll() is None
        assert (tmp_path / "drilled").is_dir()
        lock.release()


def test_a_signal_lets_the_drills_end_their_stack_and_is_no_failure(tmp_path):
    """`mgeo down` is no reason to call somebody."""
    write_record(tmp_path, RECORD)
    told = tmp_path / "told"
    drills = shell(f"trap 'echo ended > {told}; exit 130' TERM; touch {tmp_path}/began; while :; do sleep 0.05; done")

    Drilling(tmp_path, drills, stopped=lambda _: (tmp_path / "began").exists()).run()

    assert told.read_text() == "ended\n"
    assert read_record(tmp_path) == RECORD


def test_a_wait_ends_with_the_signal_and_every_later_one_at_once():
    """However many signals come."""
    stop = Stop()
    assert stop.within(0) is False
    for _ in range(100_000):
        stop(signal.SIGTERM, None)

    began = time.monotonic()
    assert stop.within(60) is stop.within(60) is True
    assert time.monotonic() - began < DEADLINE


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_waits_out_of_the_way_and_ends_at_once(tmp_path, number):
    """As `mgeo up` starts it; the log says when the next ones are."""
    tomorrow = (datetime.now() + timedelta(days=1)).replace(microsecond=0)
    arguments = [sys.executable, "-P", "-m", "cli.drill.weekly", str(tmp_path), str(tomorrow.isoweekday()), "9.5"]
    with subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == f"the next drills: {tomorrow:%Y-%m-%d} 09:30\n"
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(os.nice(0) + 10, 19)
            process.send_signal(number)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []
