"""Spans of time, read and shown."""

from __future__ import annotations

import pytest

from cli.duration import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0), (" 7us ", 7e-6), ("0s", 0.0)]
)
def test_a_number_with_a_unit_is_a_duration(text, seconds):
    """Microseconds to hours."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["30", "", "s", "-1s", "1 s", "1e3s", "1d", "1s 2s", ".5s"])
def test_anything_else_is_refused_with_an_example(text):
    """A number without a unit above all: it could mean anything."""
    with pytest.raises(ValueError, match="is not a duration; write a number and us, ms, s, m or h, such as 250ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 µs"),
        (0.000421, "421 µs"),
        (0.00125, "1.25 ms"),
        (0.0457, "45.7 ms"),
        (0.8, "800 ms"),
        (1.0, "1.00 s"),
        (12.04, "12.0 s"),
        (119.9, "120 s"),
        (300.0, "5.00 min"),
        (9000.0, "2.50 h"),
    ],
)
def test_a_duration_is_shown_with_three_digits(seconds, text):
    """In the unit a reader would choose."""
    assert duration_text(seconds) == text
