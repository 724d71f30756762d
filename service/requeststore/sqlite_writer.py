"""Rows for the embedded store, from any thread, by a thread of their own."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from service.errors import Outcome, StartupError
from service.requeststore import ledger, sqlite_file
from service.requeststore.name_table import NameTable
from service.requeststore.packing import pack_text
from service.requeststore.retention import Retention
from service.requeststore.rows import BATCH_COLUMNS, INFERENCE_COLUMNS, to_batch_row, to_row
from service.telemetry.backoff import Backoff
from service.telemetry.event import BatchEvent, InferenceEvent
from service.telemetry.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from service.requeststore.ledger import LedgerEntry
    from service.telemetry.event import CapturedText, Clock

    _Inference = tuple[InferenceEvent, int | None]

# Rows are to be found within a second of their event; a transaction five times a second costs next to nothing.
INTERVAL = 0.2
# Tidying up, and looking whether the file is still there, once in so many seconds.
TIDY_EVERY = 1.0
_PAUSE = 0.02
_NS = 1_000_000_000

# What SQLite raises for a row that it will never take, and not for a file that it cannot write now.
_UNWRITABLE = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)

Capture = Literal["off", "failed", "all"]


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 -- constants


_INSERT_INFERENCE = _insert("inference", ("id", *INFERENCE_COLUMNS))
_INSERT_BATCH = _insert("batch", BATCH_COLUMNS)
_INSERT_TEXT = _insert("captured_text", ("inference", "address1", "address2"))


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the ledger in the queue, and who is told when it has been committed."""

    entry: LedgerEntry
    committed: Callable[[], None]


