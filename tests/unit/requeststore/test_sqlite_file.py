"""The database file."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from service.requeststore import sqlite_file
from service.requeststore.sqlite_file import in_words, is_busy, is_damage, open_for_reading, open_for_writing, set_damaged_aside, size_bytes

MIB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_store_is_opened_for_many_readers_and_writers_and_for_shrinking(path: Path) -> None:
    """WAL, NORMAL, incremental vacuum, overwriting what is removed; the log of changes an eighth of the size at most."""
    with closing(open_for_writing(path, max_bytes=8 * MIB)) as connection:
        assert {
            name: pragma(connection, name)
            for name in ("journal_mode", "synchronous", "auto_vacuum", "secure_delete", "wal_autocheckpoint", "journal_size_limit")
        } == {
            "journal_mode": "wal",
            "synchronous": 1,
            "auto_vacuum": 2,
            "secure_delete": 1,
            "wal_autocheckpoint": 256,
            "journal_size_limit": MIB,
        }


def test_a_large_store_has_a_log_of_changes_of_16_mb(path: Path) -> None:
    """Folded in every thousand pages."""
    with closing(open_for_writing(path, max_bytes=1 << 40)) as connection:
        assert (pragma(connection, "journal_size_limit"), pragma(connection, "wal_autocheckpoint")) == (16 * MIB, 1000)


def test_a_reader_cannot_write_and_makes_no_file(path: Path) -> None:
    """Look-ups change nothing."""
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_for_reading(path)
    assert not path.exists()
    open_for_writing(path, max_bytes=MIB).close()
    with closing(open_for_reading(path)) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM inference")


def test_a_path_with_odd_characters_is_found(tmp_path: Path) -> None:
    """Spaces, question marks, percent signs and Chinese."""
    path = tmp_path / "数据 ?a=b#%20"
    open_for_writing(path, max_bytes=MIB).close()
    with closing(open_for_reading(path)) as connection:
        assert connection.execute("SELECT count(*) FROM inference").fetchone() == (0,)


def held(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (a)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM t").fetchall()
    return other


def test_another_process_that_switches_the_file_to_wal_is_waited_for(monkeypatch) -> None:
    """SQLite itself gives up at once when two do it at the same instant, which a test cannot arrange."""

    class AtOnce:
        tries = 0

        def execute(self, sql: str) -> None:
            self.tries += 1
            if self.tries < 4:
                raise error(sqlite3.SQLITE_BUSY)

    waits: list[float] = []
    monkeypatch.setattr(sqlite_file.time, "sleep", waits.append)
    connection = AtOnce()
    sqlite_file._use_wal(connection)
    assert (connection.tries, waits) == (4, [0.01, 0.01, 0.01])


def test_a_file_that_stays_locked_is_given_up(path: Path, monkeypatch) -> None:
    """After the time a writer waits for a lock."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.05)
    with closing(held(path)), pytest.raises(sqlite3.OperationalError) as caught:
        open_for_writing(path, max_bytes=MIB)
    assert is_busy(caught.value)
    assert not is_damage(caught.value)


def test_a_sound_store_is_never_set_aside(path: Path) -> None:
    """Whoever thought it damaged looks again under the lock."""
    open_for_writing(path, max_bytes=MIB).close()
    assert set_damaged_aside(path, unix_ns=0) is None
    assert path.exists()


def damage_beyond_the_first_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def test_a_damaged_store_takes_its_log_of_changes_along(path: Path) -> None:
    """The new store must not find the old one's, which another process still has open."""
    with closing(open_for_writing(path, max_bytes=MIB)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        other.execute("INSERT INTO name (text) VALUES ('match')")
        damage_beyond_the_first_page(path)
        aside = set_damaged_aside(path, unix_ns=1_795_252_087_000_000_000)
        names = sorted(file.name for file in path.parent.iterdir())
    assert aside == path.with_name("telemetry.db.damaged-20261121T090807Z")
    assert names == [
        "telemetry.db.damaged-20261121T090807Z",
        "telemetry.db.damaged-20261121T090807Z-shm",
        "telemetry.db.damaged-20261121T090807Z-wal",
        "telemetry.db.lock",
    ]


def test_one_process_at_a_time_sets_a_store_aside(path: Path) -> None:
    """The second one finds the lock taken, and tries again later."""
    path.write_bytes(b"not a database" * 100)
    lock = sqlite_file.FileLock.take(path.with_name("telemetry.db.lock"))
    assert set_damaged_aside(path, unix_ns=0) is None
    lock.release()
    assert set_damaged_aside(path, unix_ns=0) is not None


def test_the_size_is_that_of_all_files_of_the_store(path: Path) -> None:
    """0 before there is one."""
    assert size_bytes(path) == 0
    path.write_bytes(b"x" * 10)
    path.with_name("telemetry.db-wal").write_bytes(b"x" * 5)
    assert size_bytes(path) == 15


def error(code: int, name: str = "") -> sqlite3.OperationalError:
    made = sqlite3.OperationalError("杭州市西湖区")
    made.sqlite_errorcode, made.sqlite_errorname = code, name
    return made


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (error(sqlite3.SQLITE_FULL), "the disk is full"),
        (error(sqlite3.SQLITE_IOERR_WRITE), "the disk fails or is full"),
        (error(sqlite3.SQLITE_BUSY_SNAPSHOT), "another process holds it locked"),
        (error(sqlite3.SQLITE_READONLY_DBMOVED), "it cannot be written"),
        (error(sqlite3.SQLITE_CORRUPT_INDEX), "it is damaged"),
        (error(sqlite3.SQLITE_TOOBIG, "SQLITE_TOOBIG"), "SQLITE_TOOBIG"),
        (sqlite3.ProgrammingError("杭州市西湖区"), "ProgrammingError"),
        (PermissionError(13, "Permission denied", "/secret"), "Permission denied"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("杭州市西湖区"), "ValueError"),
    ],
)
def test_an_error_is_told_without_what_is_in_the_store(problem: Exception, words: str) -> None:
    """Messages of exceptions may quote a row."""
    assert in_words(problem) == words


def test_damage_is_told_from_what_passes() -> None:
    """Only damage moves a file."""
    damaged = [error(sqlite3.SQLITE_CORRUPT), error(sqlite3.SQLITE_NOTADB), error(sqlite3.SQLITE_CORRUPT_VTAB)]
    passing = [error(sqlite3.SQLITE_FULL), error(sqlite3.SQLITE_BUSY), OSError(5, "I/O"), ValueError(), sqlite3.DatabaseError()]
    assert [is_damage(problem) for problem in damaged] == [True] * 3
    assert [is_damage(problem) for problem in passing] == [False] * 5


def test_two_threads_that_open_a_blank_store_at_once_both_succeed(path: Path) -> None:
    """Two processes started by one supervisor."""
    failures: list[Exception] = []
    barrier = threading.Barrier(4)

    def open_it() -> None:
        barrier.wait(20)
        try:
            open_for_writing(path, max_bytes=MIB).close()
        except Exception as problem:
            failures.append(problem)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
