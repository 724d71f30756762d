"""Memory of another process."""

from __future__ import annotations

import os

import pytest

from benchmarks.resident import Resident, read_resident


def test_both_are_bytes(tmp_path):
    """The kernel counts kilobytes of 1,024."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t  3000 kB\nVmRSS:\t  2000 kB\n")
    assert read_resident(7, tmp_path) == Resident(now=2_048_000, peak=3_072_000)


def test_this_process_has_some():
    """And never more now than at its peak."""
    found = read_resident(os.getpid())
    assert 1_000_000 < found.now <= found.peak


def test_a_process_that_is_not_there_has_none(tmp_path):
    """Nor has one that has ended."""
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "status").write_text("Name:\tx\nState:\tZ (zombie)\n")
    with pytest.raises(FileNotFoundError):
        read_resident(7, tmp_path)
    with pytest.raises(KeyError):
        read_resident(8, tmp_path)
