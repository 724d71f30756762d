"""What dead processes left open is closed once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from service.adoption import Adoption, process_died
from service.errors import ErrorType, Outcome
from service.open_table import DeadTable, OpenInference, TableContents
from service.requeststore.ledger import LedgerEntry
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import Clock, InferenceEvent
from tests.deadline import DEADLINE

START = 1_770_000_000_000_000_000
COUNTS = dict.fromkeys(Outcome, 0) | {Outcome.SUCCESS: 7}


class Recorded:
    """A recorder and a store that keep what they are given."""

    def __init__(self) -> None:
        self.events: list[tuple[str, bool]] = []
        self.entries: list[LedgerEntry] = []

    def adopt(self, event: InferenceEvent, *, again: bool = False) -> None:
        self.events.append((event.request_id, again))

    def add_entry(self, entry: LedgerEntry, committed: Callable[[], None]) -> None:
        self.entries.append(entry)


class Table(DeadTable):
    """A dead table without a file."""

    def __init__(self, *request_ids: str) -> None:
        contents = TableContents(
            life="one:1",
            pid=1,
            started_unix_ns=START,
            seen_unix_ns=START + 2_500_000_000,
            counts=COUNTS,
            inferences=tuple(inference(request_id) for request_id in request_ids),
        )
        object.__setattr__(self, "contents", contents)
        object.__setattr__(self, "ends", [])

    def remove(self) -> None:
        self.ends.append("removed")

    def let_go(self) -> None:
        self.ends.append("let go")


def inference(request_id: str) -> OpenInference:
    return OpenInference(
        request_id=request_id,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        span_id="00f067aa0ba902b7",
        parent_span_id="b7ad6b7169203331",
        function="match",
        started_unix_ns=START,
    )


def stored(path: Path, events: Iterable[InferenceEvent]) -> Path:
    writer = SqliteWriter(
        path, queue_size=100, retention=1e10, max_bytes=1 << 30, capture="off", service_instance="one", life="one:2", clock=Clock()
    )
    for number, event in enumerate(events, start=1):
        writer.add(event, number)
    assert writer.close(DEADLINE)
    return path


def test_an_inference_of_a_dead_process_lasted_until_it_was_last_seen() -> None:
    """Its ids, parent and start are its own; there is nothing else to be known of it."""
    assert process_died(inference("r-1"), START + 2_500_000_000) == InferenceEvent(
        request_id="r-1",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        span_id="00f067aa0ba902b7",
        parent_span_id="b7ad6b7169203331",
        function="match",
        started_unix_ns=START,
        duration=2.5,
        outcome=Outcome.ERROR,
        error_type=ErrorType.PROCESS_DIED,
    )
    assert process_died(inference("r-1"), START - 1).duration == 0.0


def test_each_is_recorded_and_the_dead_life_gets_its_final_entry(tmp_path: Path) -> None:
    """What it had counted, at the moment it was last seen."""
    recorded = Recorded()
    database = stored(tmp_path / "telemetry.db", [])
    Adoption([Table("r-1", "r-2"), Table()]).close_all(recorded, recorded, database)

    assert recorded.events == [("r-1", False), ("r-2", False)]
    final = LedgerEntry(life="one:1", collected_unix_ns=START + 2_500_000_000, counts=COUNTS, final=True, died=True)
    assert recorded.entries == [final, final]


def test_what_is_in_the_store_was_closed_before(tmp_path: Path) -> None:
    """By a process that died before it could remove the table: it is only sent again."""
    recorded = Recorded()
    database = stored(tmp_path / "telemetry.db", [process_died(inference("r-2"), START)])
    Adoption([Table("r-1", "r-2")]).close_all(recorded, recorded, database)

    assert recorded.events == [("r-1", False), ("r-2", True)]


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to be taken for one" * 100])
def test_without_a_store_that_can_be_read_each_is_recorded(tmp_path: Path, content: bytes | None) -> None:
    """Twice would be better than never."""
    database = tmp_path / "telemetry.db"
    if content is not None:
        database.write_bytes(content)
    recorded = Recorded()
    Adoption([Table("r-1", "r-2")]).close_all(recorded, recorded, database)

    assert recorded.events == [("r-1", False), ("r-2", False)]


def test_a_store_that_breaks_meanwhile_is_as_one_that_cannot_be_read(tmp_path: Path) -> None:
    """The writer will say so."""
    database = stored(tmp_path / "telemetry.db", [])

    class Breaking(Recorded):
        def adopt(self, event: InferenceEvent, *, again: bool = False) -> None:
            super().adopt(event, again=again)
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("DROP TABLE IF EXISTS inference")

    recorded = Breaking()
    Adoption([Table("r-1", "r-2")]).close_all(recorded, Recorded(), database)
    assert recorded.events == [("r-1", False), ("r-2", False)]


def test_tables_are_removed_once_an_entry_counts_all_that_was_adopted() -> None:
    """Not by one that was collected before, nor before everything has been recorded; and once."""
    table = Table("r-1")
    adoption = Adoption([table])
    adoption.settled(10)
    adoption.adopted(3)
    adoption.settled(2)
    assert table.ends == []

    adoption.settled(3)
    adoption.settled(4)
    adoption.let_go()
    assert table.ends == ["removed"]


def test_what_is_not_safe_at_the_end_is_let_go() -> None:
    """For the next process; once."""
    table = Table("r-1")
    adoption = Adoption([table])
    adoption.adopted(1)
    adoption.let_go()
    adoption.let_go()
    adoption.settled(1)

    assert table.ends == ["let go"]
    assert Counter(table.ends).total() == 1
