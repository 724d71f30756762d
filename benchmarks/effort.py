"""How much work a run of the benchmarks is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEffort:
    """How much the running stack is given to do.

    Attributes:
        stored: requests that are stored when look-ups are timed, first few, then many.
        fresh: requests that are followed from their answer until they are found everywhere.
        spacing: seconds between two of these.
        idle: seconds in which what the stack does by itself is measured.
        load_rate: requests a second of the load whose CPU time is measured.
        load_seconds: of it.
        rounds: of look-ups, from which median and spread are taken.
        look_ups: in each way and round.
    """

    stored: tuple[int, int]
    fresh: int
    spacing: float
    idle: float
    load_rate: float
    load_seconds: float
    rounds: int
    look_ups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierEffort:
    """How much the notifier is given to do.

    Attributes:
        waiting: notifications in the full outbox.
        rounds: of everything but the storm, from which median and spread are taken.
        requests: notifications whose acceptance is timed, each way and round.
        rate: of them in a second.
        rest: seconds in which it has nothing to do, before its memory is read, and then in which its CPU time is.
        flood: notifications that are posted as fast as they are taken.
        storms: how many there are.
        storm_alerts: in one.
        storm_seconds: within which they come.
        critical_every: one in so many is critical.
    """

    waiting: int
    rounds: int
    requests: int
    rate: float
    rest: float
    flood: int
    storms: int
    storm_alerts: int
    storm_seconds: float
    critical_every: int


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
        stack: of the running stack.
        notifier: of the notifier.
    """

    warm_up: int
    rounds: int
    turns: int
    requests: int
    seconds: float
    collections: int
    stack: StackEffort
    notifier: NotifierEffort


FULL = Effort(
    warm_up=1000,
    rounds=11,
    turns=10,
    requests=100,
    seconds=20.0,
    collections=9,
    stack=StackEffort(
        stored=(10_000, 500_000), fresh=120, spacing=0.5, idle=30.0, load_rate=100.0, load_seconds=60.0, rounds=5, look_ups=20
    ),
    notifier=NotifierEffort(
        waiting=100_000,
        rounds=5,
        requests=1000,
        rate=100.0,
        rest=3.0,
        flood=2000,
        storms=3,
        storm_alerts=10_000,
        storm_seconds=60.0,
        critical_every=100,
    ),
)
"""For figures that are written down; `notifier` takes a quarter of an hour, all others but `stack` together less than six minutes."""

QUICK = Effort(
    warm_up=100,
    rounds=2,
    turns=2,
    requests=100,
    seconds=3.0,
    collections=3,
    stack=StackEffort(stored=(1000, 3000), fresh=10, spacing=0.2, idle=3.0, load_rate=50.0, load_seconds=4.0, rounds=2, look_ups=5),
    notifier=NotifierEffort(
        waiting=2000,
        rounds=2,
        requests=100,
        rate=100.0,
        rest=1.0,
        flood=300,
        storms=1,
        storm_alerts=600,
        storm_seconds=4.0,
        critical_every=100,
    ),
)
"""To see whether it runs."""
