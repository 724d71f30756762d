"""All that the server watches, with what it shows of a real folder and a real store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from service.surroundings import audit_record, drill_record
from service.surroundings.audit_record import AuditRecord
from service.surroundings.drill_record import DrillRecord
from service.surroundings.surroundings import Surroundings
from service.telemetry.names import EventName
from tests.conftest import TickingClock
from tests.dated_store import DatedStore, http_date
from tests.deadline import DEADLINE, until

SAMPLERS = {"folder-sampler", "audit-sampler", "drill-sampler", "workday-sampler", "clock-sampler"}


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.events: list[tuple[EventName, str, str | None]] = []

    def event(self, name: EventName, *, level: str = "INFO", function: str | None = None) -> None:
        self.events.append((name, level, function))


@pytest.fixture
def log() -> Log:
    return Log()


@contextmanager
def running(surroundings: Surroundings) -> Iterator[Surroundings]:
    surroundings.start()
    try:
        yield surroundings
    finally:
        assert surroundings.stop(DEADLINE)


def surroundings_of(folder: Path, ticking: TickingClock, log: Log, **settings: Any) -> Surroundings:
    return Surroundings.of(Settings.load(data_dir=folder, **settings), clock=ticking.as_clock(), log=log)  # type: ignore[arg-type]


def values(signals: Any) -> dict[str, dict[Any, float]]:
    return {name: {labels: point.value for labels, point in series.items()} for name, series in signals.points().items()}


def samplers_alive() -> set[str]:
    return SAMPLERS & {thread.name for thread in threading.enumerate()}


def test_a_server_shows_its_disk_the_newest_audit_and_drills_the_stores_clocks_and_the_day(
    tmp_path: Path, ticking: TickingClock, signals: Any, log: Log
) -> None:
    """On the second of February 2026, a Monday, beside a store whose clock is a minute behind."""
    drill_record.write_record(tmp_path, DrillRecord(passed=15, failed=("box-gone",), ended_unix_ns=1_769_900_000_000_000_000))
    audit_record.write_record(tmp_path, AuditRecord(difference=2, unflushed=1, unread=(), ended_unix_ns=1_769_999_000_000_000_000))
    with DatedStore(lambda: http_date(ticking.unix_ns() / 1e9 - 60)) as store:
        surroundings = surroundings_of(tmp_path, ticking, log, prometheus_url=store.url)
        surroundings.observe(signals.meter)
        assert values(signals) == {"mgeo.traffic.expected": {(): 1}}
        with running(surroundings):
            until(lambda: len(signals.points()) == 11)
            shown = values(signals)

    usage, limit = shown.pop("system.filesystem.usage"), shown.pop("system.filesystem.limit")
    assert set(usage) == set(limit) == {(("mgeo.folder", "data"),)}
    assert shown == {
        "mgeo.clock.skew": {(("mgeo.store", "prometheus"),): 59.5},
        "mgeo.audit.difference": {(): 2},
        "mgeo.audit.unflushed": {(): 1},
        "mgeo.audit.unread": {(): 0},
        "mgeo.audit.timestamp": {(): 1_769_999_000},
        "mgeo.drill.failures": {(): 1},
        "mgeo.drill.timestamp": {(): 1_769_900_000},
        "mgeo.workday": {(): 1},
        "mgeo.traffic.expected": {(): 1},
    }
    assert log.events == []


def test_without_stores_or_an_audit_there_is_nothing_of_them(tmp_path: Path, ticking: TickingClock, signals: Any, log: Log) -> None:
    """Nobody is asked, and no thread is there to ask."""
    surroundings = surroundings_of(tmp_path, ticking, log, traffic="sporadic")
    surroundings.observe(signals.meter)
    with running(surroundings):
        until(lambda: len(signals.points()) == 4)
        alive = samplers_alive()
        shown = values(signals)

    assert alive == SAMPLERS - {"clock-sampler"}
    assert set(shown) == {"system.filesystem.usage", "system.filesystem.limit", "mgeo.workday", "mgeo.traffic.expected"}
    assert shown["mgeo.traffic.expected"] == {(): 0}


def test_a_collection_never_waits_for_a_store_that_hangs(tmp_path: Path, ticking: TickingClock, signals: Any, log: Log) -> None:
    """It shows what is known; the end waits no longer than it may, and leaves the thread behind."""
    came, answer = threading.Event(), threading.Event()

    def hang() -> None:
        came.set()
        assert answer.wait(DEADLINE)

    with DatedStore(lambda: None, meanwhile=hang) as store:
        surroundings = surroundings_of(tmp_path, ticking, log, loki_url=store.url)
        surroundings.observe(signals.meter)
        surroundings.start()
        assert came.wait(DEADLINE)
        until(lambda: len(signals.points()) == 4)

        assert "mgeo.clock.skew" not in signals.points()
        assert surroundings.stop(0.0) is False
        answer.set()
        assert surroundings.stop(DEADLINE) is True


def test_what_is_stale_is_not_shown(tmp_path: Path, ticking: TickingClock, signals: Any, log: Log) -> None:
    """A disk that has not been looked at for half a minute may be full by now; whether traffic is expected is always known."""
    surroundings = surroundings_of(tmp_path, ticking, log)
    surroundings.observe(signals.meter)
    with running(surroundings):
        until(lambda: len(signals.points()) == 4)
    ticking.tick(30)
    assert set(signals.points()) == {"mgeo.workday", "mgeo.traffic.expected"}
    ticking.tick(300)

    assert set(signals.points()) == {"mgeo.traffic.expected"}


def test_a_year_that_the_calendar_does_not_know_is_one_line_of_the_log(tmp_path: Path, ticking: TickingClock, log: Log) -> None:
    """With the year, and a level at which somebody looks."""
    ticking.tick(80 * 366 * 86_400)
    surroundings = surroundings_of(tmp_path, ticking, log)

    for _ in range(3):
        surroundings.workday.sample_once()

    assert log.events == [(EventName.CALENDAR_UNCOVERED, "WARNING", "2106")]
