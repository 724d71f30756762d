"""Pure: the garbage collections of a process, as they were noted, and the worst of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

FULL_GENERATION = 2


@dataclass(frozen=True, slots=True)
class Pause:
    """One collection: its begin by the monotonic clock, its seconds, and its generation."""

    begun: float
    seconds: float
    generation: int

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one line.

        Raises:
            ValueError: it is not three numbers.
        """
        begun, seconds, generation = line.split()
        return cls(float(begun), float(seconds), int(generation))


def between(pauses: Iterable[Pause], begin: float, end: float) -> list[Pause]:
    """Those that began in a span of the monotonic clock."""
    return [pause for pause in pauses if begin <= pause.begun < end]


def milliseconds(pauses: Iterable[Pause], *, full: bool) -> list[float]:
    """The durations of the full collections, or of all others."""
    return [pause.seconds * 1000 for pause in pauses if (pause.generation == FULL_GENERATION) is full]
