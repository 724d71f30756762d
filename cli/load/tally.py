"""The counts and latencies of a load, as they come in."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.load.outcome import FAILURES, LoadOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.load.mix import Kind
    from cli.load.outcome import Answer, Verdict
    from cli.load.request import LoadRequest


def _seconds() -> array[float]:
    return array("d")


@dataclass(slots=True, kw_only=True)
class Tally:
    """What has happened so far; one owner, one thread.

    Attributes:
        outcomes: requests by how they ended.
        inferences: inferences asked for, by how they ended; a refused batch is one.
        kinds: requests sent by kind.
        not_sent: requests that were due but would have been one more in flight than allowed.
        statuses: HTTP statuses of the outcome `unexpected`.
        latencies: seconds from the moment a request was due to its end, by outcome.
        lateness: seconds by which each request left late; the generator's own fault.
    """

    outcomes: Counter[LoadOutcome] = field(default_factory=Counter)
    inferences: Counter[LoadOutcome] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: dict[LoadOutcome, array[float]] = field(default_factory=dict)
    lateness: array[float] = field(default_factory=_seconds)
    not_sent: int = 0

    @property
    def sent(self) -> int:
        """Requests that ended, whichever way."""
        return self.outcomes.total()

    @property
    def failures(self) -> int:
        """Requests whose outcome counts against the service."""
        return sum(self.outcomes[outcome] for outcome in FAILURES)

    def add(self, request: LoadRequest, verdict: Verdict, *, answer: Answer | None, latency: float) -> None:
        """Count one request that ended."""
        self.outcomes[verdict.outcome] += 1
        self.inferences.update(verdict.inferences)
        self.kinds[request.kind] += 1
        self.latencies.setdefault(verdict.outcome, _seconds()).append(latency)
        if answer is not None and verdict.outcome is LoadOutcome.UNEXPECTED:
            self.statuses[answer.status] += 1

    def all_latencies(self) -> Iterable[float]:
        """Latencies of every request this side did not cut off itself."""
        for outcome, latencies in self.latencies.items():
            if outcome is not LoadOutcome.CANCELLED:
                yield from latencies

    def merge(self, other: Tally) -> None:
        """Add what another tally counted."""
        self.outcomes += other.outcomes
        self.inferences += other.inferences
        self.kinds += other.kinds
        self.statuses += other.statuses
        self.lateness += other.lateness
        self.not_sent += other.not_sent
        for outcome, latencies in other.latencies.items():
            self.latencies.setdefault(outcome, _seconds()).extend(latencies)
