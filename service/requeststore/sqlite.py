"""The reader of the embedded store."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from service.errors import RequestNotFound, StoreError
from service.requeststore import sqlite_file
from service.requeststore.base import RequestPage
from service.requeststore.migrations import is_ready
from service.requeststore.sqlite_search import check, find
from service.requeststore.sqlite_story import tell
from service.telemetry.ids import is_inference_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.requeststore.base import RequestStory, Search

R = TypeVar("R")

THREADS = 2
DEADLINE = 10.0
_STEPS = 10_000


class SqliteRequestStore:
    """Answers from the rows that every `SqliteWriter` of the data folder has committed.

    SQLite runs on a few threads of this store, never on the event loop. Works while writers write, after they were killed,
    and before the first one began.

    Args:
        path: the database file; need not exist.
        service: `service.name` of the writers, which stands in the log lines.
        monotonic: the clock of the deadline.
        deadline: seconds an answer may take before it is given up.
    """

    def __init__(self, path: Path, service: str, *, monotonic: Callable[[], float] = time.monotonic, deadline: float = DEADLINE) -> None:
        self._path = path
        self._service = service
        self._monotonic = monotonic
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")
        self._idle: list[tuple[int | None, sqlite3.Connection]] = []
        self._mutex = threading.Lock()

    @property
    def searches_everywhere(self) -> bool:
        """Never: it is of one data folder."""
        return False

    async def story(self, request_id: str, *, limit: int = 300) -> RequestStory:
        """Tell all attempts of a request id; of one pair for `<id>:<index>`, of the whole call for the bare id.

        Raises:
            RequestNotFound: nothing is known of it.
            StoreError: the store cannot be read, or not in time.
        """
        if not is_inference_id(request_id):
            raise RequestNotFound(request_id)
        story = await self._run(lambda connection: tell(connection, request_id, limit=limit, service=self._service))
        if story is None:
            raise RequestNotFound(request_id)
        return story

    async def search(self, search: Search) -> RequestPage:
        """List inferences, newest first. With address hashes: those that had every given hash on either side.

        Raises:
            InvalidQuery: the cursor was not made by this store, a bound is out of range, or the search is of everywhere.
            StoreError: the store cannot be read, or not in time.
        """
        check(search)
        page = await self._run(lambda connection: find(connection, search))
        return page or RequestPage(requests=(), next_cursor=None)

    def close(self) -> None:
        """Close the threads and what they have open. Safe to call again."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._mutex:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    async def _run(self, read: Callable[[sqlite3.Connection], R]) -> R | None:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, read)

    def _read(self, read: Callable[[sqlite3.Connection], R]) -> R | None:
        try:
            inode = sqlite_file.inode(self._path)
            if inode is None:
                return None
            connection = self._connection(inode)
            until = self._monotonic() + self._deadline
            connection.set_progress_handler(lambda: self._monotonic() > until, _STEPS)
            try:
                result = _in_one_view(connection, read)
            except BaseException:
                connection.close()
                raise
            with self._mutex:
                self._idle.append((inode, connection))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise StoreError(f"the store took longer than {self._deadline:g} s; ask for less") from error
            raise StoreError(f"the store {self._path} cannot be read: {sqlite_file.in_words(error)}") from error
        except sqlite3.Error as error:
            raise StoreError(f"the store {self._path} cannot be read: {sqlite_file.in_words(error)}") from error
        except LookupError as error:
            raise StoreError("the store has rows of a newer version; use that version") from error
        return result

    def _connection(self, inode: int) -> sqlite3.Connection:
        with self._mutex:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            if idle[0] == inode:
                return idle[1]
            # The file has been replaced since.
            idle[1].close()
        return sqlite_file.open_for_reading(self._path)


def _in_one_view(connection: sqlite3.Connection, read: Callable[[sqlite3.Connection], R]) -> R | None:
    # All queries of one answer see the same moment.
    connection.execute("BEGIN")
    try:
        return read(connection) if is_ready(connection) else None
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
