"""Writes down, at each collection of the metrics, what this life of the process had counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.requeststore.ledger import LedgerEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.errors import Outcome


class EntryStore(Protocol):
    """Takes entries of the ledger behind the rows it was given before; never blocks, never raises."""

    def add_entry(self, entry: LedgerEntry, committed: Callable[[], None]) -> None:
        """Queue one entry; `committed` is called when it stands in the store, with all rows before it."""
        ...


class Ledger:
    """The entries of one life. Any thread; nothing here waits.

    An entry goes through the queue of the rows, behind every row it counts. When it is called after spans, log records and
    metrics were handed over, an entry in the store therefore says: what it counts has left this process for good.

    Args:
        life: this run of the process.
        store: takes the entries.
        sends: the signals that leave this process by OTLP.
        on_settled: told, on the store's thread, the total of each entry that has been committed.

    Attributes:
        closed: the final entry stands in the store.
    """

    def __init__(
        self, life: str, store: EntryStore, *, sends: frozenset[str], on_settled: Callable[[int], None] = lambda _total: None
    ) -> None:
        self.life = life
        self.closed = False
        self._store = store
        self._sends = sends
        self._on_settled = on_settled

    def collected(self, unix_ns: int, counts: Mapping[Outcome, int]) -> None:
        """Write down a collection: its time in the data points, and its counts by outcome."""
        self._write(LedgerEntry(life=self.life, collected_unix_ns=unix_ns, counts=counts, sends=self._sends))

    def close(self, unix_ns: int, counts: Mapping[Outcome, int]) -> None:
        """Write down that this life ends, and all it has counted."""
        self._write(LedgerEntry(life=self.life, collected_unix_ns=unix_ns, counts=counts, final=True, sends=self._sends))

    def _write(self, entry: LedgerEntry) -> None:
        def committed() -> None:
            self.closed = self.closed or entry.final
            self._on_settled(entry.total)

        self._store.add_entry(entry, committed)
