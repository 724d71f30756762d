"""Spans of time as people write them: `250ms`, `30s`, `5m`, `1.5h`."""

from __future__ import annotations

import re

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds of a number with a unit.

    Raises:
        ValueError: there is no number, or no unit: `30` alone could mean anything.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration; write a number and us, ms, s, m or h, such as 250ms or 30s")
    return float(found[1]) * _UNITS[found[2]]


def duration_text(seconds: float) -> str:
    """A duration with three significant digits in the unit a reader would choose: `1.25 ms`, `800 ms`, `12.0 s`."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    for limit, factor, unit in ((1.0, 1e3, "ms"), (120.0, 1.0, "s"), (7200.0, 1 / 60, "min")):
        if seconds < limit:
            return f"{_three_digits(seconds * factor)} {unit}"
    return f"{_three_digits(seconds / 3600)} h"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
