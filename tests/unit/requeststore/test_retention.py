"""What the store lets go of."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.requeststore import sqlite_file
from service.requeststore.retention import Retention
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import CapturedText, Clock
from tests.deadline import DEADLINE, until
from tests.inference_events import SECOND, STARTED, batch_of, success

MIB = 1 << 20
DAY = 86_400
WEEK = Retention(seconds=7 * DAY, max_bytes=1 << 30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def connection(path: Path):
    """A store with ten inferences a second apart, with their batches and texts, the first at `STARTED`."""
    fill(path, 10)
    with closing(sqlite_file.open_for_writing(path, max_bytes=1 << 30)) as connection:
        yield connection


def fill(path: Path, count: int, *, seconds: int = 1, max_bytes: int = 1 << 30) -> SqliteWriter:
    clock = Clock(unix_ns=lambda: STARTED)
    writer = SqliteWriter(
        path, queue_size=1_000_000, retention=7 * DAY, max_bytes=max_bytes, capture="all", service_instance="one", clock=clock
    )
    for number in range(count):
        event = success(
            f"r-{number}",
            batch_id=f"b-{number}",
            started_unix_ns=STARTED + number * seconds * SECOND,
            text=CapturedText(f"address one {number}", f"address two {number}"),
        )
        writer.add(event)
        writer.add_batch(batch_of(event))
    assert writer.close(60)
    return writer


def left(connection: sqlite3.Connection) -> dict[str, list[int]]:
    """The numbers of what is left, by table."""
    return {
        "inference": [int(call[2:]) for (call,) in connection.execute("SELECT call FROM inference ORDER BY started")],
        "batch": [int(batch[2:]) for (batch,) in connection.execute("SELECT batch FROM batch ORDER BY started")],
        "text": [int(text.split()[-1]) for (text,) in connection.execute("SELECT address1 FROM captured_text ORDER BY inference")],
    }


def all_of(numbers: range) -> dict[str, list[int]]:
    return {"inference": list(numbers), "batch": list(numbers), "text": list(numbers)}


def test_nothing_goes_before_its_time(connection) -> None:
    """There is nothing to do, and it says so."""
    assert not WEEK.step(connection, STARTED + 7 * DAY * SECOND)
    assert left(connection) == all_of(range(10))


def test_what_is_past_its_time_goes_with_its_batch_and_text(connection) -> None:
    """Four inferences are older than a week; a batch starts 2 ms after its member."""
    assert WEEK.step(connection, STARTED + 7 * DAY * SECOND + 3 * SECOND + 3_000_000)
    assert left(connection) == all_of(range(4, 10))


def test_a_batch_without_inferences_goes_too(connection) -> None:
    """Its members' rows may have been lost."""
    connection.execute("DELETE FROM inference")
    connection.execute("DELETE FROM captured_text")
    assert WEEK.step(connection, STARTED + 7 * DAY * SECOND + 60 * SECOND)
    assert not WEEK.step(connection, STARTED + 7 * DAY * SECOND + 60 * SECOND)
    assert left(connection)["batch"] == []


def test_steps_are_small(path: Path) -> None:
    """Other writers wait for a thousand rows at most; free pages go back to the disk in the end."""
    fill(path, 2500)
    full = path.stat().st_size
    with closing(sqlite_file.open_for_writing(path, max_bytes=1 << 30)) as connection:
        late = STARTED + 30 * DAY * SECOND
        sizes = []
        while WEEK.step(connection, late):
            sizes.append(len(left(connection)["inference"]))
        assert sizes[:3] == [1500, 500, 0]
        assert left(connection) == all_of(range(0))
    assert path.stat().st_size < full // 2


def test_removed_text_is_overwritten_on_disk(path: Path) -> None:
    """Personal data does not stay behind in free pages."""
    fill(path, 50)
    assert b"address one 7" in path.read_bytes()
    with closing(sqlite_file.open_for_writing(path, max_bytes=1 << 30)) as connection:
        while WEEK.step(connection, STARTED + 30 * DAY * SECOND):
            pass
    assert b"address one" not in path.read_bytes()


def test_a_step_that_cannot_be_written_removes_nothing(connection, path: Path) -> None:
    """Half an inference is never left."""
    connection.execute("CREATE TRIGGER refuse BEFORE DELETE ON batch BEGIN SELECT RAISE(ABORT, 'refused'); END")
    with pytest.raises(sqlite3.IntegrityError):
        WEEK.step(connection, STARTED + 30 * DAY * SECOND)
    assert not connection.in_transaction
    assert left(connection) == all_of(range(10))


