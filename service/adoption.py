"""Closes what processes of this data folder left open when they died: each inference once, under the ids it had."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from service.errors import ErrorType, StoreError
from service.requeststore.ledger import LedgerEntry, LedgerReader
from service.telemetry.event import InferenceEvent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from service.ledger import EntryStore
    from service.open_table import DeadTable, OpenInference

_NS = 1_000_000_000


class Adopts(Protocol):
    """The part of the recorder that is needed here."""

    def adopt(self, event: InferenceEvent, *, again: bool = False) -> None:
        """Record an inference of a dead process; `again` when it was recorded before."""
        ...


class Adoption:
    """The dead tables this process has claimed, from their claim until nothing in them is needed any more.

    A table is removed when an entry of the ledger has been committed that counts all that was adopted: then its rows, spans, log
    records and metrics have left this process for good. A process that dies before leaves the table to the next one, which
    closes what is not in the store, and only sends what is. So rows and counts are exactly once; a span or a log record may be
    sent twice, with the same ids, as every hop is at least once. What the dead adopter had counted without a row is one of
    those its own ledger shows as not flushed.
    """

    def __init__(self, tables: Sequence[DeadTable]) -> None:
        self._tables = tuple(tables)
        self._needed: int | None = None

    def close_all(self, recorder: Adopts, store: EntryStore, database: Path) -> None:
        """Record every inference that is open in the tables, and the final entry of each dead life."""
        with ExitStack() as stack:
            reader: LedgerReader | None = None
            for table in self._tables:
                contents = table.contents
                for inference in contents.inferences:
                    reader = reader or _reader(database, stack)
                    again = reader is not None and _has(reader, inference)
                    recorder.adopt(process_died(inference, contents.seen_unix_ns), again=again)
                entry = LedgerEntry(
                    life=contents.life, collected_unix_ns=contents.seen_unix_ns, counts=contents.counts, final=True, died=True
                )
                store.add_entry(entry, lambda: None)

    def adopted(self, total: int) -> None:
        """What was to be recorded has been: an entry with this total, or a higher one, counts it all."""
        self._needed = total

    def settled(self, total: int) -> None:
        """An entry of this life with this total has been committed. Any thread."""
        if self._needed is not None and total >= self._needed:
            tables, self._tables = self._tables, ()
            for table in tables:
                table.remove()

    def let_go(self) -> None:
        """Leave what is not safe yet to the next process. Safe to call again."""
        tables, self._tables = self._tables, ()
        for table in tables:
            table.let_go()


def process_died(inference: OpenInference, seen_unix_ns: int) -> InferenceEvent:
    """The end of an inference whose process was last seen alive at that moment."""
    return InferenceEvent(
        request_id=inference.request_id,
        trace_id=inference.trace_id,
        span_id=inference.span_id,
        parent_span_id=inference.parent_span_id,
        function=inference.function,
        started_unix_ns=inference.started_unix_ns,
        duration=max(seen_unix_ns - inference.started_unix_ns, 0) / _NS,
        outcome=ErrorType.PROCESS_DIED.outcome,
        error_type=ErrorType.PROCESS_DIED,
    )


def _reader(database: Path, stack: ExitStack) -> LedgerReader | None:
    try:
        return stack.enter_context(LedgerReader(database))
    except StoreError:  # the writer says why; to close an inference a second time is better than never
        return None


def _has(reader: LedgerReader, inference: OpenInference) -> bool:
    try:
        return reader.has(inference.request_id, inference.span_id)
    except StoreError:
        return False
