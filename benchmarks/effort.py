"""How much work a run of the benchmarks is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often and how long is measured.

    Attributes:
        warm_up: requests each server answers before it is measured.
        rounds: turns in which every variant is measured once.
        requests: of one variant in one turn.
        seconds: of load where time is what counts.
        collections: full garbage collections that are asked for during that time.
    """

    warm_up: int
    rounds: int
    requests: int
    seconds: float
    collections: int


FULL = Effort(warm_up=1000, rounds=11, requests=1000, seconds=20.0, collections=9)
"""For figures that are written down; all benchmarks together take less than six minutes."""

QUICK = Effort(warm_up=100, rounds=2, requests=200, seconds=3.0, collections=3)
"""To see whether it runs."""
