"""The tables of processes that died, each claimed by one living process."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from service.instance import InstanceSlot, claim
from service.open_table import OpenTable, dead_tables, table_path
from service.telemetry.event import Clock, EventDraft


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def die(folder: Path, command: str, request_id: str) -> None:
    """What a process leaves that dies with one inference open: a table, and a free slot."""
    slot = claim(folder, command)
    live(folder, slot, request_id)
    slot.release()


def live(folder: Path, slot: InstanceSlot, request_id: str) -> OpenTable:
    table = OpenTable(table_path(folder, slot), life=slot.name, started_unix_ns=1, slots=4, losses=Counter())
    draft = EventDraft.open(request_id=request_id, function="match", clock=Clock())
    draft.trace_id, draft.span_id = "1" * 32, "2" * 16
    table.open(draft)
    return table


def claimed(folder: Path, slot: InstanceSlot) -> dict[str, list[str]]:
    """What is open in the tables that are claimed now, by the names of their files; they are let go again."""
    tables = dead_tables(folder, slot)
    for table in tables:
        table.let_go()
    return {
        table.path.name.split(".")[0]: [inference.request_id for inference in table.contents.inferences]
        for table in sorted(tables, key=lambda table: table.path.name)
    }


def test_the_tables_of_all_the_dead_are_found(folder: Path) -> None:
    """That of this slot's last holder, and those of other commands."""
    die(folder, "serve", "r-1")
    die(folder, "match", "r-2")
    slot = claim(folder, "serve")

    assert claimed(folder, slot) == {"match": ["r-2"], "serve": ["r-1"]}
    assert not table_path(folder, slot).exists()
    slot.release()


def test_the_table_of_a_living_process_is_left_alone(folder: Path) -> None:
    """Its slot is held."""
    other = claim(folder, "match")
    live(folder, other, "r-1")
    slot = claim(folder, "serve")

    assert claimed(folder, slot) == {}
    assert table_path(folder, other).exists()
    other.release()
    assert claimed(folder, slot) == {"match": ["r-1"]}
    slot.release()


def test_a_table_is_one_processs_until_it_is_removed_or_let_go(folder: Path) -> None:
    """What one has claimed no other gets; what it lets go the next one gets; what it removes is gone."""
    die(folder, "serve", "r-1")
    slot, other = claim(folder, "serve"), claim(folder, "match")
    (table,) = dead_tables(folder, slot)
    assert dead_tables(folder, other) == []

    table.let_go()
    (again,) = dead_tables(folder, other)
    assert again.contents == table.contents
    again.remove()
    again.remove()
    assert dead_tables(folder, slot) == []
    assert list((folder / "open").iterdir()) == []
    slot.release()
    other.release()


def test_several_deaths_in_one_slot_leave_several_tables(folder: Path) -> None:
    """When nobody could close what the first left."""
    for number in range(3):
        slot = claim(folder, "serve")
        for table in dead_tables(folder, slot):
            table.let_go()
        live(folder, slot, f"r-{number}")
        slot.release()
    slot = claim(folder, "serve")
    found = dead_tables(folder, slot)

    assert sorted(table.contents.inferences[0].request_id for table in found) == ["r-0", "r-1", "r-2"]
    assert len(list((folder / "open").iterdir())) == 3
    for table in found:
        table.remove()
    slot.release()


def test_what_is_no_table_is_removed(folder: Path) -> None:
    """A power cut may leave a file of zeros; it would be in the way for ever."""
    (folder / "open").mkdir()
    for name in ("serve.0.table", "match.0.table", "script.0.77.dead"):
        (folder / "open" / name).write_bytes(b"\0" * 2000)
    slot = claim(folder, "serve")

    assert claimed(folder, slot) == {}
    assert list((folder / "open").iterdir()) == []
    slot.release()
