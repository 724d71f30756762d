"""The thread that writes the store."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.errors import ErrorType, StartupError
from service.requeststore import sqlite_file
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import CapturedText, Clock
from tests.deadline import DEADLINE, until
from tests.full_disk import files_up_to, small_disk
from tests.inference_events import batch_of, refused, success

MIB = 1 << 20
DAY = 86_400.0
TEXT = CapturedText("杭州市西湖区\ud800", "西湖区")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


def open_writer(path: Path, **options: Any) -> SqliteWriter:
    defaults: dict[str, Any] = {
        "queue_size": 20_000,
        "retention": 365 * 100 * DAY,
        "max_bytes": 1 << 30,
        "capture": "off",
        "service_instance": "one",
        "clock": Clock(),
    }
    return SqliteWriter(path, **{**defaults, **options})


def rows(path: Path, sql: str = "SELECT call FROM inference ORDER BY id") -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(sql)]


def is_sound(path: Path) -> bool:
    return rows(path, "PRAGMA integrity_check") == ["ok"]


def numbered(count: int, start: int = 0) -> list[Any]:
    return [success(f"r-{number}", span_id=f"{number:016x}") for number in range(start, start + count)]


def ids(count: int, start: int = 0) -> list[str]:
    return [f"r-{number}" for number in range(start, start + count)]


def test_a_row_is_there_within_a_second_of_its_event(path: Path) -> None:
    """For any other process, without closing the writer; a busy test machine gets several tries."""
    writer = open_writer(path)
    delays = []
    while not delays or (min(delays) > 1.0 and len(delays) < 5):
        added = time.monotonic()
        writer.add(success(f"r-{len(delays)}"))
        until(lambda: rows(path) == ids(len(delays) + 1))
        delays.append(time.monotonic() - added)
    assert min(delays) <= 1.0
    until(lambda: writer.written == len(delays))
    assert (writer.depth, writer.degraded, writer.notice) == (0, None, None)
    assert writer.close(DEADLINE)


def test_closing_writes_what_waits(path: Path) -> None:
    """In the order it came; more than one transaction's worth."""
    writer = open_writer(path)
    for event in numbered(2500):
        writer.add(event)
    writer.add_batch(batch_of(success("r-1")))
    assert writer.close(DEADLINE)
    assert rows(path) == ids(2500)
    assert rows(path, "SELECT count(*) FROM batch") == [1]
    assert writer.written == 2501
    assert writer.dropped == {"queue_full": 0, "write_failed": 0}
    assert is_sound(path)


def test_the_next_process_goes_on_with_the_same_file(path: Path) -> None:
    """A restart loses nothing."""
    for number in range(3):
        writer = open_writer(path)
        writer.add(success(f"r-{number}"))
        writer.close(DEADLINE)
    assert rows(path) == ids(3)


def test_only_its_owner_may_read_the_store(path: Path) -> None:
    """It may hold addresses; the companions of a live file too."""
    writer = open_writer(path)
    writer.add(success())
    until(lambda: writer.written == 1)
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {
        "telemetry.db": 0o600,
        "telemetry.db-wal": 0o600,
        "telemetry.db-shm": 0o600,
    }
    assert writer.size_bytes == sum(file.stat().st_size for file in path.parent.iterdir())
    writer.close(DEADLINE)


@pytest.mark.parametrize(
    ("capture", "kept"),
    [("off", []), ("failed", ["r-invalid", "r-error"]), ("all", ["r-success", "r-invalid", "r-error"])],
)
def test_text_is_kept_only_where_capture_text_says_so(path: Path, capture: str, kept: list[str]) -> None:
    """Never, of all but successes, or always; without the setting no byte of it reaches the disk."""
    writer = open_writer(path, capture=capture)
    writer.add(success("r-success", text=TEXT))
    writer.add(refused(ErrorType.ADDRESS_TOO_LONG, "r-invalid", text=TEXT))
    writer.add(refused(ErrorType.MODEL_FAILED, "r-error", text=TEXT))
    writer.add(refused(ErrorType.MODEL_FAILED, "r-without-text"))
    writer.close(DEADLINE)
    assert rows(path, "SELECT call FROM inference JOIN captured_text ON captured_text.inference = inference.id ORDER BY id") == kept
    assert ("西湖区".encode() in path.read_bytes()) == bool(kept)


def test_a_full_queue_drops_by_count_and_never_blocks(path: Path) -> None:
    """20,000 events while another process holds the file: 100 wait, the others are counted, none twice."""
    writer = open_writer(path, queue_size=100)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        event = success("r-0")
        started = time.monotonic()
        for _ in range(20_000):
            writer.add(event)
        # Less than a single wait for the lock.
        assert time.monotonic() - started < sqlite_file.BUSY_TIMEOUT
        assert writer.dropped["queue_full"] >= 19_500
        other.execute("ROLLBACK")
    assert writer.close(DEADLINE)
    assert writer.written + writer.dropped["queue_full"] == 20_000
    assert len(rows(path)) == writer.written
    assert writer.dropped["write_failed"] == 0


