"""Moments to come, read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cli.clock_time import clock_time

ZONE = timezone(timedelta(hours=8))
NOW = datetime(2026, 11, 28, 14, 30, 15, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        (" now ", NOW),
        ("22:00", datetime(2026, 11, 28, 22, 0, tzinfo=ZONE)),
        ("6:05", datetime(2026, 11, 29, 6, 5, tzinfo=ZONE)),
        ("14:30", datetime(2026, 11, 29, 14, 30, tzinfo=ZONE)),
        ("2026-11-28T22:00:00+08:00", datetime(2026, 11, 28, 14, 0, tzinfo=UTC)),
        ("2026-11-28T14:00:00Z", datetime(2026, 11, 28, 14, 0, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(text, moment):
    """A time of day is the next one on our clocks."""
    assert clock_time(text, now=NOW) == moment


def test_an_end_is_the_next_time_after_its_beginning():
    """From 22:00 to 6:00 is a night, also in the afternoon before; from 22:00 to 22:00 is a day."""
    begin = clock_time("22:00", now=NOW)
    assert clock_time("06:00", now=NOW, after=begin) == datetime(2026, 11, 29, 6, 0, tzinfo=ZONE)
    assert clock_time("22:00", now=NOW, after=begin) == datetime(2026, 11, 29, 22, 0, tzinfo=ZONE)
    assert clock_time("now", now=NOW, after=begin) == NOW


@pytest.mark.parametrize("text", ["", "24:00", "22", "22:60", "tomorrow", "2026-11-28", "2026-11-28T22:00:00", "-1:00", "22:00:00"])
def test_anything_else_is_refused_with_examples(text):
    """A moment without a time zone above all: it could mean another."""
    with pytest.raises(ValueError, match="is no moment; write now, a time such as 22:00, or one such as 2026-11-28T22:00:00"):
        clock_time(text, now=NOW)
