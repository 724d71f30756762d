"""Pure: what a store has of the inferences of one slice of time, compared with the rows of the embedded store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from service.errors import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cli.audit.sighting import Sighting
    from cli.audit.window import Counts
    from service.requeststore.ledger import LedgerRow


_OUTCOMES = frozenset(outcome.value for outcome in Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An inference that a store lacks."""

    request_id: str
    span_id: str
    status: str
    started_unix_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A range of start times, the end excluded."""

    since_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFinding:
    """What one store has of one slice.

    Attributes:
        found: distinct inferences of the rows, by the outcome the store knows.
        missing: how many of the rows it lacks, and of those `named` the first.
        strays: inferences it has and the embedded store lacks, by outcome, and of those `strays_named` the first.
    """

    found: Counts
    missing: int = 0
    named: tuple[Missing, ...] = ()
    strays: Counts = field(default_factory=Counter)
    strays_named: tuple[Missing, ...] = ()


@dataclass(slots=True, kw_only=True)
class Side:
    """What is known of one store so far, slice by slice; a slice that is read again replaces what it was.

    Args:
        name: of the store.
        served: what it should have, by outcome.
        most_named: missing inferences that are named at most.
    """

    name: str
    served: Counts
    most_named: int
    unread: str | None = None
    _findings: dict[Slice, SliceFinding] = field(default_factory=dict)

    def put(self, part: Slice, finding: SliceFinding) -> None:
        """Take what was found in a slice."""
        self._findings[part] = finding

    @property
    def lacking(self) -> list[Slice]:
        """The slices that are worth another look."""
        return [part for part, finding in self._findings.items() if finding.missing]

    @property
    def found(self) -> Counts:
        """All that was found of the rows."""
        found: Counts = Counter()
        for finding in self._findings.values():
            found.update(finding.found)
        return found

    @property
    def missing(self) -> int:
        """How many rows it lacks."""
        return sum(finding.missing for finding in self._findings.values())

    @property
    def named(self) -> list[Missing]:
        """The first of them."""
        return self._first(lambda finding: finding.named)

    @property
    def strays(self) -> Counts:
        """What it has and the embedded store lacks."""
        strays: Counts = Counter()
        for finding in self._findings.values():
            strays.update(finding.strays)
        return strays

    @property
    def strays_named(self) -> list[Missing]:
        """The first of those."""
        return self._first(lambda finding: finding.strays_named)

    def _first(self, names_of: Callable[[SliceFinding], Iterable[Missing]]) -> list[Missing]:
        in_order = sorted(self._findings.items(), key=lambda item: item[0].since_ns)
        return list(islice((name for _, finding in in_order for name in names_of(finding)), self.most_named))


def slices(rows: Iterable[LedgerRow], wanted: Callable[[LedgerRow], bool], size: int) -> Iterator[tuple[Slice, dict[str, LedgerRow]]]:
    """Cut inferences, given in the order of their starts, into slices of about `size` wanted ones, by their spans.

    Slices join without a gap, and inferences that started together stay together.
    """
    kept: dict[str, LedgerRow] = {}
    since = last = None
    for row in rows:
        if since is None:
            since = row.started_unix_ns
        elif len(kept) >= size and row.started_unix_ns != last:
            yield Slice(since_ns=since, until_ns=row.started_unix_ns), kept
            kept, since = {}, row.started_unix_ns
        last = row.started_unix_ns
        if wanted(row):
            kept[row.span_id] = row
    if since is not None and last is not None:
        yield Slice(since_ns=since, until_ns=last + 1), kept


def shorter(part: Slice, rows: Mapping[str, LedgerRow], longest_ns: int) -> Iterator[tuple[Slice, dict[str, LedgerRow]]]:
    """Cut a slice into pieces of at most so many nanoseconds."""
    for since in range(part.since_ns, part.until_ns, longest_ns):
        until = min(since + longest_ns, part.until_ns)
        inside = {span: row for span, row in rows.items() if since <= row.started_unix_ns < until}
        yield Slice(since_ns=since, until_ns=until), inside


def compare(
    rows: Mapping[str, LedgerRow], sightings: Iterable[Sighting], *, most_named: int, is_lost: Callable[[Sighting], bool] | None = None
) -> SliceFinding:
    """Match the rows of a slice with what a store has of it. Other inferences and duplicates are passed over.

    Args:
        rows: by span.
        sightings: what the store has, and perhaps more.
        most_named: missing ones that are named at most.
        is_lost: whether an inference that is none of the rows should be one; None when no row was lost.
    """
    found: Counts = Counter()
    strays: Counts = Counter()
    named: list[Missing] = []
    seen: set[str] = set()
    for sighting in sightings:
        span_id = sighting.span_id
        if span_id in seen:
            continue
        if span_id in rows:
            seen.add(span_id)
            _count(found, sighting)
        elif is_lost is not None and is_lost(sighting):
            seen.add(span_id)
            _count(strays, sighting)
            if len(named) < most_named:
                named.append(_missing(sighting, sighting.status))
    lacking = [row for span_id, row in rows.items() if span_id not in seen]
    return SliceFinding(
        found=found,
        missing=len(lacking),
        named=tuple(_missing(row, row.outcome.value) for row in lacking[:most_named]),
        strays=strays,
        strays_named=tuple(named),
    )


def _count(counts: Counts, sighting: Sighting) -> None:
    # What a store says of an outcome that is none counts for none: a difference, and rightly so.
    if sighting.status in _OUTCOMES:
        counts[Outcome(sighting.status)] += 1


def _missing(inference: LedgerRow | Sighting, status: str) -> Missing:
    return Missing(request_id=inference.request_id, span_id=inference.span_id, status=status, started_unix_ns=inference.started_unix_ns)
