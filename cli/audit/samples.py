"""Pure: how far the counts in Prometheus are from the ledger's at a collection, judged by the samples around it.

A counter is cumulative: one sample that was written says all that had been counted, whatever was lost before. So

- the sample of the collection itself is compared with it;
- where there is none, the next sample of the same life speaks for it, as it contains all that the missing one did: while an
  endpoint is away only the newest collection of a life is kept, and that is no loss;
- where nothing comes after it, the newest sample before it is all Prometheus has, and the rest is missing.

A sample that is not of the collection asked for is itself compared with the ledger at its own time: with the collection of
that millisecond, or, where the ledger has none there, with those before and after it, between which it must lie.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.audit.window import counts_of, difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.audit.ledger import Ledger
    from cli.audit.window import Counts
    from service.errors import Outcome
    from service.requeststore.ledger import LedgerEntry

MS = 1_000_000
LONGEST_SCRAPE_MS = 10_000
"""Twice the time after which Prometheus, as configured here, gives a scrape up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The counts of one life that Prometheus has for one millisecond."""

    ms: int
    counts: Mapping[Outcome, int]


def sample_ms(unix_ns: int) -> int:
    """The millisecond under which Prometheus keeps what was collected at a moment: it cuts off."""
    return unix_ns // MS


def bounds(ledger: Ledger, life: str, ms: int) -> tuple[LedgerEntry | None, LedgerEntry | None]:
    """The entries between which a sample of a millisecond must lie; both the same when it is of that collection.

    The first is None before the first collection, the second None after the last.
    """
    start, end = ms * MS, (ms + 1) * MS
    within = list(ledger.entries(life, start, end))
    if within:
        return within[0], within[-1]
    return ledger.last_before(life, start), next(ledger.entries(life, end), None)


def scrape_bounds(ledger: Ledger, life: str, ms: int) -> tuple[LedgerEntry | None, LedgerEntry | None]:
    """The same for a scrape: its sample has the time at which it began, but counts what had ended when it was answered."""
    return ledger.last_before(life, (ms + 1) * MS), next(ledger.entries(life, (ms + LONGEST_SCRAPE_MS) * MS), None)


def deviation(sample: Sample, lower: LedgerEntry | None, upper: LedgerEntry | None) -> Counts:
    """By how much a sample is outside its bounds, by outcome: below 0 where it lacks something."""
    low, high = counts_of(lower), counts_of(upper)
    outside: Counts = Counter()
    for outcome in {*low, *high, *sample.counts}:
        count = sample.counts.get(outcome, 0)
        if count < low[outcome]:
            outside[outcome] = count - low[outcome]
        elif upper is not None and count > high[outcome]:
            outside[outcome] = count - high[outcome]
    return outside


def shortfall(before: Sample | None, entry: LedgerEntry) -> Counts:
    """By how much the newest sample before a collection is behind it, where nothing comes after it."""
    counted: Counts = Counter() if before is None else Counter(dict(before.counts))
    return difference(counted, counts_of(entry))
