"""Garbage collections as they were noted."""

from __future__ import annotations

import gc

import pytest

from benchmarks.collector_server import PauseLog
from benchmarks.pauses import Pause, between, milliseconds

YOUNG, OLDER, FULL = Pause(1.0, 0.0005, 0), Pause(2.0, 0.002, 1), Pause(3.0, 0.25, 2)


def test_full_collections_are_told_apart_from_the_others():
    """In milliseconds."""
    assert milliseconds([YOUNG, OLDER, FULL], full=True) == [250.0]
    assert milliseconds([YOUNG, OLDER, FULL], full=False) == [0.5, 2.0]


def test_only_what_began_under_load_counts():
    """The start of a server makes long pauses of its own."""
    assert between([YOUNG, OLDER, FULL], 1.5, 3.0) == [OLDER]


def test_a_line_is_three_numbers():
    """Begin, seconds, generation."""
    assert Pause.parse("1.5 0.25 2\n") == Pause(1.5, 0.25, 2)
    with pytest.raises(ValueError, match="unpack"):
        Pause.parse("1.5 0.25")


def test_the_log_times_each_collection_from_its_start_to_its_end():
    """By the clock it is given, and writes lines that are read back."""
    log = PauseLog(iter([10.0, 10.25, 20.0, 20.5]).__next__)
    for generation in (0, 2):
        log("start", {"generation": generation})
        log("stop", {"generation": generation})
    assert [Pause.parse(line) for line in log.lines().splitlines()] == [Pause(10.0, 0.25, 0), Pause(20.0, 0.5, 2)]


def test_the_log_hears_of_real_collections():
    """As the interpreter calls it."""
    log = PauseLog()
    gc.callbacks.append(log)
    try:
        gc.collect(2)
    finally:
        gc.callbacks.remove(log)
    assert 2 in [Pause.parse(line).generation for line in log.lines().splitlines()]
