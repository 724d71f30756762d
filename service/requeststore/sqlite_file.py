"""The database file of the embedded store: how it is opened, how big it is, and what becomes of a damaged one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from service.file_lock import FileLock
from service.requeststore.migrations import migrate

if TYPE_CHECKING:
    from pathlib import Path

BUSY_TIMEOUT = 2.0
DAMAGED = ".damaged-"
_PAGE_BYTES = 4096
_COMPANIONS = ("", "-wal", "-shm")
_IN_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another process holds it locked",
    sqlite3.SQLITE_LOCKED: "another process holds it locked",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_IOERR: "the disk fails or is full",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is damaged",
}


def open_for_writing(path: Path, *, max_bytes: int) -> sqlite3.Connection:
    """Open or make the store, bring its tables up to date, and make it ready for one writing thread.

    WAL lets readers and writers of several processes work side by side. With synchronous=NORMAL a commit is safe from the
    death of the process; a power cut may take the last moments, but never damages the file, and no commit waits for the disk.

    Raises:
        StartupError: the store is of a newer version.
        OSError, sqlite3.Error: it cannot be opened or written, or is damaged.
    """
    # Made here for its mode; SQLite gives its companions the same. It may hold captured text.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        # An eighth of the allowed size, at most 16 MB, may stand in the log of changes.
        wal_bytes = min(max_bytes // 8, 16_777_216)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {min(wal_bytes // _PAGE_BYTES, 1000)}")
        connection.execute(f"PRAGMA journal_size_limit = {wal_bytes}")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing store; may be used by one thread at a time, any.

    Raises:
        sqlite3.Error: there is none, or it cannot be opened.
    """
    # Not mode=ro: after a kill -9 the first to open must be able to recover the WAL.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def inode(path: Path) -> int | None:
    """What tells a file from another that took its name; None without a file."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def size_bytes(path: Path) -> int:
    """Bytes of the store on disk, its companions included; 0 without one."""
    total = 0
    for ending in _COMPANIONS:
        with contextlib.suppress(OSError):
            total += path.with_name(path.name + ending).stat().st_size
    return total


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file is damaged, and not merely out of reach."""
    return isinstance(error, sqlite3.Error) and _primary(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_busy(error: Exception) -> bool:
    """Whether an error says that another process holds the file, which passes."""
    return isinstance(error, sqlite3.Error) and _primary(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def in_words(error: Exception) -> str:
    """The reason of an error of the store, without anything that is in the store."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, sqlite3.Error):
        return _IN_WORDS.get(_primary(error), getattr(error, "sqlite_errorname", type(error).__name__))
    return type(error).__name__


def set_damaged_aside(path: Path, *, unix_ns: int) -> Path | None:
    """Rename a damaged store with its companions, so that a new one can begin; None when it is not damaged after all.

    Of several processes that notice the damage only one renames.

    Raises:
        OSError: it cannot be renamed.
    """
    lock = FileLock.take(path.with_name(f"{path.name}.lock"))
    if lock is None:
        return None
    try:
        if not _damaged(path):
            return None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(unix_ns // 1_000_000_000))
        aside = path.with_name(f"{path.name}{DAMAGED}{stamp}")
        for ending in reversed(_COMPANIONS):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
        return aside
    finally:
        lock.release()


def remove_old_damaged(path: Path, *, before_unix_ns: int) -> None:
    """Remove stores that were set aside and last written before a moment: what they hold is past its time too."""
    for aside in path.parent.glob(f"{path.name}{DAMAGED}*"):
        with contextlib.suppress(OSError):
            if aside.stat().st_mtime_ns < before_unix_ns:
                aside.unlink()


def _damaged(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)) as connection:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",))
    except sqlite3.Error as error:
        return is_damage(error)


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait by itself when two processes switch a new file to WAL at once.
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _primary(error: sqlite3.Error) -> int:
    # The low byte; the rest of an extended code says where in SQLite it arose.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
