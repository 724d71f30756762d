"""Which lives the tables of a data folder say to live."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from service.instance import claim
from service.open_table import OpenTable, living, table_path


def table(folder: Path, command: str, *, started: int) -> OpenTable:
    """That of a process that starts now; nobody lets go of its slot."""
    slot = claim(folder, command)
    return OpenTable(table_path(folder, slot), life=f"{command}:{started}", started_unix_ns=started, slots=4, losses=Counter())


def test_who_was_seen_of_late_lives(tmp_path: Path) -> None:
    """From its start on, and for as long as it says so."""
    begun = table(tmp_path, "serve", started=100)
    old = table(tmp_path, "match", started=20)

    assert living(tmp_path, 50) == {"serve:100"}
    assert living(tmp_path, 100) == {"serve:100"}
    assert living(tmp_path, 101) == frozenset()
    old.seen(120)
    assert living(tmp_path, 101) == {"match:20"}
    begun.leave(remove=True)
    assert living(tmp_path, 0) == {"match:20"}
    old.leave(remove=True)


def test_a_folder_without_tables_has_nobody(tmp_path: Path) -> None:
    """There has been no service yet."""
    assert living(tmp_path, 0) == frozenset()


def test_what_is_no_table_is_passed_over(tmp_path: Path) -> None:
    """A file of another version, a torn one, a folder, and the table of a dead process that is being taken over."""
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "serve.0.table").write_bytes(b"another version".ljust(600, b"\0"))
    (folder / "serve.1.table").write_bytes(b"")
    (folder / "serve.2.table").mkdir()
    one = table(tmp_path, "script", started=100)
    one.leave(remove=False)
    (folder / "script.0.table").rename(folder / "script.0.77.dead")

    assert living(tmp_path, 0) == frozenset()


def test_a_slot_is_not_taken_to_find_out(tmp_path: Path) -> None:
    """Who starts meanwhile gets the lowest one."""
    one = table(tmp_path, "serve", started=100)
    before = sorted(path.name for path in (tmp_path / "locks").iterdir())

    living(tmp_path, 0)

    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == before
    one.leave(remove=True)
