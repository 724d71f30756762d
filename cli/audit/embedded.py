"""The rows of the embedded store against the ledger beside them: every number of a life must have its row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.audit.ledger import Ledger
    from cli.audit.window import Counts, LifeWindow, Window

TOLD_EVERY = 2000
MOST_GAPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Numbers of a life that have no row: from `first` to `last`, both of them among the lacking."""

    life: str
    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class Rows:
    """What the rows of the window say.

    Attributes:
        counts: by outcome.
        gaps: the first of the numbers without a row.
        since_ns, until_ns: the range of the starts, the end excluded; empty without rows.
    """

    counts: Counts = field(default_factory=Counter)
    gaps: list[Gap] = field(default_factory=list)
    since_ns: int = 0
    until_ns: int = 0


def count_rows(ledger: Ledger, window: Window, told: Callable[[int], None]) -> Rows:
    """Count the rows of the window; `told` of every few how many have been read.

    Raises:
        StoreError: the store cannot be read.
    """
    rows = Rows()
    done = 0
    for part in window.lives:
        done = _count_life(ledger, part, rows, done, told)
    told(done)
    return rows


def _count_life(ledger: Ledger, part: LifeWindow, rows: Rows, done: int, told: Callable[[int], None]) -> int:
    expected = part.first + 1
    for row in ledger.rows(part.life, part.first, part.last):
        seq = row.seq or 0
        if seq > expected:
            _gap(rows, part.life, expected, seq - 1)
        expected = seq + 1
        rows.counts[row.outcome] += 1
        rows.since_ns = min(rows.since_ns or row.started_unix_ns, row.started_unix_ns)
        rows.until_ns = max(rows.until_ns, row.started_unix_ns + 1)
        done += 1
        if done % TOLD_EVERY == 0:
            told(done)
    if expected <= part.last:
        _gap(rows, part.life, expected, part.last)
    return done


def _gap(rows: Rows, life: str, first: int, last: int) -> None:
    if len(rows.gaps) < MOST_GAPS:
        rows.gaps.append(Gap(life=life, first=first, last=last))
