"""The ledger: what was counted at each collection, and the rows behind it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.errors import ErrorType, Outcome, StoreError
from service.requeststore import ledger, sqlite_file
from service.requeststore.ledger import LedgerEntry, LedgerReader, LedgerRow, Life, life_of
from service.requeststore.retention import Retention
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import Clock
from service.telemetry.names import OTLP_SIGNALS
from tests.deadline import DEADLINE, until
from tests.inference_events import SECOND, STARTED, refused, success

DAY = 86_400
ONE = life_of("one", STARTED)
TWO = life_of("two", STARTED + 5 * SECOND)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


def open_writer(path: Path, life: str = ONE, **options: Any) -> SqliteWriter:
    defaults: dict[str, Any] = {
        "queue_size": 50_000,
        "retention": 36_500.0 * DAY,
        "max_bytes": 1 << 30,
        "capture": "off",
        "service_instance": ledger.instance_of(life),
        "life": life,
        "clock": Clock(),
    }
    return SqliteWriter(path, **{**defaults, **options})


def entry(seconds: int, successes: int, *, life: str = ONE, **more: Any) -> LedgerEntry:
    return LedgerEntry(
        life=life, collected_unix_ns=STARTED + seconds * SECOND, counts=dict.fromkeys(Outcome, 0) | {Outcome.SUCCESS: successes}, **more
    )


def write(path: Path, *entries: LedgerEntry) -> None:
    writer = open_writer(path)
    for one in entries:
        writer.add_entry(one)
    assert writer.close(DEADLINE)


def serve(writer: SqliteWriter, numbers: range, *, started: int = STARTED) -> None:
    for number in numbers:
        writer.add(success(f"r-{number}", span_id=f"{number:016x}", started_unix_ns=started + number * SECOND), number)


def seen(path: Path, life: str = ONE, *bounds: int) -> list[tuple[int, int]]:
    """Seconds and totals of the entries of a life."""
    with LedgerReader(path) as reader:
        return [((one.collected_unix_ns - STARTED) // SECOND, one.total) for one in reader.entries(life, *bounds)]


def numbers(path: Path, *bounds: Any, life: str = ONE) -> list[int | None]:
    with LedgerReader(path) as reader:
        return [row.seq for row in reader.rows(life, *bounds)]


# --- entries ----------------------------------------------------------------------------------------------------------


def test_an_entry_comes_back_as_it_was_written(path: Path) -> None:
    """Every outcome with its count, their sum, and whether it is the last."""
    counts = {outcome: number for number, outcome in enumerate(Outcome, start=1)}
    write(path, LedgerEntry(life=ONE, collected_unix_ns=STARTED, counts=counts, final=True))

    with LedgerReader(path) as reader:
        (found,) = reader.entries(ONE)
    assert found == LedgerEntry(life=ONE, collected_unix_ns=STARTED, counts=Counter(counts), final=True)
    assert (found.total, found.counts[Outcome.ERROR]) == (21, 6)


def test_an_entry_of_a_life_that_died_says_so(path: Path) -> None:
    """What it counts may not have left the process."""
    write(path, entry(10, 1), entry(20, 2, final=True, died=True))

    with LedgerReader(path) as reader:
        assert list(reader.entries(ONE)) == [entry(10, 1), entry(20, 2, final=True, died=True)]


@pytest.mark.parametrize("sends", [None, frozenset(), frozenset({"traces"}), frozenset({"metrics", "logs"}), frozenset(OTLP_SIGNALS)])
def test_an_entry_says_which_signals_left_its_process(path: Path, sends: frozenset[str] | None) -> None:
    """And so does its life, also when a later process has found it dead and could not know."""
    write(path, entry(10, 1, sends=sends), entry(20, 2, final=True, died=True))

    with LedgerReader(path) as reader:
        assert [one.sends for one in reader.entries(ONE)] == [sends, None]
        assert [life.sends for life in reader.lives()] == [sends]


def test_lives_are_listed_by_their_start(path: Path) -> None:
    """Those that lived in the range: started before its end, and still collected at or after its beginning."""
    write(path, entry(20, 5, life=TWO), entry(30, 6, life=TWO, final=True, died=True), entry(10, 1), entry(20, 2))

    one = Life(
        life=ONE,
        instance="one",
        started_unix_ns=STARTED,
        first_unix_ns=STARTED + 10 * SECOND,
        last_unix_ns=STARTED + 20 * SECOND,
        final=False,
        died=False,
    )
    two = Life(
        life=TWO,
        instance="two",
        started_unix_ns=STARTED + 5 * SECOND,
        first_unix_ns=STARTED + 20 * SECOND,
        last_unix_ns=STARTED + 30 * SECOND,
        final=True,
        died=True,
    )
    with LedgerReader(path) as reader:
        assert reader.lives() == [one, two]
        assert reader.lives(STARTED + 20 * SECOND) == [one, two]
        assert reader.lives(STARTED + 20 * SECOND + 1) == [two]
        assert reader.lives(0, STARTED + 5 * SECOND) == [one]
        assert reader.lives(0, STARTED) == []


def test_entries_are_those_of_a_range_in_their_order(path: Path) -> None:
    """Its beginning belongs to it, its end does not."""
    write(path, *(entry(seconds, seconds) for seconds in (30, 10, 20, 40)))

    assert seen(path) == [(10, 10), (20, 20), (30, 30), (40, 40)]
    assert seen(path, ONE, STARTED + 20 * SECOND, STARTED + 40 * SECOND) == [(20, 20), (30, 30)]
    assert seen(path, TWO) == []


def test_many_entries_are_read_page_by_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is left out and none comes twice."""
    monkeypatch.setattr(ledger, "PAGE", 3)
    write(path, *(entry(seconds, seconds) for seconds in range(10)))

    assert seen(path) == [(seconds, seconds) for seconds in range(10)]


