"""What the store lets go of: rows past their time, and the oldest ones when it is too big. Always in small steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

# A step takes some tens of milliseconds, for which other writers wait.
_ROWS = 1000
_PAGES = 256
_NS = 1_000_000_000
_ALWAYS = (1 << 63) - 1
# The rows of a batch's members may come this much later than its own.
_LATE_NS = 60 * _NS

_OLDEST = "SELECT id FROM inference WHERE started < :before ORDER BY started LIMIT :rows"
_ANYTHING = """
    SELECT EXISTS (SELECT 1 FROM inference WHERE started < :before)
        OR EXISTS (SELECT 1 FROM batch WHERE id = (SELECT min(id) FROM batch) AND started < :cutoff)
"""
_BATCHES = "DELETE FROM batch WHERE id < (SELECT min(id) FROM batch) + :rows AND started < :before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long and how much is kept.

    Attributes:
        seconds: age at which a row goes.
        max_bytes: the store on disk. Rows go from four fifths on, since the log of changes and free pages need room too.
    """

    seconds: float
    max_bytes: int

    def step(self, connection: sqlite3.Connection, unix_ns: int) -> bool:
        """Remove some rows, or give some free pages back to the disk; whether there may be more to do.

        Raises:
            sqlite3.Error: the store cannot be written; nothing was removed.
        """
        page_bytes, pages, free = (_pragma(connection, what) for what in ("page_size", "page_count", "freelist_count"))
        too_big = (pages - free) * page_bytes > self.max_bytes * 4 // 5
        cutoff = max(unix_ns - int(self.seconds * _NS), 0)
        bounds = {"rows": _ROWS, "cutoff": cutoff, "before": _ALWAYS if too_big else cutoff}
        if connection.execute(_ANYTHING, bounds).fetchone()[0]:
            _remove(connection, bounds, unix_ns)
            return True
        if free and (pages * page_bytes > self.max_bytes * 4 // 5 or free > max(pages // 4, _PAGES)):
            connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
            return True
        return False


def _remove(connection: sqlite3.Connection, bounds: dict[str, int], unix_ns: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"DELETE FROM captured_text WHERE inference IN ({_OLDEST})", bounds)  # noqa: S608 -- a constant
        connection.execute(f"DELETE FROM inference WHERE id IN ({_OLDEST})", bounds)  # noqa: S608 -- a constant
        left = connection.execute("SELECT min(started) FROM inference").fetchone()[0]
        memberless = (unix_ns if left is None else left) - _LATE_NS
        too_big = bounds["before"] == _ALWAYS
        connection.execute(_BATCHES, {"rows": _ROWS, "before": max(bounds["cutoff"], memberless) if too_big else bounds["cutoff"]})
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, what: str) -> int:
    return int(connection.execute(f"PRAGMA {what}").fetchone()[0])
