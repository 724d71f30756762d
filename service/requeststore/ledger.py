"""What each process life had counted at each collection of its metrics, and the inferences behind the counts.

A life is one run of one process: its instance and the moment it started, `<instance>:<nanoseconds>`. Its inferences are
numbered 1, 2, 3 … as they end, and the total of an entry is the number of the last one it covers. An entry stands in the
store only when all rows up to its total do, and after spans, log records and metrics up to it had been handed over. The one
exception is the entry that a later process writes for a life that died: it tells all that life had counted, and what has a
higher number than the entry before it may have been lost on the way.

Times are nanoseconds of the wall clock, and ranges half open: `since` belongs to a range, `until` does not.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from service.errors import Outcome, StoreError
from service.requeststore import sqlite_file
from service.requeststore.migrations import is_ready
from service.requeststore.name_table import NameTable
from service.requeststore.packing import Cell, join_id, pack_hex, split_id, unpack_hex
from service.requeststore.rows import OUTCOMES, instance_of
from service.telemetry.ids import trace_id_of
from service.telemetry.names import OTLP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from service.requeststore.rows import Number

PAGE = 2000
"""Rows that are read at a time: what an iteration needs of memory does not depend on how many there are."""

_MAX = (1 << 63) - 1
_DIED = 2
_COUNTS = ", ".join(outcome.value for outcome in OUTCOMES)
_ENTRY = f"collected, {_COUNTS}, final, sends"
_ROW = "id, call, item, trace, span, started, duration, outcome, instance, seq"

# S608: constants, here and below.
_LIVES = "SELECT life, min(collected), max(collected), max(final), max(sends) FROM ledger GROUP BY life"
_ENTRIES = f"SELECT {_ENTRY} FROM ledger WHERE life = ? AND collected >= ? AND collected < ? ORDER BY collected LIMIT ?"  # noqa: S608
_LAST = f"SELECT {_ENTRY} FROM ledger WHERE life = ? AND collected < ? ORDER BY collected DESC LIMIT 1"  # noqa: S608
# What ends between a collection and the writing of its entry stands before that entry, and is not covered by it. It does stand
# behind the entry before, which was written when this collection had not begun.
_BEFORE = """
    SELECT coalesce(
        (SELECT last_row FROM ledger WHERE life = ? AND total <= ? ORDER BY collected DESC LIMIT 1 OFFSET 1), 0
    )
"""
_UP_TO = "SELECT coalesce(min(last_row), ?) FROM ledger WHERE life = ? AND total >= ?"
_BY_SEQ = f"""
    SELECT {_ROW} FROM inference WHERE id > ? AND id <= ? AND instance = ? AND seq > ? AND seq <= ? ORDER BY id LIMIT ?
"""  # noqa: S608
_BY_START = f"""
    SELECT {_ROW} FROM inference
    WHERE started >= ? AND started < ? AND (started > ? OR id > ?) ORDER BY started, id LIMIT ?
"""  # noqa: S608
_INSERT = f"""
    INSERT OR IGNORE INTO ledger (life, collected, total, {_COUNTS}, final, sends, last_row)
    SELECT :life,
           CASE :final WHEN 0 THEN :collected
           ELSE max(:collected, coalesce((SELECT max(collected) + 1 FROM ledger WHERE life = :life), 0)) END,
           :total, {", ".join(f":{outcome.value}" for outcome in OUTCOMES)}, :final, :sends,
           coalesce((SELECT max(id) FROM inference), 0)
    WHERE NOT coalesce((SELECT final FROM ledger WHERE life = :life ORDER BY collected DESC LIMIT 1), 0)
