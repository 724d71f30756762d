"""Runs one audit: chooses the window, counts the rows, reads the stores slice by slice, and looks again until all has arrived."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, TextIO

from cli.audit.backend import BackendUnread
from cli.audit.comparison import Side, Slice, compare, shorter, slices
from cli.audit.embedded import Rows, count_rows
from cli.audit.range import NS
from cli.audit.series import LifeCounts, pushed_counts, scraped_counts
from cli.audit.verdict import TITLES, StoreCounts, Verdict
from cli.audit.window import choose_window, difference, in_window, total
from cli.progress import open_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cli.audit.ledger import Ledger
    from cli.audit.prometheus import PrometheusSamples
    from cli.audit.sighting import Sighting, Sightings
    from cli.audit.window import Counts, LifeWindow, Window
    from cli.progress import Progress
    from service.requeststore.ledger import LedgerRow

SLICE_ROWS = 2000
IN_PARALLEL = 4
"""Slices that are read at once: what a run needs of memory, and asks of the stores, has this bound."""
POLL = 0.5
"""Seconds between two looks at what is still missing."""
COLLECTION_WAIT = 15.0
"""Seconds to wait for the next collection of what runs: an interval and a half."""
LONGEST_NS = 300 * NS
"""Of a slice, when rows were lost: there is no telling how much a store has between two rows."""
EARLIER_NS = 60 * NS
"""How much earlier than the window an inference may have started whose row was lost."""
PUSHED = "metrics"
"""The signal that Prometheus is sent."""
FRESH_NS = 30 * NS
"""A life whose last collection is older than three intervals is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to audit.

    Attributes:
        since_ns, until_ns: the range; `until` None is now, after the next collection of what runs.
        settle: seconds to wait at most for what is on its way.
        most_named: missing inferences that are named at most, for each store.
        scraped: whether Prometheus scrapes one process, instead of being pushed to by all.
    """

    since_ns: int
    until_ns: int | None
    settle: float
    most_named: int
    scraped: bool = False


@dataclass(slots=True, kw_only=True)
class Audit:
    """One audit over a ledger and the stores that are configured.

    Args:
        plan: what to audit.
        ledger: the truth.
        sightings: the stores of spans and log records.
        samples: Prometheus, if there is one.
        stream: where progress goes.
        unix_ns, monotonic, sleep: the clocks.
    """

    plan: Plan
    ledger: Ledger
    sightings: Sequence[Sightings]
    samples: PrometheusSamples | None
    stream: TextIO
    unix_ns: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic
    _sides: dict[str, Side] = field(init=False, default_factory=dict)
    _lives: dict[str, LifeCounts] = field(init=False, default_factory=dict)
    _prometheus_unread: str | None = field(init=False, default=None)
    _window: Window = field(init=False)
    _parts: Mapping[str, LifeWindow] = field(init=False)
    _rows: Rows = field(init=False)
    _lost: Counts = field(init=False, default_factory=Counter)
    _done: int = field(init=False, default=0)

    async def run(self) -> Verdict:
        """Audit.

        Raises:
            StoreError: the embedded store cannot be read.
        """
        until_ns = await self._until()
        deadline = self.monotonic() + self.plan.settle
        self._window = choose_window(self.ledger, self.plan.since_ns, until_ns)
        self._parts = self._window.by_life()
        self._sides = {
            store.name: Side(name=store.name, served=self._window.sent(store.signal), most_named=self.plan.most_named)
            for store in self.sightings
        }
        served = self._window.served.total()
        with open_progress("audit", served * (1 + len(self.sightings)), self.stream, monotonic=self.monotonic) as progress:
            self._rows = count_rows(self.ledger, self._window, lambda rows: progress.update(rows, lambda: "rows of the embedded store"))
            self._lost = difference(self._window.served, self._rows.counts)
            self._done = self._rows.counts.total()
            await self._read_series(progress)
            await self._read_all(progress)
            while self._unsettled() and self.monotonic() < deadline:
                progress.update(self._done, lambda: "waiting for what is on its way")
                await asyncio.sleep(min(POLL, max(deadline - self.monotonic(), 0)))
                await self._read_series(progress)
                await self._read_again()
        return self._verdict(until_ns)

    async def _until(self) -> int:
        """The end of the range: what runs is waited for until it was collected once more, so that nothing before now is left out."""
        if self.plan.until_ns is not None:
            return self.plan.until_ns
        asked, deadline = self.unix_ns(), self.monotonic() + min(self.plan.settle, COLLECTION_WAIT)
        while self.monotonic() < deadline and self._uncollected_since(asked):  # noqa: ASYNC110 -- another process writes it
            await asyncio.sleep(POLL)
        return self.unix_ns()

    def _uncollected_since(self, ns: int) -> bool:
        lives = self.ledger.lives()
        if any(not life.final and ns - FRESH_NS <= life.last_unix_ns < ns for life in lives):
            return True
        # One that has only just begun is known by its table alone, until it is collected for the first time.
        return bool(self.ledger.living(ns - FRESH_NS) - {life.life for life in lives})

    async def _read_series(self, progress: Progress) -> None:
        if self.samples is None or self._prometheus_unread is not None:
            return
        read = scraped_counts if self.plan.scraped else pushed_counts
        try:
            for part in self._window.lives:
                if not self.plan.scraped and PUSHED not in part.sends:
                    continue
                known = self._lives.get(part.life)
                if known is None or known.counts != known.served:
                    progress.update(self._done, lambda: "samples in Prometheus")
                    self._lives[part.life] = await read(self.samples, self.ledger, part)
        except BackendUnread as error:
            self._prometheus_unread = str(error)

    async def _read_all(self, progress: Progress) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            for part, rows in self._slices() if self.sightings else ():
                running.add(asyncio.create_task(self._read_slice(part, rows, progress)))
                if len(running) >= IN_PARALLEL:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _slices(self) -> Iterator[tuple[Slice, dict[str, LedgerRow]]]:
        since, until = self._rows.since_ns, self._rows.until_ns
        cut = slices(self.ledger.rows_started(since, until), lambda row: in_window(row, self._parts), SLICE_ROWS)
        if not self._lost:
            yield from cut
            return
        begin, end = (self._window.from_ns or 0) - EARLIER_NS, (self._window.to_ns or 0) + 1
        around = (
            [Slice(since_ns=begin, until_ns=since), Slice(since_ns=until, until_ns=end)] if until else [Slice(since_ns=begin, until_ns=end)]
        )
        for part, rows in chain(cut, ((part, {}) for part in around)):
            yield from shorter(part, rows, LONGEST_NS)

    async def _read_again(self) -> None:
        """Read those slices again in which a store lacks something."""
        for store in self.sightings:
            for part in self._sides[store.name].lacking:
                rows = {row.span_id: row for row in self.ledger.rows_started(part.since_ns, part.until_ns) if in_window(row, self._parts)}
                await self._read_store(store, part, rows)

    async def _read_slice(self, part: Slice, rows: dict[str, LedgerRow], progress: Progress) -> None:
        for store in self.sightings:
            await self._read_store(store, part, rows)
            self._done += len(rows)
            progress.update(self._done, lambda: "slices of Loki and Jaeger")

    async def _read_store(self, store: Sightings, part: Slice, rows: dict[str, LedgerRow]) -> None:
        side = self._sides[store.name]
        if side.unread is not None:
            return
        rows = {span: row for span, row in rows.items() if store.signal in self._parts[row.life].sends}
        if not (rows or self._lost):
            return
        try:
            seen = await store.between(part.since_ns, part.until_ns)
        except BackendUnread as error:
            side.unread = str(error)
            return
        is_lost = (lambda sighting: self._is_lost(sighting, part)) if self._lost else None
        side.put(part, compare(rows, seen, most_named=self.plan.most_named, is_lost=is_lost))

    def _is_lost(self, sighting: Sighting, part: Slice) -> bool:
        """Whether an inference that is none of the rows ended inside the window: then its row was lost."""
        if not part.since_ns <= sighting.started_unix_ns < part.until_ns:
            return False
        ended_inside = any(
            life.instance == sighting.instance and life.from_ns < sighting.ended_unix_ns <= life.to_ns for life in self._window.lives
        )
        return ended_inside and not self.ledger.has(sighting.request_id, sighting.span_id)

    def _unsettled(self) -> bool:
        if any(life.counts != life.served for life in self._lives.values()) and self._prometheus_unread is None:
            return True
        return any(side.unread is None and side.lacking for side in self._sides.values())

    def _verdict(self, until_ns: int) -> Verdict:
        served = self._window.served
        strays = {stray.span_id: stray for side in self._sides.values() for stray in side.strays_named}
        lost = sum(count for count in self._lost.values() if count > 0)
        return Verdict(
            asked_since_ns=self.plan.since_ns,
            asked_until_ns=until_ns,
            window=self._window,
            stores={
                "prometheus": self._prometheus(),
                "loki": self._side("loki"),
                "jaeger": self._side("jaeger"),
                "embedded": StoreCounts(
                    counts=self._rows.counts,
                    served=served,
                    missing=lost,
                    named=list(strays.values())[: min(self.plan.most_named, lost)],
                ),
            },
            gaps=self._rows.gaps,
            scraped=self.plan.scraped and self.samples is not None,
            notes=[*self._unsent(), *self._unscraped()],
        )

    def _side(self, name: str) -> StoreCounts:
        side = self._sides.get(name)
        if side is None:
            return StoreCounts()
        if side.unread is not None:
            return StoreCounts(unread=side.unread)
        # What it has of inferences whose rows were lost counts as well, up to what was lost.
        strays: Counts = Counter({outcome: min(count, max(self._lost[outcome], 0)) for outcome, count in side.strays.items()})
        counts = total([side.found, strays])
        return StoreCounts(counts=counts, served=side.served, missing=side.missing, named=side.named)

    def _prometheus(self) -> StoreCounts:
        if self.samples is None:
            return StoreCounts()
        if self._prometheus_unread is not None:
            return StoreCounts(unread=self._prometheus_unread)
        return StoreCounts(
            counts=total(life.counts for life in self._lives.values()), served=total(life.served for life in self._lives.values())
        )

    def _unsent(self) -> list[str]:
        """Which lives some stores are not compared with, since their processes did not send to them."""
        signals = {store.name: store.signal for store in self.sightings}
        if self.samples is not None and not self.plan.scraped:
            signals = {"prometheus": PUSHED, **signals}
        groups: dict[tuple[str, ...], list[LifeWindow]] = {}
        for part in self._window.lives:
            without = tuple(name for name, signal in signals.items() if signal not in part.sends)
            if without and part.served:
                groups.setdefault(without, []).append(part)
        return [
            f"process lives that were not set to send to {_listed(without)} (no OTLP endpoint): {len(parts)}; their inferences are"
            f" looked for in the other stores only: {total(part.served for part in parts).total()}"
            for without, parts in groups.items()
        ]

    def _unscraped(self) -> list[str]:
        if not self.plan.scraped or self.samples is None or self._prometheus_unread is not None:
            return []
        lacking = [part for part in self._window.lives if part.served and not self._lives[part.life].served]
        notes = []
        if lacking:
            notes.append(f"Prometheus scrapes the service only; lives of other processes that it is not compared with: {len(lacking)}")
        unscraped = total(life.unscraped for life in self._lives.values()).total()
        if unscraped:
            notes.append(
                f"inferences that ended after the last scrape of a process that has stopped, which Prometheus cannot know: {unscraped}"
            )
        return notes


def _listed(stores: Sequence[str]) -> str:
    *first, last = (TITLES[store] for store in stores)
    return f"{', '.join(first)} and {last}" if first else last