def test_a_locked_store_is_degraded_until_it_is_free_and_loses_nothing(path: Path) -> None:
    """Who asked to be told is told once for each change."""
    told: list[str | None] = []
    writer = open_writer(path, on_change=told.append)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.add(success("r-0"))
        until(lambda: writer.degraded is not None)
        assert writer.degraded == f"store {path}: another process holds it locked"
        assert writer.depth == 1
        other.execute("ROLLBACK")
    until(lambda: writer.written == 1)
    until(lambda: writer.degraded is None)
    assert told == [f"store {path}: another process holds it locked", None]
    writer.close(DEADLINE)
    assert rows(path) == ["r-0"]


def test_a_store_that_is_locked_at_start_does_not_keep_the_service_from_starting(path: Path) -> None:
    """The lock passes; events wait meanwhile."""
    open_writer(path).close(DEADLINE)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = open_writer(path)
        assert writer.degraded == f"store {path}: another process holds it locked"
        writer.add(success("r-0"))
        other.execute("ROLLBACK")
    assert writer.close(DEADLINE)
    assert rows(path) == ["r-0"]


def test_a_disk_that_fills_and_is_cleared_again_loses_nothing(path: Path) -> None:
    """The kernel refuses to let any file grow; the thread lives and tries again."""
    writer = open_writer(path)
    writer.add(success("r-0"))
    until(lambda: writer.written == 1)
    with files_up_to(path.with_name("telemetry.db-wal").stat().st_size):
        for event in numbered(200, 1):
            writer.add(event)
        until(lambda: writer.degraded == f"store {path}: the disk fails or is full")
    until(lambda: writer.degraded is None)
    assert writer.close(DEADLINE)
    assert rows(path) == ids(201)
    assert writer.dropped == {"queue_full": 0, "write_failed": 0}
    assert is_sound(path)


def test_a_file_system_that_is_really_full_is_said_and_survived(tmp_path: Path) -> None:
    """ENOSPC as the kernel gives it; what was written before stays readable."""
    with small_disk(tmp_path / "disk", 2 * MIB) as disk:
        path = disk / "telemetry.db"
        writer = open_writer(path)
        for event in numbered(100):
            writer.add(event)
        until(lambda: writer.written == 100)
        status = os.statvfs(disk)
        (disk / "filler").write_bytes(b"x" * (status.f_bavail * status.f_bsize))
        for event in numbered(500, 100):
            writer.add(event)
        until(lambda: writer.degraded == f"store {path}: the disk is full")
        assert rows(path) == ids(100)
        (disk / "filler").unlink()
        until(lambda: writer.written == 600)
        assert writer.close(DEADLINE)
        assert rows(path) == ids(600)
        assert is_sound(path)


def test_what_could_not_be_written_by_the_end_is_counted(path: Path) -> None:
    """Nothing disappears without a number, and an event after the end is one too many."""
    writer = open_writer(path)
    until(lambda: path.with_name("telemetry.db-wal").exists())
    with files_up_to(1):
        for event in numbered(5):
            writer.add(event)
        assert not writer.close(DEADLINE)
    writer.add(success())
    assert writer.dropped == {"queue_full": 0, "write_failed": 6}
    assert writer.depth == 0


