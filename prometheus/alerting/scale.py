"""How long the rules' minutes are: as written, or shorter for drills. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

_UNITS = (("d", 86_400_000, "天"), ("h", 3_600_000, "小时"), ("m", 60_000, "分钟"), ("s", 1_000, "秒"), ("ms", 1, "毫秒"))


@dataclass(frozen=True, slots=True)
class Duration:
    """A window, a delay or an age that a rule waits for; shorter in drills."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Count:
    """How many of something in one window; a shorter window holds fewer."""

    number: float


def minutes(number: float) -> Duration:
    """So many minutes."""
    return Duration(number * 60)


def hours(number: float) -> Duration:
    """So many hours."""
    return Duration(number * 3600)


def days(number: float) -> Duration:
    """So many days."""
    return Duration(number * 86_400)


class Scale(Protocol):
    """Writes what changes with the length of a minute, and nothing else does."""

    def duration(self, duration: Duration) -> str:
        """As PromQL and Alertmanager write it: `5m`."""
        ...

    def seconds(self, duration: Duration) -> str:
        """As a number that is compared with seconds: `300`."""
        ...

    def spoken(self, duration: Duration) -> str:
        """In a Chinese sentence: `5 分钟`."""
        ...

    def count(self, count: Count) -> str:
        """As a number: `20`."""
        ...


class TimeScale:
    """Every duration and every count times a factor; 1 is what is checked in.

    Raises:
        ValueError: the factor is not a positive number.
    """

    def __init__(self, factor: float = 1.0) -> None:
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"a scale is a positive number, not {factor}")
        self._factor = factor

    def duration(self, duration: Duration) -> str:
        """In the largest unit that makes a whole number of it; at least a millisecond, unless it is nothing."""
        number, unit, _ = self._whole(duration)
        return f"{number}{unit}"

    def seconds(self, duration: Duration) -> str:
        """Seconds, in decimal."""
        return _plain(duration.seconds * self._factor)

    def spoken(self, duration: Duration) -> str:
        """The same as `duration`, with the unit's Chinese name."""
        number, _, name = self._whole(duration)
        return f"{number} {name}"

    def count(self, count: Count) -> str:
        """The count, in decimal."""
        return _plain(count.number * self._factor)

    def _whole(self, duration: Duration) -> tuple[int, str, str]:
        milliseconds = duration.seconds * self._factor * 1000
        if milliseconds == 0:
            return 0, "s", "秒"
        whole = max(round(milliseconds), 1)
        size, unit, name = next((size, unit, name) for unit, size, name in _UNITS if whole % size == 0)
        return whole // size, unit, name


def _plain(number: float) -> str:
    return f"{round(number, 6):f}".rstrip("0").rstrip(".")
