"""The reader of the embedded store, where it is more than a request store."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.errors import InvalidQuery, Outcome, RequestNotFound, StoreError
from service.requeststore import sqlite_story
from service.requeststore.base import Search
from service.requeststore.packing import pack_id
from service.requeststore.sqlite import SqliteRequestStore
from service.requeststore.sqlite_search import query
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import Clock
from tests.deadline import DEADLINE, until
from tests.inference_events import HASH1, HASH2, STARTED, batch_of, success


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def store(path: Path):
    store = SqliteRequestStore(path, "mgeo")
    yield store
    store.close()
    store.close()


def open_writer(path: Path) -> SqliteWriter:
    return SqliteWriter(path, queue_size=10_000, retention=1e9, max_bytes=1 << 30, capture="off", service_instance="one", clock=Clock())


def fill(path: Path, *events: Any) -> None:
    writer = open_writer(path)
    for event in events:
        writer.add(event)
    assert writer.close(DEADLINE)


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


async def test_before_the_first_writer_nothing_is_known(store, path: Path) -> None:
    """No file, or one without tables, is an empty store; and reading makes no file."""
    for _ in range(2):
        with pytest.raises(RequestNotFound):
            await store.story("r-1")
        assert (await store.search(Search())).requests == ()
        assert sorted(file.name for file in path.parent.iterdir()) == ([path.name] if path.exists() else [])
        path.touch()
    path.unlink()


async def test_rows_are_found_while_the_writer_goes_on(store, path: Path) -> None:
    """As soon as it reports them."""
    writer = open_writer(path)
    for number in range(3):
        writer.add(success(f"r-{number}"))
        until(lambda number=number: writer.written == number + 1)
        assert (await store.story(f"r-{number}")).attempts[0].event.request_id == f"r-{number}"
    writer.close(DEADLINE)


WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import Clock
from tests.inference_events import success
writer = SqliteWriter(Path(sys.argv[1]), queue_size=1000, retention=1e9, max_bytes=1 << 30, capture="off", service_instance="one", clock=Clock())
writer.add(success("r-1"))
while not writer.written:
    time.sleep(0.01)
print("written", flush=True)
sys.stdin.read()
"""