def test_when_the_store_is_too_big_the_oldest_go_and_a_late_members_batch_stays(path: Path) -> None:
    """The batches of the last minute stay: their members' rows may still come."""
    fill(path, 3000, seconds=1)
    with closing(sqlite_file.open_for_writing(path, max_bytes=1 << 30)) as connection:
        small = Retention(seconds=7 * DAY, max_bytes=MIB)
        assert small.step(connection, STARTED + 3000 * SECOND)
        assert left(connection) == {
            "inference": list(range(64, 3000)),
            "batch": list(range(4, 3000)),
            "text": list(range(64, 3000)),
        }


def test_a_store_that_shrinks_gives_its_room_back(path: Path) -> None:
    """Somebody set MGEO_STORE_MAX_BYTES lower."""
    fill(path, 6000)
    assert path.stat().st_size > 2.5 * MIB
    with closing(sqlite_file.open_for_writing(path, max_bytes=2 * MIB)) as connection:
        smaller = Retention(seconds=7 * DAY, max_bytes=2 * MIB)
        while smaller.step(connection, STARTED):
            pass
        kept = left(connection)["inference"]
    assert kept[-1] == 5999
    assert len(kept) > 1000
    assert path.stat().st_size <= 2 * MIB


def test_a_store_emptied_to_its_tables_stops_there(connection) -> None:
    """A limit smaller than the tables themselves does not turn in circles."""
    tiny = Retention(seconds=7 * DAY, max_bytes=1000)
    steps = 0
    while tiny.step(connection, STARTED + 3600 * SECOND):
        steps += 1
        assert steps < 100
    assert left(connection) == all_of(range(0))


def test_a_writing_process_keeps_its_store_under_the_size(path: Path) -> None:
    """14,000 inferences into 4 MiB: at no moment is more on the disk, the newest are there, and writing goes on."""
    largest = 0
    clock = Clock(unix_ns=lambda: STARTED)
    writer = SqliteWriter(
        path, queue_size=1_000_000, retention=7 * DAY, max_bytes=4 * MIB, capture="off", service_instance="one", clock=clock
    )
    for start in range(0, 14_000, 1000):
        for number in range(start, start + 1000):
            writer.add(success(f"r-{number}", batch_id=None, started_unix_ns=STARTED + number * SECOND))
        until(lambda start=start: writer.written == start + 1000)
        largest = max(largest, writer.size_bytes)
    assert writer.close(DEADLINE)
    assert 2 * MIB < largest <= 4 * MIB
    assert writer.cut_age is not None
    assert writer.dropped == {"queue_full": 0, "write_failed": 0}
    with closing(sqlite3.connect(path)) as connection:
        kept = left(connection)["inference"]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert kept == list(range(kept[0], 14_000))
    assert len(kept) > 4000


def test_how_far_the_store_reaches_back_is_known_once_rows_had_to_make_room(path: Path) -> None:
    """The age of the oldest that was left; rows whose time was over count for nothing."""
    now = STARTED + 3 * DAY * SECOND
    writer = SqliteWriter(
        path,
        queue_size=50_000,
        retention=7 * DAY,
        max_bytes=1 * MIB,
        capture="off",
        service_instance="one",
        clock=Clock(unix_ns=lambda: now),
    )
    assert writer.cut_age is None
    writer.add(success("r-old", started_unix_ns=STARTED - 5 * DAY * SECOND))
    until(lambda: writer.written == 1)
    for number in range(6000):
        writer.add(success(f"r-{number}", batch_id=None, started_unix_ns=STARTED + number * SECOND))
    until(lambda: writer.written == 6001)
    assert writer.close(DEADLINE)

    with closing(sqlite3.connect(path)) as connection:
        (oldest,) = connection.execute("SELECT min(started) FROM inference").fetchone()
    assert writer.cut_age == (now - oldest) / SECOND
    assert 3 * DAY - 6000 < writer.cut_age < 3 * DAY


def test_a_writing_process_lets_go_of_old_rows_by_itself(path: Path, ticking) -> None:
    """A week later by its clock, with nothing new to write."""
    clock = Clock(monotonic=ticking.monotonic, unix_ns=lambda: STARTED + round(ticking.seconds * SECOND))
    writer = SqliteWriter(path, queue_size=100, retention=7 * DAY, max_bytes=1 << 30, capture="off", service_instance="one", clock=clock)
    writer.add(success("r-0"))
    until(lambda: writer.written == 1)
    ticking.tick(7 * DAY + 1)
    with closing(sqlite3.connect(path)) as connection:
        until(lambda: left(connection)["inference"] == [])
    writer.close(DEADLINE)
