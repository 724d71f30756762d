"""When the requests of a load are due: Poisson arrivals, phase after phase, whatever the server does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.duration import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

MAX_RATE = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of steady load: seconds, and requests per second on average (0 is a pause)."""

    duration: float
    rate: float

    def __post_init__(self) -> None:
        """Refuse what cannot be sent; raises ValueError."""
        if not 0 < self.duration <= 7 * 86_400:
            raise ValueError(f"a phase of {self.duration} s: it must be longer than 0 s and at most a week")
        if not 0 <= self.rate <= MAX_RATE:
            raise ValueError(f"a rate of {self.rate}: it must be from 0 to {MAX_RATE:.0f} requests a second")


def parse_phase(text: str) -> Phase:
    """Read `DURATION@RATE`, such as `30s@200`.

    Raises:
        ValueError: it is not of that form, or out of bounds.
    """
    duration, at, rate = text.partition("@")
    if not at:
        raise ValueError(f"{text!r} is not a phase; write DURATION@RATE, such as 30s@200")
    try:
        return Phase(duration=parse_duration(duration), rate=float(rate))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a phase: {error}") from error


def total_duration(phases: Sequence[Phase]) -> float:
    """Seconds of all phases together."""
    return sum(phase.duration for phase in phases)


def expected_requests(phases: Sequence[Phase]) -> float:
    """Requests that are due on average over all phases."""
    return sum(phase.duration * phase.rate for phase in phases)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that is due `at` seconds after the start, in the phase with this index."""

    at: float
    phase: int


def arrivals(phases: Sequence[Phase], random: Random) -> Iterator[Arrival]:
    """When each request is due, in order. Gaps are exponential: independent users arrive so, not a metronome."""
    begin = 0.0
    for index, phase in enumerate(phases):
        end = begin + phase.duration
        due = begin
        while phase.rate > 0:
            due += random.expovariate(phase.rate)
            if due >= end:
                break
            yield Arrival(due, index)
        begin = end
