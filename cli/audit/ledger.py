"""What an audit asks of the embedded store: the counts of every process life at each collection, and the rows behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.requeststore.ledger import LedgerEntry, LedgerRow, Life

FOREVER = (1 << 63) - 1
"""Later than any moment, in nanoseconds."""


class Ledger(Protocol):
    """The part of `LedgerReader` an audit needs. Times are nanoseconds since 1970; `until` does not belong to a range.

    Every method raises StoreError when the store cannot be read.
    """

    def lives(self, since_ns: int = 0, until_ns: int = FOREVER) -> list[Life]:
        """The lives that had started before `until` and had an entry at or after `since`, the oldest first."""
        ...

    def living(self, since_ns: int) -> frozenset[str]:
        """The lives of processes that lived at or after `since`; one that has only just begun has no entry yet."""
        ...

    def entries(self, life: str, since_ns: int = 0, until_ns: int = FOREVER) -> Iterator[LedgerEntry]:
        """The entries of a life in a range of time, the oldest first; their counts never fall."""
        ...

    def last_before(self, life: str, ns: int) -> LedgerEntry | None:
        """The last entry of a life before a moment."""
        ...

    def rows(self, life: str, after: int = 0, up_to: int | None = None) -> Iterator[LedgerRow]:
        """The inferences of a life whose numbers are above `after` and at most `up_to`."""
        ...

    def rows_started(self, since_ns: int = 0, until_ns: int = FOREVER) -> Iterator[LedgerRow]:
        """The inferences of all lives that started in a range of time, the oldest first."""
        ...

    def oldest_start(self) -> int | None:
        """When the oldest inference started that is still in the store."""
        ...

    def has(self, request_id: str, span_id: str) -> bool:
        """Whether an inference is in the store."""
        ...
