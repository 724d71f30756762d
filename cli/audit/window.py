"""Pure: which part of each process life is audited. It lies between two collections, where all stores can be compared exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.audit.ledger import FOREVER
from service.errors import Outcome
from service.telemetry.names import OTLP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cli.audit.ledger import Ledger
    from service.requeststore.ledger import LedgerEntry, LedgerRow, Life

EVERY_SIGNAL = frozenset(OTLP_SIGNALS)
"""What a life is taken to have sent whose entries do not say it: better a difference too many than one too few."""
Counts = Counter[Outcome]
"""Inferences by outcome; below 0 where it is a difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeWindow:
    """What is audited of one life: the inferences numbered above `first` up to `last`.

    Attributes:
        begin: the collection before the first of them; None when it begins with the life.
        end: the collection that covers the last of them; None when the life was never collected.
        final: whether the life has ended.
        unflushed: what ended after its last collection and died with it.
        until_ns: when the next life of the same instance began; metric series go on there.
        sends: the signals that left the process by OTLP: the stores of the others are not compared with it.
    """

    life: str
    instance: str
    started_unix_ns: int
    begin: LedgerEntry | None
    end: LedgerEntry | None
    final: bool
    unflushed: Counts
    until_ns: int
    sends: frozenset[str]

    @property
    def first(self) -> int:
        """The number before the first one audited."""
        return 0 if self.begin is None else self.begin.total

    @property
    def last(self) -> int:
        """The number of the last one audited."""
        return self.first if self.end is None else self.end.total

    @property
    def served(self) -> Counts:
        """The difference of the two collections."""
        return difference(counts_of(self.end), counts_of(self.begin)) if self.end is not None else Counter()

    @property
    def from_ns(self) -> int:
        """When it begins."""
        return self.started_unix_ns if self.begin is None else self.begin.collected_unix_ns

    @property
    def to_ns(self) -> int:
        """When it ends."""
        return self.from_ns if self.end is None else self.end.collected_unix_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """All that is audited."""

    lives: tuple[LifeWindow, ...]

    @property
    def served(self) -> Counts:
        """By the ledger."""
        return total(life.served for life in self.lives)

    def sent(self, signal: str) -> Counts:
        """That part of it whose processes send a signal by OTLP."""
        return total(life.served for life in self.lives if signal in life.sends)

    @property
    def unflushed(self) -> Counts:
        """What died with its processes."""
        return total(life.unflushed for life in self.lives)

    @property
    def restarts(self) -> int:
        """How often an instance began again."""
        return len(self.lives) - len({life.instance for life in self.lives})

    @property
    def from_ns(self) -> int | None:
        """When the first part begins; None when nothing is audited."""
        return min((life.from_ns for life in self.lives), default=None)

    @property
    def to_ns(self) -> int | None:
        """When the last part ends."""
        return max((life.to_ns for life in self.lives), default=None)

    def by_life(self) -> Mapping[str, LifeWindow]:
        """The parts by the ids of their lives."""
        return {life.life: life for life in self.lives}


def choose_window(ledger: Ledger, since_ns: int, until_ns: int) -> Window:
    """The largest window of collections inside a range of time.

    A part begins with its life, or at the first collection at or after `since`, and ends at the last one at or before `until`.
    """
    lives = ledger.lives(since_ns, until_ns + 1)
    begins: dict[str, list[int]] = {}
    for life in ledger.lives():
        begins.setdefault(life.instance, []).append(life.started_unix_ns)
    parts = []
    for life in lives:
        later = (start for start in begins[life.instance] if start > life.started_unix_ns)
        parts.append(_part(ledger, life, since_ns, until_ns, min(later, default=FOREVER)))
    return Window(lives=tuple(part for part in parts if part is not None))


def in_window(row: LedgerRow, parts: Mapping[str, LifeWindow]) -> bool:
    """Whether an inference is audited."""
    part = parts.get(row.life)
    return part is not None and row.seq is not None and part.first < row.seq <= part.last


def counts_of(entry: LedgerEntry | None) -> Counts:
    """The counts of an entry; none before the first."""
    return Counter() if entry is None else Counter(dict(entry.counts))


def total(parts: Iterable[Counts]) -> Counts:
    """The sum, with its signs."""
    summed: Counts = Counter()
    for part in parts:
        summed.update(part)
    return summed


def difference(one: Counts, other: Counts) -> Counts:
    """`one - other`, with its signs, without zeros."""
    left: Counts = Counter(one)
    left.subtract(other)
    return Counter({outcome: count for outcome, count in left.items() if count})


def size(counts: Counts) -> int:
    """How many, whatever their signs."""
    return sum(map(abs, counts.values()))


def _part(ledger: Ledger, life: Life, since_ns: int, until_ns: int, next_ns: int) -> LifeWindow | None:
    # Only the last entry of a life that died tells of more than had left it; one that ended well has handed everything over.
    final = ledger.last_before(life.life, FOREVER) if life.died else None
    closed = FOREVER if final is None else final.collected_unix_ns
    begin, end = None, ledger.last_before(life.life, min(until_ns + 1, closed))
    if life.started_unix_ns < since_ns:
        begin = next(ledger.entries(life.life, since_ns, closed), None)
        if begin is None or end is None or end.collected_unix_ns <= begin.collected_unix_ns:
            begin = end = None
    unflushed: Counts = Counter()
    if final is not None and since_ns <= closed <= until_ns:
        unflushed = difference(counts_of(final), counts_of(ledger.last_before(life.life, closed)))
    if end is None and not unflushed:
        return None
    return LifeWindow(
        life=life.life,
        instance=life.instance,
        started_unix_ns=life.started_unix_ns,
        begin=begin,
        end=end,
        final=life.final,
        unflushed=unflushed,
        until_ns=next_ns,
        sends=EVERY_SIGNAL if life.sends is None else life.sends,
    )
