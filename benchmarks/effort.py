"""How much work a run of the benchmarks is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often and how long is measured.

    Attributes:
        warm_up: requests each server answers before it is measured.
        rounds: measurements of each variant, from which median and spread are taken.
        turns: of each variant in one round; short ones, since the speed of a machine changes within seconds.
        requests: of one variant in one turn.
        seconds: of load where time is what counts.
        collections: full garbage collections that are asked for during that time.
    """

    warm_up: int
    rounds: int
    turns: int
    requests: int
    seconds: float
    collections: int


FULL = Effort(warm_up=1000, rounds=11, turns=10, requests=100, seconds=20.0, collections=9)
"""For figures that are written down; all benchmarks together take less than six minutes."""

QUICK = Effort(warm_up=100, rounds=2, turns=2, requests=100, seconds=3.0, collections=3)
"""To see whether it runs."""
