"""A service that lives, dies and loses things as a test tells it, and the stores beside it, all in memory."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field

from cli.audit.ledger import FOREVER
from cli.audit.samples import Sample
from cli.audit.session import Audit, Plan
from cli.audit.sighting import Sighting
from service.errors import Outcome
from service.requeststore.ledger import LedgerEntry, LedgerRow, Life, life_of

MS = 1_000_000
SECOND = 1000 * MS
START = 1_770_000_000 * SECOND
SIGNALS = {"loki": "logs", "jaeger": "traces"}


@dataclass
class Process:
    """One life: what it counted, and the samples of it that Prometheus got."""

    instance: str
    started: int
    entries: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    samples: dict = field(default_factory=dict)
    ended: bool = False
    sends: frozenset | None = None

    @property
    def life(self):
        return life_of(self.instance, self.started)

    def counts(self):
        return Counter(dict.fromkeys(Outcome, 0)) + Counter(row.outcome for row in self.requests)


class World:
    """Moves by hand. One instance has one process at a time; every store gets everything unless told otherwise."""

    def __init__(self):
        self.now = START
        self.processes = []
        self.rows = []
        self.stores = {"loki": [], "jaeger": []}
        self.served = 0

    def tick(self, ns=SECOND):
        self.now += ns

    @property
    def running(self):
        return self.processes[-1] if self.processes and not self.processes[-1].ended else None

    def start(self, instance="one", *, sends=None):
        """A process; `sends` are the signals that leave it by OTLP, None when its ledger does not say."""
        self.tick()
        self.processes.append(Process(instance, self.now, sends=sends))

    def serve(self, outcome=Outcome.SUCCESS, *, took=10 * MS, lost_by=()):
        """One inference that ends now; `lost_by` names the stores that do not get it."""
        self.tick(MS)
        self.served += 1
        process = self.running
        row = LedgerRow(
            request_id=f"request-{self.served}",
            trace_id=f"{self.served:032x}",
            span_id=f"{self.served:016x}",
            started_unix_ns=self.now - took,
            duration=took / SECOND,
            outcome=outcome,
            life=process.life,
            seq=len(process.requests) + 1,
        )
        process.requests.append(row)
        if "embedded" not in lost_by:
            self.rows.append(row)
        for store in {"loki", "jaeger"} - set(lost_by):
            if process.sends is None or SIGNALS[store] in process.sends:
                self.stores[store].append(self.sighting(row))
        return row

    def sighting(self, row):
        return Sighting(
            span_id=row.span_id,
            request_id=row.request_id,
            status=row.outcome.value,
            instance=row.life.partition(":")[0],
            started_unix_ns=row.started_unix_ns,
            ended_unix_ns=row.started_unix_ns + round(row.duration * SECOND),
        )

    def collect(self, *, sampled=True):
        """A collection; `sampled` is whether its sample ever reaches Prometheus."""
        self.tick(7 * MS + 123)
        process = self.running
        counts = Counter(dict.fromkeys(Outcome, 0))
        counts.update(process.counts())
        process.entries.append(LedgerEntry(life=process.life, collected_unix_ns=self.now, counts=counts))
        if sampled and (process.sends is None or "metrics" in process.sends):
            process.samples[self.now // MS] = counts

    def stop(self, *, sampled=True):
        """End as it should: collected once more, then closed."""
        self.collect(sampled=sampled)
        self._close()

    def kill(self):
        """End without a word; the next start writes what the table of open events still says."""
        self._close()

    def _close(self):
        process = self.running
        self.tick(MS)
        counts = Counter(dict.fromkeys(Outcome, 0))
        counts.update(process.counts())
        process.entries.append(LedgerEntry(life=process.life, collected_unix_ns=self.now, counts=counts, final=True, died=True))
        process.ended = True

    def audit(self, *, since=0, until=None, settle=0.0, most_named=100, stores=("loki", "jaeger"), samples=True, **clocks):
        return Audit(
            plan=Plan(since_ns=since, until_ns=self.now + SECOND if until is None else until, settle=settle, most_named=most_named),
            ledger=MemoryLedger(self),
            sightings=[MemorySightings(name, self.stores[name]) for name in stores],
            samples=MemorySamples(self) if samples else None,
            stream=io.StringIO(),
            unix_ns=lambda: self.now,
            **clocks,
        )


class MemoryLedger:
    """The ledger of a world."""

    def __init__(self, world):
        self._world = world

    def _process(self, life):
        return next(process for process in self._world.processes if process.life == life)

    def lives(self, since_ns=0, until_ns=FOREVER):
        return [
            Life(
                life=process.life,
                instance=process.instance,
                started_unix_ns=process.started,
                first_unix_ns=process.entries[0].collected_unix_ns,
                last_unix_ns=process.entries[-1].collected_unix_ns,
                final=process.entries[-1].final,
                died=process.entries[-1].died,
                sends=process.sends,
            )
            for process in self._world.processes
            if process.entries and process.started < until_ns and process.entries[-1].collected_unix_ns >= since_ns
        ]

    def living(self, since_ns):
        return frozenset(process.life for process in self._world.processes if not process.ended)

    def entries(self, life, since_ns=0, until_ns=FOREVER):
        return (entry for entry in self._process(life).entries if since_ns <= entry.collected_unix_ns < until_ns)

    def last_before(self, life, ns):
        return next((entry for entry in reversed(self._process(life).entries) if entry.collected_unix_ns < ns), None)

    def rows(self, life, after=0, up_to=None):
        return (row for row in self._world.rows if row.life == life and after < row.seq and (up_to is None or row.seq <= up_to))

    def rows_started(self, since_ns=0, until_ns=FOREVER):
        rows = sorted(self._world.rows, key=lambda row: row.started_unix_ns)
        return (row for row in rows if since_ns <= row.started_unix_ns < until_ns)

    def oldest_start(self):
        return min((row.started_unix_ns for row in self._world.rows), default=None)

    def has(self, request_id, span_id):
        return any(row.span_id == span_id for row in self._world.rows)


class MemorySightings:
    """A store of spans or records; gives each twice, and a little more than it was asked for."""

    def __init__(self, name, sightings):
        self.name = name
        self.signal = SIGNALS[name]
        self.asked = []
        self._sightings = sightings

    async def between(self, since_ns, until_ns):
        self.asked.append((since_ns, until_ns))
        found = [sighting for sighting in self._sightings if since_ns - 1000 <= sighting.started_unix_ns < until_ns + 1000]
        return found + found


class MemorySamples:
    """The samples of a world, by the instance in the selector."""

    def __init__(self, world):
        self._world = world
        self.dropped_items = {}

    def _samples(self, selector):
        pairs = [
            (ms, counts)
            for process in self._world.processes
            if f'instance="{process.instance}"' in selector
            for ms, counts in process.samples.items()
        ]
        return [Sample(ms=ms, counts=counts) for ms, counts in sorted(pairs, key=lambda pair: pair[0])]

    async def before(self, selector, ms, since_ms):
        return next((sample for sample in reversed(self._samples(selector)) if since_ms < sample.ms <= ms), None)

    async def after(self, selector, ms, until_ms):
        return next((sample for sample in self._samples(selector) if ms < sample.ms <= until_ms), None)

    async def scraped_as(self, instance, at_ms, range_ms):
        return f'{{job="mgeo",instance="{instance}"}}' if instance == "one" else None

    async def dropped(self):
        return self.dropped_items
