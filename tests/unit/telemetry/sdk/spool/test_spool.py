"""The spool: in order, once it is acknowledged gone for good, bounded, and every loss counted."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.telemetry.sdk.spool import Batch, Spool, SpoolSettings
from tests.full_disk import files_up_to

KIB = 1024
PAYLOAD = 10 * KIB


class World:
    """A folder that outlives the spools on it, and their clocks; `losses` of all of them together."""

    def __init__(self, folder: Path | None, ticking: Any) -> None:
        self.folder = folder
        self.ticking = ticking
        self.losses: Counter[tuple[str, str]] = Counter()

    def spool(self, *, max_bytes: int = 1024 * KIB, max_age: float = 3600.0) -> Spool:
        settings = SpoolSettings(folder=self.folder, max_bytes=max_bytes, max_age=max_age)
        return Spool(settings, self.losses, unix_ns=self.ticking.unix_ns, monotonic=self.ticking.monotonic)

    def files(self) -> list[str]:
        assert self.folder is not None
        return sorted(path.name for path in self.folder.rglob("*.seg"))


@pytest.fixture
def world(tmp_path: Path, ticking: Any) -> World:
    return World(tmp_path / "spool", ticking)


def named(number: int, size: int = PAYLOAD) -> bytes:
    return f"{number}:".encode().ljust(size, b".")


def fill(spool: Spool, *numbers: int, signal: str = "traces", items: int = 1, size: int = PAYLOAD, newest_only: bool = False) -> None:
    for number in numbers:
        spool.append(signal, named(number, size), items=items, newest_only=newest_only)


def number_of(batch: Batch | None) -> int | None:
    return None if batch is None else int(batch.payload.partition(b":")[0])


def taken(spool: Spool, signal: str = "traces") -> Batch:
    batch = spool.take(signal)
    assert batch is not None
    return batch


def drain(spool: Spool, signal: str = "traces") -> list[int | None]:
    """Take and acknowledge all there is."""
    found = []
    while (batch := spool.take(signal)) is not None:
        found.append(number_of(batch))
        spool.acknowledge(batch)
    return found


def kill(spool: Spool) -> None:
    """What the kernel does when the process is killed: its locks are free, its files stay as they are."""
    for life in (spool._life, *spool._inherited):
        if life is not None:
            life.release()


# --- order, acknowledgement, restart ----------------------------------------------------------------------------------


def test_payloads_leave_in_order_and_their_files_go_with_them(world: World) -> None:
    """Each signal by itself; until the first has an answer there is no second."""
    spool = world.spool()
    fill(spool, 1, 2, 3)
    fill(spool, 7, signal="logs", items=5)
    first = taken(spool)

    assert (number_of(first), spool.take("traces"), number_of(spool.take("logs"))) == (1, None, 7)
    spool.acknowledge(first)
    assert drain(spool) == [2, 3]
    assert (world.files(), spool.sent, spool.waiting) == (["logs.00000001.seg"], {"traces": 3, "metrics": 0, "logs": 0}, 5)
    spool.close()


def test_what_comes_back_is_the_next_again(world: World) -> None:
    """For as long as it takes."""
    spool = world.spool()
    fill(spool, 1, 2)
    for _ in range(3):
        spool.give_back(taken(spool))

    assert drain(spool) == [1, 2]
    spool.close()


@pytest.mark.parametrize("end", [Spool.close, kill], ids=["stopped", "killed"])
def test_the_next_process_sends_the_rest_before_its_own(world: World, end: Any) -> None:
    """Nothing that was acknowledged comes again; the folder of the dead goes when it is empty."""
    dead = world.spool()
    fill(dead, 1, 2, 3, 4)
    dead.acknowledge(taken(dead))
    taken(dead)  # on its way at the end: nobody knows whether it arrived
    end(dead)

    spool = world.spool()
    fill(spool, 5, 6)
    spool.look()

    assert drain(spool) == [2, 3, 4, 5, 6]
    assert world.losses == {}
    spool.close()
    assert world.folder is not None
    assert list(world.folder.iterdir()) == []


def test_several_dead_lives_are_sent_oldest_first(world: World) -> None:
    """Also when a successor died before it had sent what it had inherited."""
    for number in (1, 3, 5):
        dead = world.spool()
        dead.look()
        fill(dead, number, number + 1)
        world.ticking.tick(1)
        kill(dead)
    spool = world.spool()
    spool.look()

    assert drain(spool) == [1, 2, 3, 4, 5, 6]
    spool.close()


def test_two_living_processes_never_send_the_same(world: World) -> None:
    """What a third has left goes to the first that looks."""
    dead, one, other = world.spool(), world.spool(), world.spool()
    fill(dead, 1)
    kill(dead)
    fill(one, 2)
    fill(other, 3)
    for spool in (one, other):
        spool.look()

    assert (drain(one), drain(other)) == ([1, 2], [3])
    one.close()
    other.close()


def test_a_process_that_dies_beside_us_is_noticed(world: World) -> None:
    """By the next look, five seconds later at most, or at once when it is wanted; looks in between cost nothing."""
    spool, beside = world.spool(), world.spool()
    fill(beside, 1)
    spool.look()
    kill(beside)
    spool.look()
    assert drain(spool) == []

    world.ticking.tick(5)
    spool.look()
    assert drain(spool) == [1]

    last = world.spool()
    fill(last, 2)
    kill(last)
    spool.look_soon()
    spool.look()
    assert drain(spool) == [2]
    spool.close()


def test_a_torn_tail_is_counted_and_the_rest_sent(world: World) -> None:
    """The process was killed while it wrote the last payload."""
    dead = world.spool()
    fill(dead, 1, 2, 3, items=4)
    kill(dead)
    assert world.folder is not None
    last = max(world.folder.rglob("traces.*.seg"))
    os.truncate(last, last.stat().st_size - 1)
    spool = world.spool()
    spool.look()

    assert drain(spool) == [1, 2]
    assert world.losses == {("traces", "corrupt"): 4}
    spool.close()


def test_damage_in_between_is_counted_and_the_rest_sent(world: World) -> None:
    """A bad sector, or somebody's editor."""
    spool = world.spool()
    fill(spool, 1, 2, 3, items=4, size=100)
    assert world.folder is not None
    (path,) = world.folder.rglob("traces.*.seg")
    path.write_bytes(path.read_bytes().replace(b"2:", b"X:"))

    assert drain(spool) == [1, 3]
    assert world.losses == {("traces", "corrupt"): 4}
    spool.close()