"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One collection of one life: what had been counted since its start, by outcome.

    Attributes:
        life: of the process.
        collected_unix_ns: `time_unix_nano` of the data points; of a final entry, when the process was last known to live.
        counts: every outcome, those at 0 too.
        final: nothing comes after it: the process closed its telemetry, or a later one found it dead.
        died: it was found dead; a final entry.
        sends: the signals that leave the process by OTLP; None when that is not known, as of a process that was found dead.
    """

    life: str
    collected_unix_ns: int
    counts: Mapping[Outcome, int]
    final: bool = False
    died: bool = False
    sends: frozenset[str] | None = None

    @property
    def total(self) -> int:
        """All that had ended; the number of the last inference it covers."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A life that has entries: `life` is its id, the times are those of its start, first and last entry.

    Attributes:
        final, died: as in its last entry.
        sends: the signals that left it by OTLP; None when no entry says it.
    """

    life: str
    instance: str
    started_unix_ns: int
    first_unix_ns: int
    last_unix_ns: int
    final: bool
    died: bool
    sends: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """What the store knows of one inference, as far as counting needs it. `seq` is None in rows of an older version."""

    request_id: str
    trace_id: str
    span_id: str
    started_unix_ns: int
    duration: float
    outcome: Outcome
    life: str
    seq: int | None


def life_of(instance: str, started_unix_ns: int) -> str:
    """The id of a life."""
    return f"{instance}:{started_unix_ns}"


def insert(connection: sqlite3.Connection, entry: LedgerEntry, number: Number) -> None:
    """Write an entry; nothing happens when it stands there already, or when the life has its final one.

    A final entry is put behind those that are there: its process may have been collected after it last ended an inference.
    """
    connection.execute(
        _INSERT,
        {
            "life": number(entry.life),
            "collected": entry.collected_unix_ns,
            "total": entry.total,
            "final": _DIED if entry.died else int(entry.final),
            "sends": _bits(entry.sends),
            **{outcome.value: entry.counts.get(outcome, 0) for outcome in OUTCOMES},
        },
    )


class LedgerReader:
    """Reads the ledger and its rows while others write; for one thread at a time. Close it, or use it in a `with`.

    Every iteration reads pages of `PAGE` rows, so that it neither fills the memory nor keeps the writers' log of changes from
    shrinking. An iteration that began goes on from its place, whatever is written or removed meanwhile.

    Args:
        path: the database file of the store.

    Raises:
        StoreError: there is none, it cannot be read, or its version is another.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = sqlite_file.open_for_reading(path)
            ready = is_ready(self._connection)
        except sqlite3.Error as error:
            self.close()
            raise self._unreadable(error) from error
        except StoreError:
            self.close()
            raise
        if not ready:
            self.close()
            raise StoreError(f"the store {path} has no tables yet; start the service once on its data folder")
        self._name = NameTable(self._open).name

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the file. Safe to call again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def lives(self, since_ns: int = 0, until_ns: int = _MAX) -> list[Life]:
        """The lives that had started before `until` and had an entry at or after `since`, the oldest first.

        Raises:
            StoreError: the store cannot be read.
        """
        lives = [self._life(*row) for row in self._query(_LIVES, ())]
        return sorted(
            (life for life in lives if life.started_unix_ns < until_ns and life.last_unix_ns >= since_ns),
            key=lambda life: (life.started_unix_ns, life.life),
        )

    def entries(self, life: str, since_ns: int = 0, until_ns: int = _MAX) -> Iterator[LedgerEntry]:
        """The entries of a life in a range of time, the oldest first; their counts never fall.

        Raises:
            StoreError: the store cannot be read.
        """
        number = self._number(life)
        while page := self._query(_ENTRIES, (number, since_ns, until_ns, PAGE)):
            yield from (_entry(life, row) for row in page)
            since_ns = page[-1][0] + 1

    def last_before(self, life: str, ns: int) -> LedgerEntry | None:
        """The last entry of a life before a moment; None when it had none yet, and so had counted nothing.

        Raises:
            StoreError: the store cannot be read.
        """
        rows = self._query(_LAST, (self._number(life), ns))
        return _entry(life, rows[0]) if rows else None

    def rows(self, life: str, after: int = 0, up_to: int | None = None) -> Iterator[LedgerRow]:
        """The inferences of a life whose numbers are above `after` and at most `up_to`, in the order of their numbers.

        Costs what lies between the entries around these two numbers, not what is in the store.

        Raises:
            StoreError: the store cannot be read.
        """
        number, highest = self._number(life), _MAX if up_to is None else up_to
        ((row,),) = self._query(_BEFORE, (number, after))
        ((last,),) = self._query(_UP_TO, (_MAX, number, highest))
        while page := self._query(_BY_SEQ, (row, last, number, after, highest, PAGE)):
            yield from map(self._row, page)
            row = page[-1][0]

    def rows_started(self, since_ns: int = 0, until_ns: int = _MAX) -> Iterator[LedgerRow]:
        """The inferences of all lives that started in a range of time, the oldest first.

        Raises:
            StoreError: the store cannot be read.
        """
        started, row = since_ns, -1
        while page := self._query(_BY_START, (started, until_ns, started, row, PAGE)):
            yield from map(self._row, page)
            started, row = page[-1][5], page[-1][0]

    def oldest_start(self) -> int | None:
        """When the oldest inference started that is still in the store; None when it is empty.

        Raises:
            StoreError: the store cannot be read.
        """
        ((oldest,),) = self._query("SELECT min(started) FROM inference", ())
        return None if oldest is None else int(oldest)

    def has(self, request_id: str, span_id: str) -> bool:
        """Whether the inference of this id and span is in the store.

        Raises:
            StoreError: the store cannot be read.
        """
        sql = "SELECT EXISTS (SELECT 1 FROM inference WHERE call = ? AND item IS ? AND span = ?)"
        ((found,),) = self._query(sql, (*split_id(request_id), pack_hex(span_id, 8)))
        return bool(found)

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"the reader of {self._path} is closed")
        return self._connection

    def _query(self, sql: str, values: Sequence[Cell]) -> list[Any]:
        try:
            return self._open.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the store {self._path} cannot be read: {sqlite_file.in_words(error)}")

    def _number(self, life: str) -> int:
        rows = self._query("SELECT id FROM name WHERE text = ?", (life,))
        return int(rows[0][0]) if rows else 0

    def _life(self, number: int, first: int, last: int, final: int, sends: int | None) -> Life:
        life = self._name(number)
        started = life.rpartition(":")[2]
        return Life(
            life=life,
            instance=instance_of(life),
            started_unix_ns=int(started),
            first_unix_ns=first,
            last_unix_ns=last,
            final=bool(final),
            died=final == _DIED,
            sends=_signals(sends),
        )

    def _row(self, row: Sequence[Any]) -> LedgerRow:
        _, call, item, trace, span, started, duration, outcome, life, seq = row
        request_id = join_id(call, item)
        return LedgerRow(
            request_id=request_id,
            trace_id=unpack_hex(trace) or trace_id_of(request_id),
            span_id=unpack_hex(span) or "",
            started_unix_ns=started,
            duration=duration,
            outcome=OUTCOMES[outcome],
            life=self._name(life),
            seq=seq,
        )


def _entry(life: str, row: Sequence[Any]) -> LedgerEntry:
    collected, *counts, final, sends = row
    return LedgerEntry(
        life=life,
        collected_unix_ns=collected,
        counts=Counter(dict(zip(OUTCOMES, counts, strict=True))),
        final=bool(final),
        died=final == _DIED,
        sends=_signals(sends),
    )


def _bits(signals: frozenset[str] | None) -> int | None:
    return None if signals is None else sum(1 << place for place, signal in enumerate(OTLP_SIGNALS) if signal in signals)


def _signals(bits: int | None) -> frozenset[str] | None:
    return None if bits is None else frozenset(signal for place, signal in enumerate(OTLP_SIGNALS) if bits >> place & 1)
