"""How many inferences have ended in this life of the process: each numbered, all counted, and read at one moment."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING

from service.errors import ErrorType, Outcome
from service.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Callable


class Tally:
    """Numbers inferences 1, 2, 3 … as they end, and counts them by status and error type, under one lock.

    So the sum of what `read` gives is the number of the last inference it covers, exactly: that is what lets a collection of
    the metrics be compared with the rows of the store.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0
        self._counts: dict[ErrorType | None, int] = dict.fromkeys((None, *ErrorType), 0)
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _unlock(itself()))

    def add(self, error_type: ErrorType | None, hand_over: Callable[[int], None]) -> None:
        """Count one inference and hand its number on; numbers are handed on in their order. Any thread.

        Args:
            error_type: why it did not succeed; None on success.
            hand_over: is given the number under the lock, so it must neither block nor count.
        """
        with self._lock:
            self._total += 1
            self._counts[error_type] += 1
            hand_over(self._total)

    def read(self) -> list[tuple[int, dict[str, str]]]:
        """The counts with their labels, all of one moment; those at 0 too."""
        with self._lock:
            counts = list(self._counts.values())
        return list(zip(counts, names.REQUEST_LABEL_SETS, strict=True))

    def by_outcome(self) -> Counter[Outcome]:
        """The counts by outcome, all of one moment."""
        with self._lock:
            counts = self._counts.copy()
        outcomes: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))
        for error_type, count in counts.items():
            outcomes[Outcome.SUCCESS if error_type is None else error_type.outcome] += count
        return outcomes


def _unlock(tally: Tally | None) -> None:
    # In a forked child the lock may be held by a thread that does not exist there.
    if tally is not None:
        tally._lock = threading.Lock()  # noqa: SLF001 -- the same module