def test_empty_and_foreign_folders_are_no_trouble(world: World) -> None:
    """A life that left nothing goes; what is not ours stays."""
    assert world.folder is not None
    empty, foreign = world.spool(), world.spool()
    for spool in (empty, foreign):
        fill(spool, 1)
        drain(spool)
        kill(spool)
    first, second = sorted(world.folder.iterdir())
    (first / "notes.txt").write_bytes(b"?")
    (second / "traces.00000009.seg").mkdir()
    (world.folder / "notes").write_text("")
    spool = world.spool()
    spool.look()

    assert drain(spool) == []
    assert {path.name for path in world.folder.rglob("*")} >= {"notes", "notes.txt", "traces.00000009.seg"}
    assert world.losses == {}
    spool.close()


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_refused_payload_is_lost_counted_and_out_of_the_way(world: World) -> None:
    """All its items; those behind it go on."""
    spool = world.spool()
    fill(spool, 1, 2, items=10)
    spool.refuse(taken(spool))

    assert drain(spool) == [2]
    assert (world.losses, spool.sent["traces"]) == ({("traces", "refused"): 10}, 10)
    spool.close()


def test_what_the_endpoint_did_not_take_of_a_payload_is_counted(world: World) -> None:
    """The rest was sent."""
    spool = world.spool()
    fill(spool, 1, items=10)
    spool.acknowledge(taken(spool), rejected=3)

    assert (world.losses, spool.sent["traces"]) == ({("traces", "rejected"): 3}, 7)
    spool.close()


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_the_oldest_goes_first_when_the_spool_is_full(world: World) -> None:
    """Of whatever signal; counted by items, and never over the bound."""
    spool = world.spool(max_bytes=100 * KIB)
    fill(spool, 1, 2, signal="logs", items=2)
    world.ticking.tick(1)
    for number in range(20):
        fill(spool, number, items=3)
        world.ticking.tick(1)
        assert spool.size_bytes <= 100 * KIB

    left = drain(spool)
    assert left == list(range(20 - len(left), 20))
    assert 7 <= len(left) <= 9
    assert world.losses == {("logs", "spool_full"): 4, ("traces", "spool_full"): 3 * (20 - len(left))}
    spool.close()


def test_a_payload_larger_than_the_spool_is_lost_alone(world: World) -> None:
    """It drives nothing else out."""
    spool = world.spool(max_bytes=100 * KIB)
    fill(spool, 1)
    fill(spool, 2, items=8, size=100 * KIB)

    assert drain(spool) == [1]
    assert world.losses == {("traces", "spool_full"): 8}
    spool.close()


def test_what_an_earlier_process_left_counts_too(world: World) -> None:
    """And is the oldest."""
    dead = world.spool(max_bytes=100 * KIB)
    fill(dead, *range(8))
    kill(dead)
    world.ticking.tick(1)
    spool = world.spool(max_bytes=50 * KIB)
    spool.look()
    fill(spool, 8)

    left = drain(spool)
    assert left == list(range(9 - len(left), 9))
    assert world.losses == {("traces", "spool_full"): 9 - len(left)}
    assert len(left) >= 3
    spool.close()


