"""The file by which a drill asks for faults: what it says holds until its end, and nothing else in it does any harm."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.drill_faults import FILE, LONGEST, NONE, FaultFile, Faults

START = 1_770_000_000.0


class HandClock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


def test_without_a_file_nothing_goes_wrong(path: Path, clock: HandClock) -> None:
    """Nor without its folder."""
    assert FaultFile(path, clock).read() == NONE == Faults(slow_seconds=0.0, fail_every=0, stuck="", disk_used_ratio=None)
    assert FaultFile(path / "deeper", clock).read() == NONE


@pytest.mark.parametrize(
    "faults",
    [
        Faults(slow_seconds=0.55),
        Faults(fail_every=33),
        Faults(stuck="at 1770000000.000"),
        Faults(disk_used_ratio=0.97),
        Faults(disk_used_ratio=0.0),
        Faults(slow_seconds=3.0, fail_every=1, stuck="x", disk_used_ratio=1.0),
    ],
)
def test_what_is_written_is_read_by_who_looks_already_and_by_who_comes_later(path: Path, clock: HandClock, faults: Faults) -> None:
    """The drill writes, the service reads."""
    looking = FaultFile(path, clock)
    assert looking.read() == NONE
    FaultFile(path, clock).write(faults, seconds=60)

    assert looking.read() == faults
    assert FaultFile(path, clock).read() == faults
    assert [each.name for each in path.parent.iterdir()] == [FILE]


def test_new_faults_end_those_of_before_and_clearing_ends_all(path: Path, clock: HandClock) -> None:
    """Also when they are as long as the old ones, and nothing is there to clear."""
    looking = FaultFile(path, clock)
    for every in (1, 2, 3, 4):
        looking.write(Faults(fail_every=every), seconds=60)
        assert looking.read() == Faults(fail_every=every)
    looking.clear()
    assert looking.read() == NONE
    looking.clear()
    assert not path.exists()


def test_a_fault_ends_by_itself(path: Path, clock: HandClock) -> None:
    """So that a drill that is killed leaves none behind."""
    looking = FaultFile(path, clock)
    looking.write(Faults(fail_every=1), seconds=60)
    clock.now += 59.9
    assert looking.read() == Faults(fail_every=1)
    clock.now += 0.1
    assert looking.read() == NONE


def test_no_fault_lasts_longer_than_two_hours_whatever_is_asked_for(path: Path, clock: HandClock) -> None:
    """And one that claims to is none."""
    looking = FaultFile(path, clock)
    looking.write(Faults(fail_every=1), seconds=1e9)
    assert looking.read() == Faults(fail_every=1)
    clock.now += LONGEST - 1
    assert looking.read() == Faults(fail_every=1)
    clock.now += 1
    assert looking.read() == NONE
    path.write_text(json.dumps({"fail_every": 1, "until": clock.now + LONGEST + 1}), encoding="utf-8")
    assert looking.read() == NONE


def test_a_clock_that_is_set_back_ends_a_fault_rather_than_keeping_it(path: Path, clock: HandClock) -> None:
    """A day's fault would be a day's outage."""
    looking = FaultFile(path, clock)
    looking.write(Faults(fail_every=1), seconds=LONGEST)
    clock.now -= 86_400
    assert looking.read() == NONE


def test_a_file_that_does_not_change_is_not_read_again(path: Path, clock: HandClock) -> None:
    """The model's thread looks before every run; a file that may not even be opened any more is still known."""
    looking = FaultFile(path, clock)
    looking.write(Faults(slow_seconds=0.5), seconds=60)
    assert looking.read() == Faults(slow_seconds=0.5)
    before = path.stat()
    # The same size, moment and inode, and other content: whoever opened it would see that.
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "0.9"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looking.read() == Faults(slow_seconds=0.5)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert looking.read() == Faults(slow_seconds=0.9)


GOOD: dict[str, Any] = {"slow_seconds": 0.5, "fail_every": 2, "stuck": "x", "disk_used_ratio": 0.5, "until": START + 60}


def written(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(GOOD | changes), encoding="utf-8")


def test_what_the_next_test_spoils_is_sound(path: Path, clock: HandClock) -> None:
    """Or it would prove nothing."""
    written(path)
    assert FaultFile(path, clock).read() == Faults(slow_seconds=0.5, fail_every=2, stuck="x", disk_used_ratio=0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"slow_seconds": -1},
        {"slow_seconds": math.nan},
        {"slow_seconds": math.inf},
        {"slow_seconds": "0.5"},
        {"slow_seconds": [1]},
        {"slow_seconds": None},
        {"slow_seconds": 10**400},
        {"slow_seconds": 1e10},
        {"fail_every": "2"},
        {"fail_every": -2},
        {"fail_every": 0.5},
        {"fail_every": True},
        {"fail_every": {}},
        {"stuck": 1},
        {"stuck": None},
        {"disk_used_ratio": "0.97"},
        {"disk_used_ratio": -0.1},
        {"disk_used_ratio": 97},
        {"disk_used_ratio": math.nan},
        {"until": "soon"},
        {"until": None},
        {"until": math.inf},
        {"until": math.nan},
        {"until": 10**400},
        {"more": 1},
    ],
)
def test_what_cannot_be_understood_is_no_fault_at_all(path: Path, clock: HandClock, changes: dict[str, Any]) -> None:
    """Not half of it either: the rest may be as wrong."""
    written(path, **changes)
    assert FaultFile(path, clock).read() == NONE


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_something_else_is_no_fault_at_all(path: Path, clock: HandClock, content: bytes) -> None:
    """Such as one that an older version wrote, or nobody."""
    path.write_bytes(content)
    assert FaultFile(path, clock).read() == NONE


def test_a_folder_of_its_name_is_no_fault(path: Path, clock: HandClock) -> None:
    """It is there, and cannot be read."""
    path.mkdir()
    assert FaultFile(path, clock).read() == NONE


def test_a_whole_file_is_understood_again_after_a_spoilt_one(path: Path, clock: HandClock) -> None:
    """What was wrong is not remembered."""
    looking = FaultFile(path, clock)
    path.write_text("{", encoding="utf-8")
    assert looking.read() == NONE
    written(path)
    assert looking.read().fail_every == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, JSON) | {"until": JSON | st.floats(START, START + 2 * LONGEST)})


@given(members=MEMBERS)
def test_whatever_it_says_the_model_can_work_with_what_is_read(tmp_path_factory: pytest.TempPathFactory, members: dict[str, Any]) -> None:
    """Numbers that can be waited for and counted by, a word, a part or none; never an error."""
    path = tmp_path_factory.mktemp("faults") / FILE
    path.write_text(json.dumps(members), encoding="utf-8")
    faults = FaultFile(path, lambda: START).read()

    assert 0 <= faults.slow_seconds <= LONGEST
    assert type(faults.fail_every) is int
    assert faults.fail_every >= 0
    assert isinstance(faults.stuck, str)
    assert faults.disk_used_ratio is None or 0 <= faults.disk_used_ratio <= 1