def test_the_last_entry_before_a_moment_is_where_counting_begins(path: Path) -> None:
    """There is none before the first: nothing had been counted."""
    write(path, entry(10, 1), entry(20, 2))

    with LedgerReader(path) as reader:
        assert reader.last_before(ONE, STARTED + 10 * SECOND) is None
        assert reader.last_before(ONE, STARTED + 10 * SECOND + 1) == entry(10, 1)
        assert reader.last_before(ONE, STARTED + 99 * SECOND) == entry(20, 2)
        assert reader.last_before(TWO, STARTED + 99 * SECOND) is None


def test_a_final_entry_is_the_last(path: Path) -> None:
    """It is put behind one that was collected later than the process was last seen, and nothing comes after it, itself included."""
    write(path, entry(20, 2), entry(15, 3, final=True), entry(15, 3, final=True), entry(99, 4))

    assert seen(path) == [(20, 2), (20, 3)]
    with LedgerReader(path) as reader:
        assert [(one.collected_unix_ns, one.final) for one in reader.entries(ONE)] == [
            (STARTED + 20 * SECOND, False),
            (STARTED + 20 * SECOND + 1, True),
        ]


def test_an_entry_is_committed_after_all_that_was_queued_before(path: Path) -> None:
    """When it is told, its rows can be found; they may fill several transactions."""
    found: list[int] = []
    writer = open_writer(path, max_bytes=4_194_304)
    serve(writer, range(1, 701))
    writer.add_entry(entry(10, 700), lambda: found.append(len(numbers(path))))

    until(lambda: found)
    assert found == [700]
    assert writer.written == 700
    assert writer.close(DEADLINE)