def test_what_a_process_beside_us_holds_counts_too(world: World) -> None:
    """It has the oldest and gives it up; only when it does not, we give up ours."""
    beside, spool = world.spool(max_bytes=100 * KIB), world.spool(max_bytes=100 * KIB)
    fill(beside, *range(8))
    assert world.folder is not None
    for path in world.folder.rglob("*.seg"):
        os.utime(path, ns=(0, 0))
    world.ticking.tick(5)
    spool.look()
    fill(spool, 100, 101)
    assert world.losses == {}

    world.ticking.tick(5)
    beside.look()
    assert drain(beside) == list(range(world.losses["traces", "spool_full"], 8))
    assert world.losses["traces", "spool_full"] >= 1

    fill(spool, *range(102, 120))
    left = drain(spool)
    assert left == list(range(120 - len(left), 120))
    assert sum(world.losses.values()) > 10
    spool.close()
    beside.close()


def test_what_is_too_old_goes_unsent(world: World) -> None:
    """By the time it was spooled, also by a process long dead; counted."""
    dead = world.spool()
    fill(dead, 1, 2, items=5)
    world.ticking.tick(1800)
    fill(dead, 3)
    kill(dead)
    world.ticking.tick(1801)
    spool = world.spool()
    spool.look()

    assert drain(spool) == [3]
    assert world.losses == {("traces", "spool_expired"): 10}
    spool.close()


def test_a_signal_that_nobody_sends_any_more_expires_all_the_same(world: World) -> None:
    """Its exporter may have been switched off since."""
    dead = world.spool()
    fill(dead, 1, signal="logs")
    kill(dead)
    spool = world.spool()
    spool.look()
    world.ticking.tick(3601)
    spool.look()

    assert (world.losses, world.files(), spool.age) == ({("logs", "spool_expired"): 1}, [], 0.0)
    spool.close()


def test_the_age_is_that_of_the_oldest(world: World) -> None:
    """Nought when nothing waits."""
    spool = world.spool()
    assert spool.age == 0.0
    fill(spool, 1)
    world.ticking.tick(60)
    fill(spool, 2, signal="logs")

    assert spool.age == 60.0
    drain(spool)
    assert spool.age == 0.0
    spool.close()


@pytest.mark.parametrize(
    ("answer", "sent", "lost"),
    [
        (Spool.acknowledge, 1, 0),
        (Spool.give_back, 0, 1),
    ],
)
def test_what_had_to_go_while_it_was_on_its_way_is_decided_by_the_answer(world: World, answer: Any, sent: int, lost: int) -> None:
    """Taken, it is no loss; else it cannot be sent again."""
    spool = world.spool(max_bytes=30 * KIB)
    fill(spool, 1)
    batch = taken(spool)
    fill(spool, 2, 3, 4)
    answer(spool, batch)

    before = spool.sent["traces"]
    left = drain(spool)
    assert (before, left[-1]) == (sent, 4)
    assert world.losses["traces", "spool_full"] == 3 - len(left) + lost
    spool.close()


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_of_collections_only_the_newest_of_each_life_is_kept(world: World) -> None:
    """It has all that those before it had, so they are no loss; those of dead lives come first."""
    for numbers in ((1, 2, 3), (4, 5)):
        dead = world.spool()
        fill(dead, *numbers, signal="metrics", newest_only=True)
        kill(dead)
        world.ticking.tick(1)
    spool = world.spool()
    fill(spool, 6, 7, signal="metrics", newest_only=True)
    spool.look()

    assert len(world.files()) == 3
    assert drain(spool, "metrics") == [3, 5, 7]
    assert (world.losses, spool.sent["metrics"], world.files()) == ({}, 3, [])
    spool.close()


@pytest.mark.parametrize("answer", [Spool.acknowledge, Spool.refuse, Spool.give_back])
def test_a_collection_on_its_way_is_followed_by_the_newest(world: World, answer: Any) -> None:
    """Whatever the answer is, it is not sent again once there is a newer one."""
    spool = world.spool()
    fill(spool, 1, signal="metrics", newest_only=True)
    batch = taken(spool, "metrics")
    fill(spool, 2, 3, signal="metrics", newest_only=True)
    answer(spool, batch)

    assert drain(spool, "metrics") == [3]
    spool.close()


# --- a disk that takes nothing ----------------------------------------------------------------------------------------