class SqliteWriter:
    """Writes events into the store in batches, from construction to `close`; several processes may write one store.

    When the disk is full, the file locked or damaged, events wait in the queue until it is full and are then dropped and
    counted; `degraded` says why, and the writer tries again by itself. A damaged file is renamed and a new one begun.

    Args:
        path: the database file, in an existing folder.
        queue_size: events that may wait.
        retention: seconds a row is kept.
        max_bytes: the store on disk; the oldest rows go first.
        capture: whether the addresses' text is kept: never, of inferences without success, or always.
        service_instance: `service.instance.id` of this process.
        life: this run of the process, for the rows of numbered inferences; the instance without one.
        clock: the two clocks.
        on_change: told by the writing thread when `degraded` becomes a reason, or None again.

    Raises:
        StartupError: the store is of a newer version, or cannot be made or written; says how to mend it.
    """

    def __init__(
        self,
        path: Path,
        *,
        queue_size: int,
        retention: float,
        max_bytes: int,
        capture: Capture,
        service_instance: str,
        life: str | None = None,
        clock: Clock,
        on_change: Callable[[str | None], None] = lambda _reason: None,
    ) -> None:
        self._path = path
        self._retention = Retention(seconds=retention, max_bytes=max_bytes)
        self._capture = capture
        self._instance = service_instance
        self._life = life or service_instance
        self._clock = clock
        self._on_change = on_change
        self._box: Mailbox[_Inference | BatchEvent | _Entry] = Mailbox(queue_size)
        self._pending: list[_Inference | BatchEvent | _Entry] = []
        self._dropped: Counter[str] = Counter(queue_full=0, write_failed=0)
        self._mutex = threading.Lock()
        self._written = 0
        self._abandoned = 0
        self._locked = False
        self._degraded: str | None = None
        self._notice: str | None = None
        self._backoff = Backoff(clock.monotonic)
        self._closing = threading.Event()
        self._giving_up = threading.Event()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._tidy_at = 0.0
        self._cut_age: float | None = None
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            if sqlite_file.is_busy(error) or sqlite_file.is_damage(error):
                self._failed(error)
            else:
                raise StartupError(
                    f"MGEO_DATA_DIR: the store {path} cannot be used: {sqlite_file.in_words(error)}; "
                    "free or repair the disk, make the folder writable, or set MGEO_DATA_DIR to another one",
                ) from error
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """Events that have been committed: whoever opens the store now finds them."""
        return self._written

    @property
    def dropped(self) -> dict[str, int]:
        """Events lost, by reason: `queue_full` at the door, `write_failed` when they could not be written at all."""
        with self._mutex:
            return dict(self._dropped)

    @property
    def depth(self) -> int:
        """Events that wait."""
        return len(self._box) + len(self._pending)

    @property
    def cut_age(self) -> float | None:
        """Age in seconds of the oldest row that was left when rows last had to make room; None while none had to."""
        return self._cut_age

    @property
    def degraded(self) -> str | None:
        """Why events are not written now; None while all is well."""
        return self._degraded

    @property
    def notice(self) -> str | None:
        """What an operator should know of this process' store although it works: that a damaged one was set aside, and where."""
        return self._notice

    @property
    def size_bytes(self) -> int:
        """Bytes of the store on disk."""
        return sqlite_file.size_bytes(self._path)

    def add(self, event: InferenceEvent, seq: int | None = None) -> None:
        """Queue one inference with its number in the life of this process. Any thread; never blocks, never raises."""
        self._put((event, seq))

    def add_batch(self, event: BatchEvent) -> None:
        """Queue one batch. Any thread; never blocks, never raises."""
        self._put(event)

    def add_entry(self, entry: LedgerEntry, committed: Callable[[], None] = lambda: None) -> None:
        """Queue one entry of the ledger: it is committed after all that was queued before. Any thread; never blocks, never raises.

        One that finds the queue full, or the writer closed, is left out, and is no loss: the next one counts what it did.

        Args:
            entry: of this life, or of one that has ended.
            committed: called on the writing thread once it stands in the store.
        """
        if not self._closing.is_set():
            self._box.put(_Entry(entry, committed))

    def close(self, timeout: float) -> bool:
        """Write what waits, for at most `timeout` seconds, and close; whether nothing was left. Safe to call again."""
        self._closing.set()
        self._box.wake()
        self._thread.join(timeout)
        self._giving_up.set()
        return not self._thread.is_alive() and self._abandoned == 0

    def _put(self, item: _Inference | BatchEvent) -> None:
        if self._closing.is_set():
            self._lose("write_failed")
        elif not self._box.put(item):
            self._lose("queue_full")

    def _lose(self, reason: str, count: int = 1) -> None:
        if count:
            with self._mutex:
                self._dropped[reason] += count

    def _run(self) -> None:
        while not self._closing.is_set():
            self._box.wait(INTERVAL)
            if not self._backoff.waiting:
                self._work()
        self._work()
        # A lock passes, while a disk that is full now will hardly be cleared before the process has to end.
        while self._locked and self.depth and not self._giving_up.wait(_PAUSE):
            self._work()
        self._abandoned = _events([*self._pending, *self._box.take(len(self._box))])
        self._pending = []
        self._lose("write_failed", self._abandoned)
        self._close()

    def _work(self) -> None:
        try:
            connection = self._connection or self._open()
            if self._clock.monotonic() >= self._tidy_at:
                connection = self._tidy(connection)
            while self._pending or len(self._box):
                self._pending = self._pending or self._box.take(self._retention.rows)
                self._commit(connection)
                if self._retention.is_exceeded(connection):
                    self._let_go(connection)
        except Exception as error:  # noqa: BLE001 -- whatever happens to the disk or the file, the thread goes on
            self._failed(error)
        else:
            self._locked = False
            self._backoff.succeeded()
            self._tell(None)

    def _commit(self, connection: sqlite3.Connection) -> None:
        names = NameTable(connection)
        failed = 0
        connection.execute("BEGIN IMMEDIATE")
        try:
            first = _first_row(connection)
            for item in self._pending:
                try:
                    if isinstance(item, tuple):
                        self._write(connection, names, *item, first)
                        first = None
                    elif isinstance(item, BatchEvent):
                        connection.execute(_INSERT_BATCH, to_batch_row(item, instance=self._instance, number=names.number))
                    else:
                        ledger.insert(connection, item.entry, names.number)
                except Exception as error:
                    # An event that no row can hold must not keep the others waiting for ever.
                    if isinstance(error, sqlite3.Error) and not isinstance(error, _UNWRITABLE):
                        raise
                    failed += 1
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        done, self._pending = self._pending, []
        self._written += _events(done) - failed
        self._lose("write_failed", failed)
        for item in done:
            if isinstance(item, _Entry):
                item.committed()

    def _write(self, connection: sqlite3.Connection, names: NameTable, event: InferenceEvent, seq: int | None, row: int | None) -> None:
        cells = to_row(event, life=self._life if seq else self._instance, seq=seq, number=names.number)
        row = connection.execute(_INSERT_INFERENCE, (row, *cells)).lastrowid
        text = self._captured(event)
        if text is not None:
            connection.execute(_INSERT_TEXT, (row, pack_text(text.address1), pack_text(text.address2)))

    def _captured(self, event: InferenceEvent) -> CapturedText | None:
        if self._capture == "all" or (self._capture == "failed" and event.outcome is not Outcome.SUCCESS):
            return event.text
        return None

    def _tidy(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        now = self._clock.monotonic()
        if sqlite_file.inode(self._path) != self._inode:
            # Removed or renamed under us: what is written there nobody finds.
            self._close()
            connection = self._open()
        more = self._let_go(connection)
        self._tidy_at = now if more else now + TIDY_EVERY
        return connection

    def _let_go(self, connection: sqlite3.Connection) -> bool:
        too_big, now_ns = self._retention.is_exceeded(connection), self._clock.unix_ns()
        more = self._retention.step(connection, now_ns)
        if too_big and more:
            oldest = connection.execute("SELECT min(started) FROM inference").fetchone()[0]
            self._cut_age = None if oldest is None else max(now_ns - oldest, 0) / _NS
        return more

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite_file.open_for_writing(self._path, max_bytes=self._retention.max_bytes)
        except sqlite3.DatabaseError as error:
            if not sqlite_file.is_damage(error):
                raise
            self._set_aside()
            connection = sqlite_file.open_for_writing(self._path, max_bytes=self._retention.max_bytes)
        self._connection = connection
        self._inode = sqlite_file.inode(self._path)
        expired = self._clock.unix_ns() - int(self._retention.seconds * _NS)
        sqlite_file.remove_old_damaged(self._path, before_unix_ns=expired)
        return connection

    def _set_aside(self) -> None:
        aside = sqlite_file.set_damaged_aside(self._path, unix_ns=self._clock.unix_ns())
        if aside is not None:
            self._notice = f"the store was damaged; it is kept as {aside}, and a new one was begun"

    def _failed(self, error: Exception) -> None:
        self._close()
        self._backoff.failed()
        self._locked = sqlite_file.is_busy(error)
        if sqlite_file.is_damage(error):
            try:
                self._set_aside()
            except OSError as another:
                error = another
        self._tell(f"store {self._path}: {sqlite_file.in_words(error)}")

    def _tell(self, reason: str | None) -> None:
        changed = (reason is None) != (self._degraded is None)
        self._degraded = reason
        if changed:
            self._on_change(reason)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _events(items: Iterable[_Inference | BatchEvent | _Entry]) -> int:
    return sum(not isinstance(item, _Entry) for item in items)


def _first_row(connection: sqlite3.Connection) -> int | None:
    # Where an id is made by SQLite, it begins anew at 1 once the last row is gone; the ledger relies on ids that only rise.
    if connection.execute("SELECT max(id) FROM inference").fetchone()[0] is not None:
        return None
    return int(connection.execute("SELECT coalesce(max(last_row), 0) FROM ledger").fetchone()[0]) + 1
