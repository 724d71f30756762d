"""The model that a drill may disturb: slow, failing and stuck as asked, and else the one that it wraps."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service.drill_faults import FILE, FaultFile, Faults
from service.model.base import AddressPair
from service.model.drilled import DrilledModel, DrillFailure
from service.model.fake import EXACT, FakeModel
from service.runtime import drilled
from service.settings import Settings
from tests.deadline import DEADLINE

PAIRS = [AddressPair(address1="文一路", address2="文一路")]
NOW = 1_770_000_000.0


class Drill:
    """A drilled model, its faults, and how long it paused."""

    def __init__(self, folder: Path) -> None:
        self.inner = FakeModel()
        self.faults = FaultFile(folder / FILE, clock=lambda: NOW)
        self.paused: list[float] = []
        self.model = DrilledModel(self.inner, self.faults, pause=self.paused.append)

    def ask(self, faults: Faults) -> None:
        self.faults.write(faults, seconds=60)

    def outcomes(self, runs: int) -> str:
        """A dot for each answer, an F for each failure."""
        seen = ""
        for _ in range(runs):
            try:
                assert self.model.predict(PAIRS).scores == (EXACT,)
                seen += "."
            except DrillFailure:
                seen += "F"
        return seen


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return Drill(tmp_path)


def test_without_faults_it_is_the_model_that_it_wraps(drill: Drill) -> None:
    """Who it is, what it answers, and at once."""
    assert drill.model.info == drill.inner.info
    assert drill.outcomes(3) == "..."
    assert drill.paused == []


def test_a_slow_run_takes_so_much_longer_and_answers_all_the_same(drill: Drill) -> None:
    """Each of them, until the fault is taken out."""
    drill.ask(Faults(slow_seconds=0.55))
    assert drill.outcomes(2) == ".."
    assert drill.paused == [0.55, 0.55]
    drill.faults.clear()
    assert drill.outcomes(2) == ".."
    assert drill.paused == [0.55, 0.55]


@pytest.mark.parametrize(("every", "expected"), [(1, "FFFFFF"), (2, ".F.F.F"), (5, "....F."), (7, "......"), (0, "......")])
def test_each_so_many_th_run_fails(drill: Drill, every: int, expected: str) -> None:
    """Counted from when it was asked for; the first of them is not the first run."""
    drill.ask(Faults(fail_every=every))
    assert drill.outcomes(6) == expected


def test_a_slow_run_may_fail_too(drill: Drill) -> None:
    """In this order, as a true one would."""
    drill.ask(Faults(slow_seconds=3.0, fail_every=1))
    assert drill.outcomes(1) == "F"
    assert drill.paused == [3.0]


def test_a_failure_says_nothing_of_the_addresses(drill: Drill) -> None:
    """They are personal data, and its text may be read by people."""
    drill.ask(Faults(fail_every=1))
    with pytest.raises(DrillFailure, match=r"^a drill wants this run to fail$"):
        drill.model.predict([AddressPair(address1="紫萱路363号", address2="建设北路1号")])


def test_no_drill_disturbs_the_warming_up(drill: Drill) -> None:
    """A service that is started in the midst of one comes up."""
    drill.ask(Faults(slow_seconds=3.0, fail_every=1, stuck="x"))
    drill.model.warmup()
    assert drill.paused == []


def test_a_stuck_run_goes_on_when_the_fault_is_taken_out_and_only_one_is_stuck(tmp_path: Path) -> None:
    """The worker that takes its place is not: or the service could never come back by itself."""
    faults = FaultFile(tmp_path / FILE, clock=lambda: NOW)
    looked = threading.Semaphore(0)
    pause = threading.Event()

    def wait(seconds: float) -> None:
        looked.release()
        pause.wait(seconds)

    model = DrilledModel(FakeModel(), faults, pause=wait)
    faults.write(Faults(stuck="at 1"), seconds=60)
    answers = []
    stuck = threading.Thread(target=lambda: answers.append(model.predict(PAIRS).scores), daemon=True)
    stuck.start()
    for _ in range(3):
        assert looked.acquire(timeout=DEADLINE)
    assert model.predict(PAIRS).scores == (EXACT,)
    assert answers == []

    faults.clear()
    stuck.join(DEADLINE)
    assert answers == [(EXACT,)]


@pytest.mark.parametrize("after", [Faults(stuck="at 2"), Faults(slow_seconds=1.0)])
def test_a_stuck_run_goes_on_when_another_fault_takes_the_place_of_its_own(drill: Drill, after: Faults) -> None:
    """And the next word makes one more run stuck."""
    changes = iter([after, Faults()])
    drill.model = DrilledModel(drill.inner, drill.faults, pause=lambda seconds: (drill.paused.append(seconds), drill.ask(next(changes))))
    drill.ask(Faults(stuck="at 1"))
    assert drill.outcomes(1) == "."
    assert drill.outcomes(1) == "."
    assert len(drill.paused) == 2


def test_only_settings_that_say_so_let_a_drill_in(tmp_path: Path) -> None:
    """A stack that is drilled by a schedule is disturbed as little as one that is not."""
    model = FakeModel()
    FaultFile(tmp_path / FILE, clock=lambda: NOW).write(Faults(fail_every=1), seconds=60)

    assert drilled(model, Settings.load(data_dir=tmp_path)) is model
    assert drilled(model, Settings.load(data_dir=tmp_path, drills="weekly")) is model
    assert isinstance(drilled(model, Settings.load(data_dir=tmp_path, drills="on")), DrilledModel)