def test_while_the_disk_is_full_memory_keeps_the_order(world: World) -> None:
    """It is said why; with room again all goes to disk, and the next process finds it in order."""
    spool = world.spool()
    fill(spool, 1)
    with files_up_to(100):
        fill(spool, 2, 3)
        assert spool.degraded == f"spool {world.folder}: File too large"
        fill(spool, 4)
    assert (spool.degraded is not None, world.files()) == (True, ["traces.00000001.seg"])
    world.ticking.tick(1)
    fill(spool, 5)
    assert spool.degraded is None
    kill(spool)

    successor = world.spool()
    successor.look()
    assert drain(successor) == [1, 2, 3, 4, 5]
    assert world.losses == {}
    successor.close()


def test_what_is_on_its_way_from_memory_stays_there_until_its_answer(world: World) -> None:
    """And comes before what went to disk meanwhile."""
    spool = world.spool()
    with files_up_to(10):
        fill(spool, 1, 2)
    batch = taken(spool)
    world.ticking.tick(1)
    fill(spool, 3)
    spool.give_back(batch)
    fill(spool, 4)

    assert drain(spool) == [1, 2, 3, 4]
    spool.close()


def test_memory_has_a_bound_of_its_own(world: World) -> None:
    """The oldest of it goes first, counted; also when it is on its way."""
    spool = world.spool(max_bytes=64 * KIB)
    with files_up_to(10):
        fill(spool, 1, items=2)
        batch = taken(spool)
        fill(spool, *range(2, 11), items=2)
        spool.give_back(batch)

    assert drain(spool) == [8, 9, 10]
    assert world.losses == {("traces", "write_failed"): 14}
    spool.close()


def test_what_is_in_memory_at_the_end_is_written_if_the_disk_takes_it(world: World) -> None:
    """Else it is a loss, and counted."""
    spool, other = world.spool(), world.spool()
    with files_up_to(10):
        fill(spool, 1)
        fill(other, 2, items=7)
        other.close()
    spool.close()
    assert world.losses == {("traces", "write_failed"): 7}

    successor = world.spool()
    successor.look()
    assert drain(successor) == [1]
    successor.close()


def test_a_place_that_is_no_folder_is_told_and_does_without(tmp_path: Path, ticking: Any) -> None:
    """The service starts and sends all the same."""
    (tmp_path / "spool").write_text("")
    spool = World(tmp_path / "spool", ticking).spool()
    fill(spool, 1)
    with pytest.raises(NotADirectoryError):
        spool.look()

    assert spool.degraded == f"spool {tmp_path}/spool: File exists"
    assert drain(spool) == [1]
    spool.close()


def test_a_folder_that_somebody_removes_is_made_again(world: World) -> None:
    """What was in it is counted."""
    spool = world.spool()
    fill(spool, 1, 2, size=100)
    assert world.folder is not None
    shutil.rmtree(world.folder)
    fill(spool, 3, size=100)
    world.ticking.tick(1)
    fill(spool, 4, size=100)

    assert drain(spool) == [3, 4]
    assert world.losses == {("traces", "corrupt"): 2}
    assert spool.degraded is None
    spool.close()


def test_without_a_folder_all_is_in_memory(ticking: Any) -> None:
    """For a program that has no data folder; nothing is amiss, and the bound is the spool's."""
    world = World(None, ticking)
    spool = world.spool(max_bytes=30 * KIB)
    fill(spool, 1, 2, 3, 4)
    spool.look()

    assert (spool.degraded, spool.size_bytes) == (None, 0)
    assert drain(spool) == [2, 3, 4]
    assert world.losses == {("traces", "spool_full"): 1}
    spool.close()


# --- the end ----------------------------------------------------------------------------------------------------------


def test_after_the_end_nothing_goes_in_or_out(world: World) -> None:
    """What comes late is counted; an answer that comes late changes nothing, since another process may have the file."""
    spool = world.spool()
    fill(spool, 1, 2)
    batch = taken(spool)
    spool.close()
    spool.close()
    spool.acknowledge(batch)
    spool.give_back(batch)
    fill(spool, 3, items=4)

    assert (spool.take("traces"), spool.sent["traces"], world.losses) == (None, 0, {("traces", "write_failed"): 4})
    successor = world.spool()
    successor.look()
    assert drain(successor) == [1, 2]
    successor.close()


def test_a_forked_child_leaves_the_parents_spool_alone(world: World) -> None:
    """It neither adds to it nor ends it: the parent goes on, and is alone in sending."""
    spool = world.spool()
    fill(spool, 1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        fill(spool, 2)
        spool.close()
        os.write(write, str(spool.waiting).encode())
        os._exit(0)
    os.waitpid(child, 0)
    other = world.spool()
    other.look()

    assert os.read(read, 10) == b"1"
    assert (drain(other), drain(spool)) == ([], [1])
    os.close(read)
    os.close(write)
    spool.close()
    other.close()
