"""Histories that end at a moment, drawn in steps, and written as OpenMetrics for `promtool tsdb create-blocks-from`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

MINUTE_SECONDS = 60
HOUR = 60
DAY = 24 * HOUR

# Each from so many minutes before the moment on; None is silence. The history begins with the first step and ends at the moment.
Steps: TypeAlias = tuple[tuple[int, float | None], ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter that gains so much a minute."""

    steps: Steps


@dataclass(frozen=True, slots=True)
class Level:
    """A gauge, or a counter that rarely moves."""

    steps: Steps


@dataclass(frozen=True, slots=True)
class Stamped:
    """A gauge of a time: so many minutes before the moment."""

    steps: Steps


Drawn: TypeAlias = Counted | Level | Stamped


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One instance's history, and what an alert's expression makes of it.

    Attributes:
        alert: whose expression is asked.
        says: a sentence.
        history: what came in, by series without an instance, which is the case's own.
        fires: whether the expression has a result for this instance.
        ago: how many minutes before the end of the database the moment is.
    """

    alert: str
    says: str
    history: Mapping[str, Drawn]
    fires: bool
    ago: int = 0


def lines(series: str, drawn: Drawn, *, instance: str, moment: int) -> Iterator[str]:
    """A sample each minute.

    Args:
        series: name and labels, in braces.
        drawn: its values.
        instance: the label it gets.
        moment: when it ends, in seconds since 1970.
    """
    name = f'{series[:-1]}, instance="{instance}"}}'.replace("{, ", "{").replace(", ", ",")
    for ago, value in _values(drawn):
        at = moment - ago * MINUTE_SECONDS
        shown = moment - value * MINUTE_SECONDS if isinstance(drawn, Stamped) else value
        yield f"{name} {shown:.12g} {at}\n"


def _values(drawn: Drawn) -> Iterator[tuple[int, float]]:
    """Minutes before the moment, and the value then."""
    total = 0.0
    ends = [ago for ago, _ in drawn.steps[1:]]
    for (begin, value), end in zip(drawn.steps, [*ends, -1], strict=True):
        assert begin > end, f"steps go towards the moment: {begin}, {end}"
        if value is None:
            continue
        for ago in range(begin, end, -1):
            total += value
            yield ago, float(int(total + 1e-6)) if isinstance(drawn, Counted) else value
