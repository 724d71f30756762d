"""Exact percentiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.load.percentiles import Percentiles, percentile

SAMPLES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


@given(samples=SAMPLES, percent=st.integers(1, 100))
def test_a_percentile_is_the_nearest_rank(samples, percent):
    """It is one of the samples, and the one numpy's `inverted_cdf` gives."""
    ordered = sorted(samples)
    found = percentile(ordered, percent)
    assert found in ordered
    assert found == np.percentile(ordered, percent, method="inverted_cdf")


@given(samples=SAMPLES)
def test_the_percentiles_are_ordered(samples):
    """p50 <= p90 <= p95 <= p99 <= max, and the mean lies between the extremes."""
    found = Percentiles.of(samples)
    assert found.p50 <= found.p90 <= found.p95 <= found.p99 <= found.max == max(samples)
    assert min(samples) <= found.mean or math.isclose(min(samples), found.mean)
    assert found.count == len(samples)


def test_a_hundred_samples_have_the_percentiles_one_expects():
    """Of 1 to 100 the 95th percentile is 95."""
    assert Percentiles.of(range(100, 0, -1)) == Percentiles(count=100, mean=50.5, p50=50, p90=90, p95=95, p99=99, max=100)


def test_nothing_has_no_percentiles():
    """Rather than a nought that could pass for a fast server."""
    assert Percentiles.of([]) is None


def test_as_json_they_are_rounded_to_a_microsecond():
    """More digits would only pretend."""
    assert Percentiles.of([0.123456789]).to_json() == {
        "count": 1,
        "mean": 0.123457,
        "p50": 0.123457,
        "p90": 0.123457,
        "p95": 0.123457,
        "p99": 0.123457,
        "max": 0.123457,
    }


def test_the_nought_percentile_is_the_smallest_sample():
    """No rank lies below the first."""
    assert percentile([1.0, 2.0], 0) == pytest.approx(1.0)