async def test_rows_of_a_writer_that_was_killed_are_found(store, path: Path) -> None:
    """They are in the log of changes alone, which nobody has folded into the file."""
    process = subprocess.Popen([sys.executable, "-c", WRITE_AND_WAIT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.communicate(timeout=30)
    assert path.with_name("telemetry.db-wal").stat().st_size > 0
    assert (await store.story("r-1")).attempts[0].event == success("r-1")


async def test_reading_changes_nothing(store, path: Path) -> None:
    """The connection refuses to write."""
    fill(path, success("r-1"))
    before = path.read_bytes()
    await store.story("r-1")
    store.close()
    assert path.read_bytes() == before


async def test_a_file_that_was_replaced_is_opened_anew(store, path: Path) -> None:
    """The writer set a damaged one aside, or an operator restored another."""
    fill(path, success("r-old"))
    await store.story("r-old")
    path.unlink()
    fill(path, success("r-new"))
    assert (await store.story("r-new")).attempts[0].event.request_id == "r-new"
    with pytest.raises(RequestNotFound):
        await store.story("r-old")


async def test_a_damaged_store_is_said_and_not_raised_as_it_is(store, path: Path) -> None:
    """The message has the file and the reason."""
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError) as caught:
        await store.story("r-1")
    assert str(caught.value) == f"the store {path} cannot be read: it is damaged"


async def test_a_file_that_cannot_be_opened_is_said(store, path: Path) -> None:
    """A folder in its place."""
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read: it cannot be opened"):
        await store.search(Search())


async def test_a_locked_store_is_said(store, path: Path, monkeypatch) -> None:
    """Another program holds the whole file; a writer of ours never does."""
    monkeypatch.setattr("service.requeststore.sqlite_file.BUSY_TIMEOUT", 0.01)
    fill(path, success("r-1"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="cannot be read: another process holds it locked"):
            await store.story("r-1")


async def test_a_newer_store_is_refused(store, path: Path) -> None:
    """By its migrations, or by a row that this version cannot tell."""
    fill(path, success("r-1"))
    change(path, "UPDATE inference SET error_type = 'of_tomorrow'")
    with pytest.raises(StoreError, match="rows of a newer version"):
        await store.story("r-1")
    change(path, "INSERT INTO migration VALUES ('m999_of_tomorrow')")
    with pytest.raises(StoreError, match="written by a newer version"):
        await store.story("r-1")


async def test_an_answer_that_takes_too_long_is_given_up(path: Path) -> None:
    """A look-up never holds a thread for ever; the next one works."""
    fill(path, *(success(f"r-{number}") for number in range(4000)))
    readings = itertools.chain([0.0, 100.0], itertools.repeat(0.0))
    store = SqliteRequestStore(path, "mgeo", monotonic=lambda: next(readings), deadline=5.0)
    slow = Search(label="unheard_of")
    with pytest.raises(StoreError, match="took longer than 5 s; ask for less"):
        await store.search(slow)
    assert (await store.search(slow)).requests == ()
    store.close()


async def test_the_event_loop_goes_on_while_the_store_reads(path: Path) -> None:
    """SQLite runs on threads of the store."""
    fill(path, success("r-1"))
    gate, reading = threading.Event(), threading.Event()

    def held_up() -> float:
        reading.set()
        assert gate.wait(DEADLINE)
        return 0.0

    store = SqliteRequestStore(path, "mgeo", monotonic=held_up)
    story = asyncio.create_task(store.story("r-1"))
    while not reading.is_set():
        await asyncio.sleep(0)
    assert not story.done()
    gate.set()
    assert (await story).attempts[0].event == success("r-1")
    store.close()


async def test_many_look_ups_at_once_are_each_answered(store, path: Path) -> None:
    """More than there are threads; connections are used again."""
    fill(path, *(success(f"r-{number}") for number in range(50)))
    stories = await asyncio.gather(*(store.story(f"r-{number}") for number in range(50)))
    assert [story.attempts[0].event.request_id for story in stories] == [f"r-{number}" for number in range(50)]


async def test_decorated_calls_inside_are_spans_of_the_outer_one(store, path: Path) -> None:
    """Children and their children, under the same request id; each is an attempt of its own, too."""
    outer = success("r-1", span_id="00000000000000a1", batch_id=None)
    inner = success("r-1", span_id="00000000000000a2", parent_span_id="00000000000000a1", started_unix_ns=STARTED + 1, batch_id=None)
    innermost = success("r-1", span_id="00000000000000a3", parent_span_id="00000000000000a2", started_unix_ns=STARTED + 2, batch_id=None)
    fill(path, innermost, inner, outer, success("r-1", span_id="00000000000000b1", started_unix_ns=STARTED + 3, batch_id=None))
    story = await store.story("r-1")
    assert [[span.span_id[-2:] for span in attempt.spans] for attempt in story.attempts] == [
        ["a1", "a2", "a3"],
        ["a2", "a3"],
        ["a3"],
        ["b1"],
    ]


async def test_spans_that_are_each_others_parents_do_not_hang_the_story(store, path: Path) -> None:
    """A caller who controls traceparent can make such a thing."""
    one = success("r-1", span_id="00000000000000a1", parent_span_id="00000000000000a2", batch_id=None)
    other = success("r-1", span_id="00000000000000a2", parent_span_id="00000000000000a1", batch_id=None)
    fill(path, one, other)
    assert [len(attempt.spans) for attempt in (await store.story("r-1")).attempts] == [2, 2]


async def test_a_member_whose_row_is_not_there_is_left_out(store, path: Path) -> None:
    """It is past retention, or still open."""
    writer = open_writer(path)
    ours = success("r-1", span_id="00000000000000a1", batch_id="b-1")
    writer.add(ours)
    writer.add_batch(batch_of(ours, success("r-2", span_id="00000000000000a2")))
    writer.close(DEADLINE)
    batch = (await store.story("r-1")).attempts[0].batch
    assert [member.request_id for member in batch.members] == ["r-1"]


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_has_a_bound(store, limit: int) -> None:
    """Whatever calls the store."""
    with pytest.raises(InvalidQuery) as caught:
        await store.search(Search(limit=limit))
    assert caught.value.parameter == "limit"


async def test_a_cursor_that_was_altered_is_refused(store, path: Path) -> None:
    """A slip in copying does not show another page in silence."""
    fill(path, *(success(f"r-{number}") for number in range(3)))
    cursor = (await store.search(Search(limit=1))).next_cursor
    assert (await store.search(Search(limit=1, cursor=cursor))).requests[0].request_id == "r-1"
    altered = cursor[:-3] + ("AAA" if cursor[-3:] != "AAA" else "BBB")
    with pytest.raises(InvalidQuery, match="begin again without one"):
        await store.search(Search(limit=1, cursor=altered))


async def test_pages_stay_as_they_were_when_new_inferences_come_in(store, path: Path) -> None:
    """Who pages back sees no inference twice."""
    fill(path, *(success(f"r-{number}", started_unix_ns=STARTED + number) for number in range(4)))
    first = await store.search(Search(limit=2))
    fill(path, success("r-new", started_unix_ns=STARTED + 10))
    second = await store.search(Search(limit=2, cursor=first.next_cursor))
    assert [r.request_id for page in (first, second) for r in page.requests] == ["r-3", "r-2", "r-1", "r-0"]


def plan(path: Path, sql: str, values: tuple[Any, ...]) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))


