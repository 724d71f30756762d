"""The folder of a process life, and who may have it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from service.telemetry.sdk.spool.life import Life, lives, usage

if TYPE_CHECKING:
    from pathlib import Path


def test_a_life_has_a_folder_of_its_own_in_the_order_of_beginning(tmp_path: Path) -> None:
    """The spool is made when it is missing."""
    spool = tmp_path / "data/spool"
    earlier, later, set_back = (Life.begin(spool, unix_ns=now) for now in (1_000, 2_000, 1_500))

    assert lives(spool) == [earlier.path, later.path, set_back.path]
    assert [path.name.partition("-")[0] for path in lives(spool)] == [f"{number:020d}" for number in (1_000, 2_000, 2_001)]
    assert later.segment("traces", 7) == later.path / "traces.00000007.seg"
    for life in (later, earlier, set_back):
        life.discard()
    assert list(spool.iterdir()) == []


def test_a_living_process_keeps_its_folder_and_a_dead_one_leaves_it_to_one_other(tmp_path: Path) -> None:
    """Released here as the kernel releases it when a process ends."""
    life = Life.begin(tmp_path, unix_ns=1_000)
    assert Life.adopt(life.path) is None
    life.release()

    adopted = Life.adopt(life.path)
    assert adopted is not None
    assert Life.adopt(life.path) is None
    adopted.discard()
    assert (Life.adopt(life.path), lives(tmp_path)) == (None, [])


def test_only_segments_are_found_in_it(tmp_path: Path) -> None:
    """By signal, each signal's in order; the lock and what others put there are not looked at."""
    life = Life.begin(tmp_path, unix_ns=1_000)
    for name in ("traces.00000010.seg", "traces.00000009.seg", "logs.00000001.seg", "notes.txt", "traces.1.seg"):
        (life.path / name).write_bytes(b"1234")

    assert [(signal, path.name) for signal, path in life.segments()] == [
        ("logs", "logs.00000001.seg"),
        ("traces", "traces.00000009.seg"),
        ("traces", "traces.00000010.seg"),
    ]
    assert [size for size, _ in usage(life.path)] == [4, 4, 4]
    life.discard()
    assert life.path.exists()  # somebody's notes are not ours to delete


def test_what_a_killed_start_has_left_goes_after_a_while(tmp_path: Path) -> None:
    """A folder gets its name with its lock held; a fresh one without may be about to."""
    name = f".{1:020d}-0123abcd"
    (tmp_path / name).mkdir()
    (tmp_path / name / "lock").touch()
    (tmp_path / "something").mkdir()
    assert (lives(tmp_path), (tmp_path / name).exists()) == ([], True)

    os.utime(tmp_path / name, (0, 0))

    assert (lives(tmp_path), (tmp_path / name).exists(), (tmp_path / "something").exists()) == ([], False, True)


def test_a_folder_that_is_a_file_says_so(tmp_path: Path) -> None:
    """To begin is an error; to adopt is nothing."""
    (tmp_path / "spool").write_text("")

    with pytest.raises(FileExistsError):
        Life.begin(tmp_path / "spool", unix_ns=1)
    assert Life.adopt(tmp_path / "spool") is None
    assert list(usage(tmp_path / "nowhere")) == []
