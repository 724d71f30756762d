"""What a life writes down at each collection."""

from __future__ import annotations

from collections.abc import Callable

from service.errors import Outcome
from service.ledger import Ledger
from service.requeststore.ledger import LedgerEntry

TWO = dict.fromkeys(Outcome, 0) | {Outcome.SUCCESS: 1, Outcome.ERROR: 1}
THREE = TWO | {Outcome.SUCCESS: 2}


class ListStore:
    """Keeps entries, and commits them when it is told."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []
        self.waiting: list[Callable[[], None]] = []

    def add_entry(self, entry: LedgerEntry, committed: Callable[[], None]) -> None:
        self.entries.append(entry)
        self.waiting.append(committed)

    def commit(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


def test_each_collection_becomes_an_entry_and_the_end_a_final_one() -> None:
    """With the time it was collected, and what leaves the process."""
    store = ListStore()
    ledger = Ledger("one:1", store, sends=frozenset({"logs"}))
    ledger.collected(20, TWO)
    ledger.close(30, THREE)
    store.commit()

    assert store.entries == [
        LedgerEntry(life="one:1", collected_unix_ns=20, counts=TWO, sends=frozenset({"logs"})),
        LedgerEntry(life="one:1", collected_unix_ns=30, counts=THREE, final=True, sends=frozenset({"logs"})),
    ]


def test_what_is_committed_is_told_by_its_total() -> None:
    """When it stands in the store, and not before; closed is what has its final entry there."""
    store = ListStore()
    totals: list[int] = []
    ledger = Ledger("one:1", store, sends=frozenset(), on_settled=totals.append)
    ledger.collected(20, TWO)
    assert totals == []
    store.commit()
    assert (totals, ledger.closed) == ([2], False)

    ledger.close(30, THREE)
    assert (totals, ledger.closed) == ([2], False)
    store.commit()
    ledger.collected(40, THREE)
    store.commit()
    assert (totals, ledger.closed) == ([2, 3, 3], True)