def test_closing_waits_for_a_lock_that_passes(path: Path, monkeypatch) -> None:
    """However often SQLite gives it up meanwhile."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.01)
    told: list[str | None] = []
    writer = open_writer(path, on_change=told.append)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.add(success("r-0"))

        def let_go() -> None:
            until(lambda: told and writer._closing.is_set())
            other.execute("ROLLBACK")

        release = threading.Thread(target=let_go)
        release.start()
        assert writer.close(DEADLINE)
        release.join(DEADLINE)
    assert told == [f"store {path}: another process holds it locked", None]
    assert rows(path) == ["r-0"]


def test_closing_has_a_bound(path: Path) -> None:
    """A file that stays locked does not keep the process from ending."""
    writer = open_writer(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.add(success())
        assert not writer.close(0.05)
        other.execute("ROLLBACK")
    writer.close(DEADLINE)


@pytest.mark.parametrize(
    "changes", [{"output_length": 1 << 70}, {"started_unix_ns": None}, {"duration": "fast"}, {"queue_depth": object()}]
)
def test_an_event_that_no_row_can_hold_is_dropped_alone(path: Path, changes: dict[str, Any]) -> None:
    """It does not keep the others waiting for ever."""
    writer = open_writer(path)
    writer.add(success("r-0"))
    writer.add(replace(success("r-bad"), **changes))
    writer.add(success("r-1"))
    assert writer.close(DEADLINE)
    expected = ["r-0", "r-bad", "r-1"] if "duration" in changes else ["r-0", "r-1"]
    assert rows(path) == expected
    assert writer.written + writer.dropped["write_failed"] == 3


def damage_all(path: Path) -> None:
    path.write_bytes(b"not a database " * 1000)


def damage_tables(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))


def damage_one_index(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'inference_by_call'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))


@pytest.mark.parametrize("damage", [damage_all, damage_tables, damage_one_index])
def test_a_damaged_store_is_kept_under_another_name_and_a_new_one_begun(path: Path, damage) -> None:
    """Whether it shows at the start or only at the first write; the notice says where the old one is."""
    writer = open_writer(path)
    for event in numbered(300):
        writer.add(event)
    writer.close(DEADLINE)
    damage(path)
    damaged = path.read_bytes()
    clock = Clock(unix_ns=lambda: 1_795_252_087_000_000_000)
    writer = open_writer(path, clock=clock)
    writer.add(success("r-new"))
    until(lambda: writer.written == 1)
    until(lambda: writer.degraded is None)
    aside = path.with_name("telemetry.db.damaged-20261121T090807Z")
    assert writer.notice == f"the store was damaged; it is kept as {aside}, and a new one was begun"
    assert writer.close(DEADLINE)
    # Looking at it may count in the header.
    assert aside.read_bytes()[100:] == damaged[100:]
    assert rows(path) == ["r-new"]
    assert is_sound(path)


def test_a_damaged_store_that_cannot_be_renamed_is_said(path: Path, monkeypatch) -> None:
    """The service starts; events wait as long as there is room."""
    damage_all(path)

    def no_rename(_path: Path, _target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", no_rename)
        with pytest.raises(StartupError, match=r"the store .* cannot be used: Permission denied"):
            open_writer(path)


def test_a_store_damaged_under_the_writer_that_cannot_be_renamed_is_said(path: Path, monkeypatch) -> None:
    """The events wait, and go into the new store once the old one can be moved."""
    open_writer(path).close(DEADLINE)
    damage_one_index(path)
    allowed = threading.Event()

    def rename(path: Path, target: Path) -> Path:
        if not allowed.is_set():
            raise PermissionError(13, "Permission denied")
        os.rename(path, target)
        return target

    monkeypatch.setattr(Path, "rename", rename)
    writer = open_writer(path)
    writer.add(success("r-0"))
    until(lambda: writer.degraded == f"store {path}: Permission denied")
    allowed.set()
    until(lambda: writer.written == 1)
    assert writer.close(DEADLINE)
    assert rows(path) == ["r-0"]


def test_a_damage_that_another_process_is_mending_is_waited_for(path: Path) -> None:
    """Two processes notice it at once; one renames."""
    damage_all(path)
    mending = sqlite_file.FileLock.take(path.with_name("telemetry.db.lock"))
    writer = open_writer(path)
    assert writer.degraded == f"store {path}: it is damaged"
    writer.add(success("r-0"))
    mending.release()
    until(lambda: writer.written == 1)
    writer.close(DEADLINE)


def test_a_damaged_store_goes_when_what_it_holds_is_past_its_time(path: Path) -> None:
    """Captured text does not outlive its retention in a file nobody looks at."""
    old, young = (path.with_name(f"telemetry.db.damaged-{day}") for day in ("20261101T000000Z", "20261120T000000Z"))
    now = time.time()
    for aside, age in ((old, 8 * DAY), (young, 6 * DAY)):
        aside.write_bytes(b"")
        os.utime(aside, (now - age, now - age))
    open_writer(path, retention=7 * DAY).close(DEADLINE)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_store_removed_under_the_writer_is_made_again(path: Path) -> None:
    """Rows do not go on into a file that nobody can open."""
    writer = open_writer(path)
    writer.add(success("r-0"))
    until(lambda: writer.written == 1)
    for file in path.parent.iterdir():
        file.unlink()
    until(path.exists)
    writer.add(success("r-1"))
    until(lambda: writer.written == 2)
    assert rows(path) == ["r-1"]
    writer.close(DEADLINE)


def test_a_store_of_a_newer_version_is_refused_at_start(path: Path) -> None:
    """The message has the fix, and the store is left as it is."""
    open_writer(path).close(DEADLINE)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO migration VALUES ('m999_of_tomorrow')")
    with pytest.raises(StartupError, match=r"written by a newer version .* use that version, or another MGEO_DATA_DIR"):
        open_writer(path)
    assert rows(path, "SELECT count(*) FROM migration") == [6]


def test_a_store_that_cannot_be_made_is_refused_at_start_with_the_fix(tmp_path: Path) -> None:
    """Which file, why, and what to do."""
    with pytest.raises(StartupError) as caught:
        open_writer(tmp_path / "absent" / "telemetry.db")
    assert str(caught.value) == (
        f"MGEO_DATA_DIR: the store {tmp_path}/absent/telemetry.db cannot be used: No such file or directory; "
        "free or repair the disk, make the folder writable, or set MGEO_DATA_DIR to another one"
    )


def test_a_disk_that_is_full_at_start_is_named(path: Path) -> None:
    """Better than to serve and lose everything."""
    with files_up_to(1), pytest.raises(StartupError, match="cannot be used: the disk fails or is full; free or repair the disk"):
        open_writer(path)


def test_the_log_of_changes_stays_small(path: Path) -> None:
    """An eighth of the allowed size; it is folded into the store as it grows."""
    writer = open_writer(path, max_bytes=8 * MIB)
    largest = 0
    for start in range(0, 6000, 1000):
        for event in numbered(1000, start):
            writer.add(event)
        until(lambda start=start: writer.written == start + 1000)
        largest = max(largest, path.with_name("telemetry.db-wal").stat().st_size)
    # A transaction of a thousand rows comes on top.
    assert largest < 3 * MIB
    writer.close(DEADLINE)


def test_a_reader_that_never_ends_does_not_stop_the_writer(path: Path) -> None:
    """It sees its own moment; the others see the new rows."""
    writer = open_writer(path)
    writer.add(success("r-0"))
    until(lambda: writer.written == 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as slow:
        slow.execute("BEGIN")
        assert slow.execute("SELECT count(*) FROM inference").fetchone() == (1,)
        for event in numbered(3000, 1):
            writer.add(event)
        until(lambda: writer.written == 3001)
        assert slow.execute("SELECT count(*) FROM inference").fetchone() == (1,)
        assert len(rows(path)) == 3001
    writer.close(DEADLINE)


WRITE_3000 = """
import sys
from pathlib import Path
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import Clock
from tests.inference_events import success
writer = SqliteWriter(Path(sys.argv[1]), queue_size=20000, retention=1e9, max_bytes=1 << 30, capture="off",
                      service_instance=sys.argv[2], clock=Clock())
