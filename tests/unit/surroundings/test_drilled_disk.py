"""A disk that is said to be nearly full, so that the alert about it can be seen to come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from service.drill_faults import FILE, FaultFile, Faults
from service.settings import Settings
from service.surroundings.surroundings import Surroundings
from tests.conftest import TickingClock
from tests.deadline import DEADLINE, until

DATA = (("mgeo.folder", "data"),)


class Log:
    """Nothing is to be logged."""

    def event(self, name: Any, **_more: Any) -> None:
        raise AssertionError(name)


def shown(folder: Path, ticking: TickingClock, signals: Any, drills: str) -> tuple[float, float]:
    """How many bytes are used, and of how many, as the metrics have it."""
    settings = Settings.load(data_dir=folder, drills=drills)
    surroundings = Surroundings.of(settings, clock=ticking.as_clock(), log=Log())  # type: ignore[arg-type]
    surroundings.observe(signals.meter)
    surroundings.start()
    try:
        until(lambda: "system.filesystem.usage" in signals.points())
        points = signals.points()
    finally:
        assert surroundings.stop(DEADLINE)
    return points["system.filesystem.usage"][DATA].value, points["system.filesystem.limit"][DATA].value


def ask(folder: Path, ticking: TickingClock) -> None:
    """For a minute."""
    FaultFile(folder / FILE, clock=lambda: ticking.unix_ns() / 1e9).write(Faults(disk_used_ratio=0.97), seconds=60)


@pytest.mark.parametrize(("drills", "full"), [("on", True), ("off", False), ("weekly", False)])
def test_a_disk_is_as_full_as_a_drill_says_where_drills_may_disturb(
    tmp_path: Path, ticking: TickingClock, signals: Any, drills: str, full: bool
) -> None:
    """97 % of its true size; elsewhere the same file changes nothing."""
    ask(tmp_path, ticking)
    usage, limit = shown(tmp_path, ticking, signals, drills)

    # What root keeps for itself and how much is used may change while we look; the whole does not.
    true = os.statvfs(tmp_path)
    assert limit <= true.f_blocks * true.f_frsize
    assert (usage == round(limit * 0.97)) is full


def test_a_disk_that_a_drill_filled_is_as_it_was_when_the_fault_has_ended(tmp_path: Path, ticking: TickingClock, signals: Any) -> None:
    """By itself, as that of a drill that was killed."""
    ask(tmp_path, ticking)
    ticking.tick(61)
    usage, limit = shown(tmp_path, ticking, signals, "on")

    assert usage != round(limit * 0.97)