@pytest.mark.parametrize(
    ("search", "steps"),
    [
        (Search(), ["SCAN i USING INDEX inference_by_start"]),
        (Search(status=Outcome.SUCCESS), ["SCAN i USING INDEX inference_by_start"]),
        (Search(label="exact_match"), ["SCAN i USING INDEX inference_by_start"]),
        (Search(min_latency=0.8), ["SCAN i USING INDEX inference_by_start"]),
        (Search(since_unix_ns=1, until_unix_ns=2), ["SEARCH i USING INDEX inference_by_start (started>? AND started<?)"]),
        (Search(status=Outcome.ERROR), ["SEARCH i USING INDEX inference_not_well (outcome=?)"]),
        (
            Search(status=Outcome.ERROR, since_unix_ns=1),
            ["SEARCH i USING INDEX inference_not_well (outcome=? AND started>?)"],
        ),
        (
            Search(address_hashes=[HASH1]),
            [
                "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)",
                "SEARCH inference USING INDEX inference_by_hash1 (<expr>=?)",
                "SEARCH inference USING INDEX inference_by_hash2 (<expr>=?)",
            ],
        ),
        (
            Search(address_hashes=[HASH1, HASH2], since_unix_ns=1, status=Outcome.SUCCESS, min_latency=0.1),
            ["SEARCH i USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH inference USING INDEX inference_by_hash1 (<expr>=?)"],
        ),
    ],
)
async def test_searches_use_the_indexes(path: Path, search: Search, steps: list[str]) -> None:
    """Half a million rows are never read from end to end, and never sorted but for the ties."""
    fill(path, success())
    found = plan(path, *query(search))
    for step in steps:
        assert step in found
    assert "SCAN i\n" not in found + "\n"
    if not search.address_hashes:
        assert "USE TEMP B-TREE FOR ORDER BY" not in found


@pytest.mark.parametrize(
    ("sql", "values", "steps"),
    [
        (sqlite_story.CALL, (pack_id("r-1"), 300), ["SEARCH inference USING INDEX inference_by_call (call=?)"]),
        (sqlite_story.PAIR, (pack_id("r-1"), 1, 300), ["SEARCH inference USING INDEX inference_by_call (call=? AND item=?)"]),
        (sqlite_story.COUNT_PAIR, (pack_id("r-1"), 1), ["SEARCH inference USING COVERING INDEX inference_by_call (call=? AND item=?)"]),
        (sqlite_story.MEMBER, (pack_id("r-1"), None, b""), ["SEARCH inference USING INDEX inference_by_call (call=? AND item=?)"]),
        (sqlite_story.BATCH, (pack_id("b-1"),), ["SEARCH batch USING INDEX batch_by_batch (batch=?)"]),
        (sqlite_story.COUNTS, (0, 1), ["SEARCH inference USING COVERING INDEX inference_by_start (started>? AND started<?)"]),
        (sqlite_story.NTH_DURATION, (0, 1, 0), ["SEARCH inference USING COVERING INDEX inference_by_start (started>? AND started<?)"]),
    ],
)
async def test_stories_use_the_indexes(path: Path, sql: str, values: tuple[Any, ...], steps: list[str]) -> None:
    """A look-up by id costs the same in a full store as in an empty one."""
    fill(path, success())
    found = plan(path, sql, values)
    for step in steps:
        assert step in found