sys.stdin.readline()
for number in range(3000):
    writer.add(success(f"{sys.argv[2]}-{number}"))
print(writer.close(60), writer.written, sum(writer.dropped.values()))
"""


def test_three_processes_write_one_store_at_once(path: Path) -> None:
    """They begin with a blank folder at the same moment, and no row of any is lost."""
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITE_3000, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two", "three")
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["True 3000 0\n"] * 3
    assert rows(path, "SELECT count(*) FROM inference") == [9000]
    assert rows(path, "SELECT count(DISTINCT instance) FROM inference") == [3]
    assert is_sound(path)


WRITE_UNTIL_KILLED = """
import itertools, sys, time
from pathlib import Path
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import Clock
from tests.inference_events import success
writer = SqliteWriter(Path(sys.argv[1]), queue_size=20000, retention=1e9, max_bytes=1 << 30, capture="off", service_instance="one",
                      clock=Clock())
for number in itertools.count():
    writer.add(success(f"r-{number}"))
    if number % 100 == 99:
        print(writer.written, flush=True)
        time.sleep(0.002)
"""


@pytest.mark.parametrize("after", [1, 3000])
def test_after_kill_9_every_row_that_was_reported_is_there(path: Path, after: int) -> None:
    """Killed while it writes; the store opens, is sound, has no gap, and the next process goes on with it."""
    process = subprocess.Popen([sys.executable, "-c", WRITE_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) >= after:
            break
    process.kill()
    reported = int((process.communicate(timeout=30)[0].split() or [line])[-1])
    found = rows(path)
    assert found == ids(len(found))
    assert len(found) >= reported >= after
    assert is_sound(path)
    writer = open_writer(path)
    writer.add(success("r-after"))
    assert writer.close(DEADLINE)
    assert rows(path)[-1] == "r-after"


def test_events_of_many_threads_are_each_written_once(path: Path) -> None:
    """Four threads, as a server with a model thread and an event loop has them."""
    writer = open_writer(path)
    threads = [
        threading.Thread(target=lambda start=start: [writer.add(e) for e in numbered(1000, start)]) for start in (0, 1000, 2000, 3000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert writer.close(DEADLINE)
    assert sorted(rows(path)) == sorted(ids(4000))
