"""From what was measured of a notifier to the figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.effort import QUICK
from benchmarks.notifier import NUMBERS, STATES, WAYS, Flood, Held, Measured, Storm, report


def rounds(*milliseconds: float) -> list[list[float]]:
    """Rounds of which each took so long: ninety-eight of a hundred, and the last two ten times as long."""
    return [[each / 1000] * 98 + [each / 100] * 2 for each in milliseconds]


MEASURED = Measured(
    seconds={way: rounds(factor, 2.0 * factor, 3.0 * factor) for factor, way in enumerate(WAYS, start=1)},
    held={state: [Held(memory=factor * 50_000_000, peak=factor * 60_000_000, cpu=0.1 * factor)] for factor, state in enumerate(STATES, 1)},
    floods=[
        Flood(accepted=100.0, committed=400.0, told=50.0, messages=5.0, cpu=1.5),
        Flood(accepted=300.0, committed=400.0, told=70.0, messages=7.0, cpu=1.7),
    ],
    storms=[
        Storm(slowest=20.0, last=70.0, accepting=30.0, messages=17, bans=0),
        Storm(slowest=40.0, last=90.0, accepting=50.0, messages=19, bans=0),
    ],
)
FOUND = report(MEASURED, QUICK)
FIGURES = {figure.name: (figure.number, figure.value, figure.spread) for figure in FOUND.figures}


def test_every_figure_has_a_number_of_its_own():
    """By which reports refer to it."""
    numbers = [figure.number for figure in FOUND.figures]
    assert numbers == [*range(400, 412), *range(420, 442), *range(450, 461), *range(470, 476), *range(480, 485)]
    assert set(numbers) <= set(NUMBERS)
    assert len(FIGURES) == len(numbers)


def test_accepting_is_told_by_the_middle_and_the_slowest_hundredth_of_each_round():
    """Milliseconds; the median over rounds, and the smallest and the largest."""
    assert FIGURES["notifier.accept.fsync.p50_milliseconds"] == (400, 2.0, (1.0, 3.0))
    assert FIGURES["notifier.accept.full.p99_milliseconds"] == (409, pytest.approx(100.0), pytest.approx((50.0, 150.0)))


def test_it_is_compared_with_the_disk_and_with_nothing_waiting_round_by_round():
    """Rounds differ by three times, their ratios not at all; neither the disk nor the empty one is compared with itself."""
    assert FIGURES["notifier.accept.empty.p50_to_fsync_ratio"] == (420, 3.0, (3.0, 3.0))
    assert FIGURES["notifier.accept.empty.p99_to_commit_ratio"] == (423, 1.5, (1.5, 1.5))
    number, value, spread = FIGURES["notifier.accept.full.p99_to_empty_ratio"]
    assert (number, value) == (435, pytest.approx(5 / 3))
    assert spread == pytest.approx((5 / 3, 5 / 3))
    assert "notifier.accept.empty.p99_to_empty_ratio" not in FIGURES
    assert "notifier.accept.commit.p99_to_fsync_ratio" not in FIGURES


def test_the_table_names_how_much_waited():
    """Peers first, with no ratio of their own."""
    table = FOUND.tables[0]
    assert table.rows[0] == ("the bytes appended to a file, and fsync", "2.00 (1.00 to 3.00)", "20.00 (10.00 to 30.00)", "", "", "", "")
    assert table.rows[4][0] == "the notifier, 2000 waiting for a robot out of reach"
    assert table.rows[4][3:] == ("2.50 (2.50 to 2.50)", "2.50 (2.50 to 2.50)", "1.67 (1.67 to 1.67)", "1.67 (1.67 to 1.67)")
    assert all(len(row) == len(each.header) for each in FOUND.tables for row in each.rows)


def test_memory_is_compared_with_that_of_an_idle_one():
    """Megabytes of a million bytes."""
    assert FIGURES["notifier.memory.empty.at_rest_megabytes"] == (450, 50.0, (50.0, 50.0))
    assert FIGURES["notifier.memory.full.peak_megabytes"] == (454, 120.0, (120.0, 120.0))
    assert FIGURES["notifier.memory.full.at_rest_to_empty_ratio"] == (459, 2.0, (2.0, 2.0))
    assert FOUND.tables[1].rows[1] == (
        "the notifier, 2000 waiting for a robot out of reach",
        "100 (100 to 100)",
        "2.00 (2.00 to 2.00)",
        "120 (120 to 120)",
        "0.200 (0.200 to 0.200)",
    )


def test_throughput_is_compared_with_sqlite_and_with_what_a_robot_may_send():
    """Twenty messages a minute are a third of one a second."""
    assert FIGURES["notifier.flood.accepted_to_commit_ratio"] == (471, 0.5, (0.25, 0.75))
    assert FIGURES["notifier.flood.messages_to_robot_limit_ratio"] == (474, pytest.approx(18.0), pytest.approx((15.0, 21.0)))


def test_a_storm_has_goals_and_one_bad_storm_misses_them():
    """The slowest of all storms counts, not their median; and so does each ban."""
    figures = {figure.name: figure for figure in FOUND.figures}
    slowest, bans = figures["notifier.storm.slowest_critical_seconds"], figures["notifier.storm.bans"]
    assert (slowest.value, slowest.goal, slowest.met) == (30.0, "at most 60 in every storm", True)
    assert (bans.value, bans.goal, bans.met) == (0, "0 in all storms together", True)
    worse = replace(MEASURED, storms=[*MEASURED.storms, replace(MEASURED.storms[0], slowest=61.0, bans=2)])
    figures = {figure.name: figure for figure in report(worse, QUICK).figures}
    assert figures["notifier.storm.slowest_critical_seconds"].met is False
    assert (figures["notifier.storm.bans"].value, figures["notifier.storm.bans"].met) == (2, False)


def test_the_noise_is_the_largest_difference_of_two_equal_ones_in_either_direction():
    """A twin that took a quarter of the time in one round differs as much as one that took four times as long."""
    twin = [[each / 4 for each in MEASURED.seconds["empty"][0]], *MEASURED.seconds["empty"][1:]]
    found = report(replace(MEASURED, seconds={**MEASURED.seconds, "twin": twin}), QUICK)
    assert found.remarks[3].startswith(
        "Noise: in one round two equal notifiers differed by up to 4.00 times in their p50 and 4.00 times in"
    )


def test_the_remarks_say_how_much_was_done():
    """For whoever compares two runs."""
    assert FOUND.remarks[0].startswith(
        "Accepting: medians of 2 rounds (smallest to largest) of 100 each way, 100 a second on 8 connections"
    )
    assert "2000 are 2300 after the last one" in FOUND.remarks[0]
    assert "(`scale = 0.001`: 60 ms for a minute" in FOUND.remarks[1]
    assert FOUND.remarks[2].startswith("Storm: 600 alerts within 4 s, 6 of them critical")
