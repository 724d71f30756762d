"""The embedded store of a data folder, as an audit reads it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from cli.audit.range import reach
from service.open_table import living
from service.requeststore import sqlite_file
from service.requeststore.ledger import LedgerReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cli.audit.range import Reach

STORE_FILE = "telemetry.db"


class StoreLedger(LedgerReader):
    """The reader of the ledger, which also knows how far back everything is there, and which processes live.

    Args:
        data_dir: the data folder.

    Raises:
        StoreError: there is no store, it cannot be read, or its version is another.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file = data_dir / STORE_FILE
        super().__init__(self._file)

    def living(self, since_ns: int) -> frozenset[str]:
        """The lives of processes of the data folder that lived at or after a moment, by their tables of open inferences."""
        return living(self._data_dir, since_ns)

    def reach(self, now_ns: int, days: Mapping[str, float]) -> Reach:
        """How far back everything should still be there.

        Raises:
            StoreError: the store cannot be read.
        """
        lives = self.lives()
        return reach(
            now_ns=now_ns,
            days=days,
            trimmed_before_ns=self.oldest_start() if self._trimmed() else None,
            anything_since_ns=lives[0].started_unix_ns if lives else None,
        )

    def _trimmed(self) -> bool:
        """Whether rows have been let go of: those written first have the lowest ids, and rows that were lost never got one."""
        with contextlib.closing(sqlite_file.open_for_reading(self._file)) as connection, contextlib.suppress(sqlite3.Error):
            row = connection.execute("SELECT min(id) FROM inference").fetchone()
            return row[0] is not None and int(row[0]) > 1
        return False
