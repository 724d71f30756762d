"""Pure: several rounds of the same measurement, and two series of rounds that were taken in turns."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle, the smallest and the largest of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Spread:
        """Sum up at least one round.

        Raises:
            statistics.StatisticsError: there is none.
        """
        return cls(statistics.median(rounds), min(rounds), max(rounds))

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest."""
        return (self.low, self.high)

    def text(self, digits: int) -> str:
        """`median (low to high)`, each with so many digits after the point."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def differences(measured: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Round by round, how much more was measured than of the reference: what disturbs a round disturbs both.

    Raises:
        ValueError: the two differ in length.
    """
    return [value - base for value, base in zip(measured, reference, strict=True)]


def ratios(measured: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Round by round, how many times the reference was measured.

    Raises:
        ValueError: the two differ in length.
        ZeroDivisionError: the reference has a round of nought.
    """
    return [value / base for value, base in zip(measured, reference, strict=True)]
