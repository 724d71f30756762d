"""The monthly quota, and what is given up for it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.quota import Degradation, degradation, forecast, month

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(*moment, zone=SHANGHAI):
    return datetime(*moment, tzinfo=zone).timestamp()


def test_a_month_begins_and_ends_at_local_midnight():
    """Of the organisation, and December is followed by January."""
    assert month(at(2026, 11, 28, 3), SHANGHAI) == (at(2026, 11, 1), at(2026, 12, 1))
    assert month(at(2026, 12, 1), SHANGHAI) == (at(2026, 12, 1), at(2027, 1, 1))
    assert month(at(2026, 11, 30, 16, zone=ZoneInfo("UTC")), SHANGHAI)[0] == at(2026, 12, 1)


def test_the_forecast_goes_on_as_the_last_three_days():
    """300 calls in three days and ten days to go: a thousand more."""
    end = at(2026, 12, 1)
    assert forecast(used=500, recent=300, now=end - 10 * 86_400, end=end) == pytest.approx(1500)
    assert forecast(used=500, recent=300, now=end, end=end) == 500


@pytest.mark.parametrize(
    ("used", "expected", "before", "step"),
    [
        (100, 2399, 0, 0),
        (100, 2400, 0, 1),
        (100, 2101, 1, 1),  # not yet far enough below
        (100, 2099, 1, 0),
        (100, 3000, 0, 2),
        (100, 2701, 2, 2),
        (100, 2699, 2, 1),
        (2850, 2850, 0, 3),
        (2849, 2999, 0, 1),
        (2600, 2600, 3, 3),
        (10, 10, 3, 0),  # a new month
        (5000, 9000, 0, 3),
    ],
)
def test_each_step_has_its_threshold_and_is_left_below_it(used, expected, before, step):
    """Of a quota of 3,000: 80 % and 100 % by forecast, 95 % by use; left ten points below."""
    assert degradation(used=used, expected=float(expected), limit=3000, before=Degradation(before)) is Degradation(step)


@given(st.integers(0, 6000), st.floats(0, 9000), st.sampled_from(Degradation))
def test_a_step_that_holds_goes_on_to_hold(used, expected, before):
    """Nothing flips back and forth while the measures stay."""
    step = degradation(used=used, expected=expected, limit=3000, before=before)
    assert degradation(used=used, expected=expected, limit=3000, before=step) is step
