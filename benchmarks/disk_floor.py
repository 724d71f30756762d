"""The least that it takes to have some bytes on the disk: in a file, and in a row of SQLite."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def synced_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What appends bytes to a file and returns once `fsync` did."""
    with path.open("ab", buffering=0) as file:

        def append(content: bytes) -> None:
            file.write(content)
            os.fsync(file.fileno())

        yield append


@contextmanager
def synced_row(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What commits bytes as one row of one table, with the settings that the outbox of the notifier has: WAL, and an fsync each commit."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, content BLOB NOT NULL)")

        def commit(content: bytes) -> None:
            connection.execute("INSERT INTO row (content) VALUES (?)", (content,))

        yield commit
