"""The table of a living process."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.errors import ErrorType, Outcome
from service.open_table import OpenTable, TableContents, read_table
from service.telemetry.event import Clock, EventDraft
from tests.full_disk import files_up_to

ROOT = Path(__file__).parents[3]
START = 1_770_000_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "serve.0.table"


@pytest.fixture
def losses() -> Counter[tuple[str, str]]:
    return Counter()


def make(path: Path, losses: Counter[tuple[str, str]], *, slots: int = 8) -> OpenTable:
    return OpenTable(path, life="one:1", started_unix_ns=START, slots=slots, losses=losses)


def draft(number: int, clock: Clock | None = None) -> EventDraft:
    opened = EventDraft.open(request_id=f"r-{number}", function="match", clock=clock or Clock())
    opened.trace_id, opened.span_id = f"{number + 1:032x}", f"{number + 1:016x}"
    return opened


def contents(path: Path) -> TableContents:
    found = read_table(path.read_bytes())
    assert found is not None
    return found


def open_ids(path: Path) -> list[str]:
    return sorted(inference.request_id for inference in contents(path).inferences)


def test_what_is_open_stands_in_the_file_at_once(path: Path, losses: Any) -> None:
    """For whoever reads it, without closing or syncing; what has ended is counted instead."""
    table = make(path, losses)
    first, second = draft(1), draft(2)
    table.open(first)
    table.open(second)
    assert (open_ids(path), len(table)) == (["r-1", "r-2"], 2)

    table.close(first.close())
    table.close(second.close(error_type=ErrorType.QUEUE_FULL))
    assert (open_ids(path), len(table)) == ([], 0)
    assert contents(path).counts == dict.fromkeys(Outcome, 0) | {Outcome.SUCCESS: 1, Outcome.OVERLOADED: 1}
    assert (contents(path).life, contents(path).pid) == ("one:1", os.getpid())
    table.leave(remove=True)


def test_only_its_owner_may_read_the_file(path: Path, losses: Any) -> None:
    """It is made whole under another name."""
    table = make(path, losses)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["serve.0.table"]
    table.leave(remove=True)


def test_one_more_than_there_are_slots_is_counted_and_harmless(path: Path, losses: Any) -> None:
    """It is not in the file, but its end is counted; a slot that is freed is used again."""
    table = make(path, losses, slots=2)
    drafts = [draft(number) for number in range(3)]
    for one in drafts:
        table.open(one)
    assert open_ids(path) == ["r-0", "r-1"]
    assert losses == {("open_events", "table_full"): 1}

    for one in drafts:
        table.close(one.close())
    table.open(draft(4))
    assert open_ids(path) == ["r-4"]
    assert contents(path).counts[Outcome.SUCCESS] == 3
    table.leave(remove=True)


def test_an_id_that_fits_no_slot_is_counted_as_well(path: Path, losses: Any) -> None:
    """Whoever binds it."""
    table = make(path, losses)
    long = draft(1)
    long.request_id = "x" * 1000
    table.open(long)

    assert (open_ids(path), losses) == ([], {("open_events", "table_full"): 1})
    table.leave(remove=True)


def test_the_last_moment_of_life_is_that_of_the_last_sign(path: Path, losses: Any, ticking: Any) -> None:
    """An inference that begins or ends, or a collection of the metrics; never earlier than before."""
    table = make(path, losses)
    assert contents(path).seen_unix_ns == START
    ticking.tick(2)
    opened = draft(1, ticking.as_clock())
    table.open(opened)
    assert contents(path).seen_unix_ns == START + 2_000_000_000
    ticking.tick(1.5)
    table.close(opened.close())
    assert contents(path).seen_unix_ns == START + 3_500_000_000
    table.seen(START + 9_000_000_000)
    table.seen(START + 8_000_000_000)
    assert contents(path).seen_unix_ns == START + 9_000_000_000
    table.leave(remove=True)


def test_a_table_that_is_left_is_removed_unless_something_is_open(path: Path, losses: Any) -> None:
    """That is for the next process; what ends later changes nothing any more."""
    table = make(path, losses)
    opened = draft(1)
    table.open(opened)
    table.leave(remove=True)
    table.close(opened.close())
    table.open(draft(2))
    table.seen(START + 1)
    table.leave(remove=True)
    assert (open_ids(path), contents(path).seen_unix_ns > START + 1) == (["r-1"], True)

    other = make(path.with_name("match.0.table"), losses)
    other.leave(remove=False)
    assert sorted(file.name for file in path.parent.iterdir()) == ["match.0.table", "serve.0.table"]


def test_many_threads_open_and_close_without_losing_any(path: Path, losses: Any) -> None:
    """Each inference is open once and counted once."""
    table = make(path, losses, slots=64)

    def work(first: int) -> None:
        for number in range(first, first + 200):
            opened = draft(number)
            table.open(opened)
            if number % 2:
                table.close(opened.close())
            else:
                table.close(opened.close(error_type=ErrorType.INTERNAL))
        table.open(draft(first + 200))

    threads = [threading.Thread(target=work, args=(1000 * start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert open_ids(path) == sorted(f"r-{1000 * start + 200}" for start in range(8))
    assert contents(path).counts == dict.fromkeys(Outcome, 0) | {Outcome.SUCCESS: 800, Outcome.ERROR: 800}
    assert losses == {}
    table.leave(remove=False)


FORKING = """
import os, sys
from collections import Counter
from pathlib import Path
from service.open_table import OpenTable
from service.telemetry.event import Clock, EventDraft

table = OpenTable(Path(sys.argv[1]), life="one:1", started_unix_ns=1, slots=4, losses=Counter())
draft = EventDraft.open(request_id="r-1", function="match", clock=Clock())
draft.trace_id, draft.span_id = "1" * 32, "1" * 16
table.open(draft)
table._lock.acquire()  # as another thread of the parent may have at the fork
child = os.fork()
if child == 0:
    table.close(draft.close())
    table.seen(1 << 62)
    table.leave(remove=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


def test_a_forked_child_writes_nothing_into_its_parents_table(path: Path) -> None:
    """Nor does it remove it, nor wait for a lock that a thread of the parent held."""
    subprocess.run([sys.executable, "-c", FORKING, str(path)], check=True, timeout=60, cwd=ROOT)

    assert (open_ids(path), contents(path).counts[Outcome.SUCCESS]) == (["r-1"], 0)
    assert contents(path).seen_unix_ns < 1 << 62


def test_a_file_the_disk_has_no_room_for_is_refused_at_the_start(path: Path, losses: Any) -> None:
    """Not at the first store into it, which would kill the process; nothing is left behind."""
    with files_up_to(100_000), pytest.raises(OSError):
        make(path, losses, slots=1000)
    assert list(path.parent.iterdir()) == []
