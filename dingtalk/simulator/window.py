"""How many calls of a robot a minute takes: a sliding window, and a fixed one."""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum
from typing import Protocol


class WindowKind(StrEnum):
    """DingTalk does not say which of the two it has; the sliding one is the stricter."""

    SLIDING = "sliding"
    FIXED = "fixed"


class Window(Protocol):
    """Counts what it admits. The width is given with every question, because drills shorten it while it runs."""

    def admit(self, now: float, width: float) -> bool:
        """Count one call at `now` when there is room; whether there was."""
        ...

    def used(self, now: float, width: float) -> int:
        """How many calls of the current window are counted."""
        ...


def new_window(kind: WindowKind, limit: int) -> Window:
    """An empty window of this kind."""
    return SlidingWindow(limit) if kind is WindowKind.SLIDING else FixedWindow(limit)


class SlidingWindow:
    """Never more than `limit` in any stretch of `width` seconds, both of its ends included."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._admitted: deque[float] = deque()

    def admit(self, now: float, width: float) -> bool:
        """Count one call at `now` when there is room; whether there was."""
        if self.used(now, width) >= self._limit:
            return False
        self._admitted.append(now)
        return True

    def used(self, now: float, width: float) -> int:
        """How many calls of the last `width` seconds are counted."""
        while self._admitted and now - self._admitted[0] > width:
            self._admitted.popleft()
        return len(self._admitted)


class FixedWindow:
    """Never more than `limit` between two multiples of `width`; around such a border up to twice as many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._number = -1
        self._count = 0

    def admit(self, now: float, width: float) -> bool:
        """Count one call at `now` when there is room; whether there was."""
        if self.used(now, width) >= self._limit:
            return False
        self._count += 1
        return True

    def used(self, now: float, width: float) -> int:
        """How many calls since the last border are counted."""
        number = math.floor(now / width)
        if number != self._number:
            self._number, self._count = number, 0
        return self._count
