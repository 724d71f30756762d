"""Rounds of a measurement, alone and paired."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.spread import Spread, differences, ratios


def test_a_spread_is_the_median_between_the_extremes():
    """One disturbed round shows in the spread and not in the value."""
    assert Spread.of([5.0, 1.0, 100.0]) == Spread(5.0, 1.0, 100.0)
    assert Spread.of([5.0, 1.0, 100.0]).bounds == (1.0, 100.0)


def test_a_spread_reads_as_median_and_range():
    """With as many digits as asked for."""
    assert Spread(5.04, 1.25, 100.0).text(1) == "5.0 (1.2 to 100.0)"
    assert Spread(5.04, 1.25, 100.0).text(0) == "5 (1 to 100)"


def test_without_rounds_there_is_no_spread():
    """Nothing is made up."""
    with pytest.raises(statistics.StatisticsError):
        Spread.of([])


def test_rounds_are_compared_pair_by_pair():
    """A slow round is slow for both, so it cancels out."""
    assert differences([110.0, 210.0], [100.0, 200.0]) == [10.0, 10.0]
    assert ratios([110.0, 300.0], [100.0, 200.0]) == [1.1, 1.5]


def test_series_of_different_length_are_no_pairs():
    """A round without its partner is a mistake of the benchmark."""
    with pytest.raises(ValueError, match="zip"):
        differences([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])
