"""The file of the outbox: two connections, a lock that one process holds, and changes that are on the disk or did not happen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dingtalk.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dingtalk.boot import Boot
    from dingtalk.clock import Clock

FILE = "outbox.sqlite3"
LOCK_FILE = "outbox.lock"
BUSY = 5.0
"""Seconds a change waits for another one."""


class OutboxFile:
    """What all parts of the outbox stand on. Every method may be called by any thread.

    One connection writes, one at a time; another reads, so that a search through a long queue does not keep a receipt waiting.
    """

    def __init__(
        self, *, connection: sqlite3.Connection, reader: sqlite3.Connection, lock: int, clock: Clock, boot: Boot, limit: int
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._lock: int | None = lock
        self._clock = clock
        self._boot = boot
        self._limit = limit
        self._mutex = threading.Lock()
        self._reading = threading.Lock()
        self._waiting = 0
        self.writable = True

    def close(self) -> None:
        """Close the file. Safe to call again."""
        with self._mutex, self._reading:
            lock, self._lock = self._lock, None
            if lock is not None:
                self._reader.close()
                self._connection.close()
                os.close(lock)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if not self._mutex.acquire(timeout=BUSY):
            raise StoreUnavailable("the outbox is busy")
        try:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise
            self.writable = True
        except sqlite3.Error as error:
            self.writable = False
            raise StoreUnavailable(f"the outbox cannot be written: {error}") from error
        finally:
            self._mutex.release()

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        if not self._reading.acquire(timeout=BUSY):
            raise StoreUnavailable("the outbox is busy")
        try:
            yield self._reader
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the outbox cannot be read: {error}") from error
        finally:
            self._reading.release()

    def _recount(self) -> None:
        with self._read() as connection:
            (self._waiting,) = connection.execute("SELECT count(*) FROM receipt WHERE state = 'waiting'").fetchone()


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits are on the disk.

    Raises:
        sqlite3.Error: it is no database, or cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk, not only in the kernel, before the answer says so.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def lock(path: Path) -> int:
    """Take the lock; its descriptor, which is closed to let go. The kernel lets go of it when the process dies.

    Raises:
        StoreUnavailable: another process has it.
        OSError: it cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreUnavailable(f"another notifier uses {path.parent}; stop it, or give this one another data_dir") from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
