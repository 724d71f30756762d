"""What Prometheus has of each life: from its samples around the ends of the window."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.audit.prometheus import pushed_as
from cli.audit.samples import MS, bounds, deviation, sample_ms, scrape_bounds, shortfall
from cli.audit.window import difference

if TYPE_CHECKING:
    from cli.audit.ledger import Ledger
    from cli.audit.prometheus import PrometheusSamples
    from cli.audit.window import Counts, LifeWindow
    from service.requeststore.ledger import LedgerEntry

SCRAPE_RANGE_MS = 3_600_000
"""How far before the end of a life its scraped series are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeCounts:
    """What Prometheus has of one life.

    Attributes:
        counts: of the window.
        served: what it should have of it; nothing when the life is not scraped.
        unscraped: what a process that has ended counted after it was last scraped.
    """

    counts: Counts = field(default_factory=Counter)
    served: Counts = field(default_factory=Counter)
    unscraped: Counts = field(default_factory=Counter)


async def pushed_counts(samples: PrometheusSamples, ledger: Ledger, part: LifeWindow) -> LifeCounts:
    """The counts of a life that pushes its collections.

    Raises:
        BackendUnread: Prometheus cannot be read.
        StoreError: the ledger cannot be read.
    """
    counts: Counts = Counter(part.served)
    if part.served:
        ends = _Ends(samples, ledger, part, pushed_as(part.instance))
        counts.update(await ends.exact(part.end))
        counts.subtract(await ends.exact(part.begin))
    return LifeCounts(counts=counts, served=part.served)


async def scraped_counts(samples: PrometheusSamples, ledger: Ledger, part: LifeWindow) -> LifeCounts:
    """The counts of a life whose process is scraped, at moments that are not those of its collections.

    Raises:
        BackendUnread: Prometheus cannot be read.
        StoreError: the ledger cannot be read.
    """
    range_ms = part.to_ns // MS - part.started_unix_ns // MS + SCRAPE_RANGE_MS
    selector = await samples.scraped_as(part.instance, part.to_ns // MS + SCRAPE_RANGE_MS // 60, range_ms) if part.served else None
    if selector is None:
        return LifeCounts()
    ends = _Ends(samples, ledger, part, selector)
    counts: Counts = Counter(part.served)
    off, behind = await ends.near(part.end)
    counts.update(off)
    counts.subtract((await ends.near(part.begin))[0])
    if part.final:
        return LifeCounts(counts=counts, served=part.served, unscraped=behind)
    counts.subtract(behind)
    return LifeCounts(counts=counts, served=part.served)


class _Ends:
    """The two ends of a part of a life, in its samples."""

    def __init__(self, samples: PrometheusSamples, ledger: Ledger, part: LifeWindow, selector: str) -> None:
        self._samples = samples
        self._ledger = ledger
        self._life = part.life
        self._selector = selector
        self._since_ms = sample_ms(part.started_unix_ns) - 1
        self._until_ms = sample_ms(part.until_ns) - 1

    async def exact(self, entry: LedgerEntry | None) -> Counts:
        """How far Prometheus is from a collection."""
        if entry is None:
            return Counter()
        ms = sample_ms(entry.collected_unix_ns)
        at = await self._samples.before(self._selector, ms, ms - 1) or await self._samples.after(self._selector, ms, self._until_ms)
        if at is not None:
            return deviation(at, *bounds(self._ledger, self._life, at.ms))
        return shortfall(await self._samples.before(self._selector, ms - 1, self._since_ms), entry)

    async def near(self, entry: LedgerEntry | None) -> tuple[Counts, Counts]:
        """How far it is from the ledger around a collection, and what it had not been told yet."""
        if entry is None:
            return Counter(), Counter()
        ms = sample_ms(entry.collected_unix_ns)
        after = await self._samples.after(self._selector, ms - 1, self._until_ms)
        if after is not None:
            return deviation(after, *scrape_bounds(self._ledger, self._life, after.ms)), Counter()
        before = await self._samples.before(self._selector, ms - 1, self._since_ms)
        if before is None:
            return Counter(), difference(Counter(), shortfall(None, entry))
        off = deviation(before, *scrape_bounds(self._ledger, self._life, before.ms))
        behind = difference(difference(Counter(), shortfall(before, entry)), difference(Counter(), off))
        return off, behind