def test_an_entry_that_finds_no_room_is_no_loss(path: Path) -> None:
    """The next one counts what it did."""
    writer = open_writer(path)
    assert writer.close(DEADLINE)
    writer.add_entry(entry(10, 1), lambda: pytest.fail("it cannot have been committed"))

    assert writer.dropped == {"queue_full": 0, "write_failed": 0}
    assert seen(path) == []


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_has_what_counting_needs(path: Path) -> None:
    """Ids as they stand in the other stores, times, outcome, life and number; also a pair of a batch in a caller's trace."""
    writer = open_writer(path)
    event = refused(ErrorType.QUEUE_FULL, "r-1:2", trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")
    writer.add(event, 1)
    writer.add(success("r-2"), 2)
    assert writer.close(DEADLINE)

    with LedgerReader(path) as reader:
        first, second = reader.rows(ONE)
    assert first == LedgerRow(
        request_id="r-1:2",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        span_id="00f067aa0ba902b7",
        started_unix_ns=STARTED,
        duration=0.0015,
        outcome=Outcome.OVERLOADED,
        life=ONE,
        seq=1,
    )
    assert (second.request_id, second.trace_id, second.seq) == ("r-2", success("r-2").trace_id, 2)


@pytest.mark.parametrize("page", [1, 7, 2000])
def test_rows_are_found_by_their_numbers_whatever_lies_between(path: Path, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """Two lives write at once, with entries now and then; a range ends before, at or behind an entry."""
    monkeypatch.setattr(ledger, "PAGE", page)
    one, two = open_writer(path), open_writer(path, TWO)
    for start in range(1, 41, 10):
        serve(one, range(start, start + 10))
        one.add_entry(entry(start, start + 9))
        serve(two, range(start, start + 10))
        until(lambda end=start + 9: (one.written, two.written) == (end, end))
    assert one.close(DEADLINE)
    assert two.close(DEADLINE)

    assert numbers(path) == list(range(1, 41))
    assert numbers(path, 9, 21) == list(range(10, 22))
    assert numbers(path, 10, 20) == list(range(11, 21))
    assert numbers(path, 35) == list(range(36, 41))
    assert numbers(path, 40) == []
    assert numbers(path, 3, 6, life=TWO) == [4, 5, 6]
    assert numbers(path, life="three:1") == []


def test_what_ends_while_a_collection_is_written_down_is_found_behind_it(path: Path) -> None:
    """It stands before the entry, which does not cover it; the range that begins with that entry has it."""
    writer = open_writer(path)
    serve(writer, range(1, 3))
    writer.add_entry(entry(10, 0))
    serve(writer, range(3, 8))
    writer.add_entry(entry(20, 5))
    serve(writer, range(8, 10))
    writer.add_entry(entry(30, 9))
    assert writer.close(DEADLINE)

    assert numbers(path) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert numbers(path, 5) == [6, 7, 8, 9]
    assert numbers(path, 0, 5) == [1, 2, 3, 4, 5]
    assert numbers(path, 9) == []


def test_rows_are_found_after_the_store_was_emptied(path: Path) -> None:
    """The ids of rows only rise, or the places that entries name would be those of other rows."""
    writer = open_writer(path)
    serve(writer, range(1, 6))
    writer.add_entry(entry(10, 5))
    until(lambda: writer.written == 5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM inference")
        connection.commit()
    serve(writer, range(6, 9))
    until(lambda: writer.written == 8)
    writer.add_entry(entry(20, 8))
    assert writer.close(DEADLINE)

    assert numbers(path, 5, 8) == [6, 7, 8]
    assert numbers(path, 0, 5) == []


def test_rows_that_started_in_a_range_are_of_all_lives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their start, also when several started at once; those of an older version have no number."""
    monkeypatch.setattr(ledger, "PAGE", 2)
    one, two = open_writer(path), open_writer(path, TWO)
    serve(one, range(1, 6))
    serve(two, range(3, 5))
    two.add(success("r-old", started_unix_ns=STARTED + 4 * SECOND))
    assert one.close(DEADLINE)
    assert two.close(DEADLINE)

    with LedgerReader(path) as reader:
        found = [
            (row.started_unix_ns - STARTED, row.life, row.seq) for row in reader.rows_started(STARTED + 2 * SECOND, STARTED + 5 * SECOND)
        ]
        oldest = reader.oldest_start()
    assert [started // SECOND for started, _, _ in found] == [2, 3, 3, 4, 4, 4]
    assert {(life, seq) for _, life, seq in found} == {(ONE, 2), (ONE, 3), (TWO, 3), (ONE, 4), (TWO, 4), ("two", None)}
    assert oldest == STARTED + SECOND


def test_whether_an_inference_is_stored_is_asked_by_id_and_span(path: Path) -> None:
    """Both: an id may have had several attempts."""
    writer = open_writer(path)
    writer.add(success("r-1:2", span_id="00f067aa0ba902b7"), 1)
    assert writer.close(DEADLINE)

    with LedgerReader(path) as reader:
        assert reader.has("r-1:2", "00f067aa0ba902b7")
        assert not reader.has("r-1:2", "00f067aa0ba902b8")
        assert not reader.has("r-1", "00f067aa0ba902b7")
        assert reader.oldest_start() == STARTED


# --- stores that cannot be read ---------------------------------------------------------------------------------------


def test_a_store_that_is_not_there_is_said(path: Path) -> None:
    """A reader makes none."""
    with pytest.raises(StoreError, match=r"telemetry\.db cannot be read: it cannot be opened"):
        LedgerReader(path)
    assert not path.exists()


def test_a_store_without_tables_is_said(path: Path) -> None:
    """With what makes them."""
    path.touch()
    with pytest.raises(StoreError, match="has no tables yet; start the service once on its data folder"):
        LedgerReader(path)


def test_a_store_of_a_newer_version_is_said(path: Path) -> None:
    """It may mean something else."""
    write(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO migration VALUES ('m999_of_tomorrow')")
        connection.commit()
    with pytest.raises(StoreError, match="written by a newer version"):
        LedgerReader(path)


def test_a_store_that_breaks_while_it_is_read_is_said(path: Path) -> None:
    """As an error of ours; and so is a closed reader."""
    write(path)
    with LedgerReader(path) as reader:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE ledger")
        with pytest.raises(StoreError, match="cannot be read"):
            reader.lives()
    with pytest.raises(StoreError, match="is closed"):
        reader.lives()


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_was_counted_goes_with_its_time_but_the_last_before_stays(path: Path) -> None:
    """Of a life that goes on the last entry before the bound is where counting begins; of one that ended everything goes."""
    write(
        path,
        *(entry(seconds, seconds) for seconds in (10, 20, 30, 40)),
        entry(5, 1, life=TWO),
        entry(25, 2, life=TWO, final=True),
        entry(5, 1, life=life_of("three", STARTED)),
        entry(15, 1, life=life_of("three", STARTED)),
    )
    week = Retention(seconds=7 * DAY, max_bytes=1 << 30)
    with closing(sqlite_file.open_for_writing(path, max_bytes=1 << 30)) as connection:
        assert week.step(connection, STARTED + 7 * DAY * SECOND + 35 * SECOND)
        assert not week.step(connection, STARTED + 7 * DAY * SECOND + 35 * SECOND)

    assert seen(path) == [(30, 30), (40, 40)]
    assert seen(path, TWO) == []
    assert seen(path, life_of("three", STARTED)) == [(15, 1)]


def test_what_was_counted_outlives_rows_that_had_to_make_room(path: Path) -> None:
    """It says how many there were."""
    writer = open_writer(path)
    serve(writer, range(1, 6))
    writer.add_entry(entry(10, 5))
    assert writer.close(DEADLINE)
    with closing(sqlite_file.open_for_writing(path, max_bytes=1 << 30)) as connection:
        assert Retention(seconds=7 * DAY, max_bytes=1).step(connection, STARTED + DAY * SECOND)
        assert connection.execute("SELECT count(*) FROM inference").fetchone() == (4,)

    assert seen(path) == [(10, 5)]
