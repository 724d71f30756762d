"""Where in time a request is looked for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from service.requeststore.time_slices import time_slices, together, uuid7_unix_ns
from service.telemetry.ids import new_request_id

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NOW = 1_795_600_000 * SECOND
AHEAD = 600 * SECOND


def test_the_newest_hour_comes_first_then_a_day_at_a_time() -> None:
    """To the end of what is kept, without gap or overlap."""
    slices = list(time_slices("r-1", now_unix_ns=NOW, retention=3 * 86_400))
    assert slices[0] == (NOW + AHEAD - HOUR, NOW + AHEAD)
    assert slices[1] == (NOW + AHEAD - HOUR - DAY, NOW + AHEAD - HOUR)
    assert slices[-1][0] == NOW - 3 * DAY
    assert all(newer[0] == older[1] for newer, older in pairwise(slices))


@pytest.mark.parametrize("suffix", ["", ":3"])
def test_a_uuid7_tells_its_own_time(suffix: str) -> None:
    """A minute before it and an hour after come before all others."""
    made = NOW - 2 * DAY
    request_id = new_request_id(unix_ns=lambda: made)
    assert uuid7_unix_ns(request_id) == made
    slices = list(time_slices(request_id + suffix, now_unix_ns=NOW, retention=3 * 86_400))
    assert slices[:2] == [(made - 60 * SECOND, made + HOUR), (NOW + AHEAD - HOUR, NOW + AHEAD)]


@pytest.mark.parametrize("made", [NOW - 4 * DAY, NOW + HOUR])
def test_a_uuid7_from_outside_of_what_is_kept_tells_nothing(made: int) -> None:
    """A caller may have made it up."""
    slices = list(time_slices(new_request_id(unix_ns=lambda: made), now_unix_ns=NOW, retention=3 * 86_400))
    assert slices[0] == (NOW + AHEAD - HOUR, NOW + AHEAD)


@pytest.mark.parametrize("text", ["", "r-1", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"])
def test_other_ids_have_no_time(text: str) -> None:
    """Nor has a UUID of another version."""
    assert uuid7_unix_ns(text) is None


def test_moments_near_one_another_are_one_span_of_time() -> None:
    """From each to the next, not from the first."""
    assert together([9, 1, 2, 20, 5], within=4) == [(1, 9), (20, 20)]
    assert together([], within=4) == []
