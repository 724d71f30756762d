"""What the store lets go of: rows past their time, and the oldest ones when it is too big. Always in small steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

# A transaction of so many rows takes some tens of milliseconds, for which other writers wait.
MAX_ROWS = 1000
_PAGES = 256
_SPARE = 67_108_864
_NS = 1_000_000_000
_ALWAYS = (1 << 63) - 1
# The rows of a batch's members may come this much later than its own.
_LATE_NS = 60 * _NS

_OLDEST = "SELECT id FROM inference WHERE started < :before ORDER BY started LIMIT :rows"
# The last entry of a life before its time is over stays: from it on, later ones count. Of a life that has ended all goes.
_ENTRIES = """
    SELECT life, collected FROM ledger WHERE collected < :entries AND :entries > coalesce(
        (SELECT min(next.collected) FROM ledger AS next WHERE next.life = ledger.life AND next.collected > ledger.collected),
        iif(final, 0, :entries)
    ) LIMIT :rows
"""
_ANYTHING = f"""
    SELECT EXISTS (SELECT 1 FROM inference WHERE started < :before)
        OR EXISTS (SELECT 1 FROM batch WHERE id = (SELECT min(id) FROM batch) AND started < :batches)
        OR EXISTS ({_ENTRIES})
"""  # noqa: S608 -- a constant
_BATCHES = "DELETE FROM batch WHERE id < (SELECT min(id) FROM batch) + :rows AND started < :batches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long and how much is kept.

    Attributes:
        seconds: age at which a row goes.
        max_bytes: the store on disk. A quarter of it, at most 64 MB, is for the log of changes and for what is being written.
    """

    seconds: float
    max_bytes: int

    @property
    def rows(self) -> int:
        """Rows that a transaction may write or remove, so that its part of the log of changes stays in proportion."""
        return max(min(self.max_bytes // 16_384, MAX_ROWS), 1)

    @property
    def _room(self) -> int:
        return self.max_bytes - min(self.max_bytes // 4, _SPARE)

    def is_exceeded(self, connection: sqlite3.Connection) -> bool:
        """Whether the rows take more room than they may. Costs microseconds."""
        return (_pragma(connection, "page_count") - _pragma(connection, "freelist_count")) * _pragma(connection, "page_size") > self._room

    def step(self, connection: sqlite3.Connection, unix_ns: int) -> bool:
        """Remove some rows, or give some free pages back to the disk; whether there may be more to do.

        Raises:
            sqlite3.Error: the store cannot be written; nothing was removed.
        """
        cutoff = max(unix_ns - int(self.seconds * _NS), 0)
        if self.is_exceeded(connection):
            bounds = {"rows": self.rows, "before": _ALWAYS, "batches": max(cutoff, unix_ns - _LATE_NS), "entries": cutoff}
        else:
            bounds = {"rows": self.rows, "before": cutoff, "batches": cutoff, "entries": cutoff}
        if connection.execute(_ANYTHING, bounds).fetchone()[0]:
            _remove(connection, bounds, cutoff)
            return True
        free, pages = _pragma(connection, "freelist_count"), _pragma(connection, "page_count")
        if free and (pages * _pragma(connection, "page_size") > self._room or free > max(pages // 4, _PAGES)):
            # Not execute, which would stop after the first page.
            connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
            return True
        return False


def _remove(connection: sqlite3.Connection, bounds: dict[str, int], cutoff: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"DELETE FROM captured_text WHERE inference IN ({_OLDEST})", bounds)  # noqa: S608 -- a constant
        connection.execute(f"DELETE FROM inference WHERE id IN ({_OLDEST})", bounds)  # noqa: S608 -- a constant
        left = connection.execute("SELECT min(started) FROM inference").fetchone()[0]
        memberless = bounds["batches"] if left is None else max(min(bounds["batches"], left - _LATE_NS), cutoff)
        connection.execute(_BATCHES, {"rows": bounds["rows"], "batches": memberless})
        # What was counted stays for its whole time, also when its rows had to make room: it is little, and says how many there were.
        connection.execute(f"DELETE FROM ledger WHERE (life, collected) IN ({_ENTRIES})", bounds)  # noqa: S608 -- a constant
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, what: str) -> int:
    return int(connection.execute(f"PRAGMA {what}").fetchone()[0])
