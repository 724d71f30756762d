"""The slot of a process, and the lock that holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service import file_lock, instance
from service.errors import StartupError
from service.file_lock import FileLock
from service.instance import claim

CLAIM_AND_WAIT = """
import sys
from pathlib import Path
from service.instance import claim
slot = claim(Path(sys.argv[1]), "serve", host="box")
print(slot.slot, slot.instance_id, flush=True)
sys.stdin.read()
"""


def other_process(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CLAIM_AND_WAIT, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=30)


def test_a_slot_has_a_name_for_people_and_an_id_for_machines(tmp_path: Path) -> None:
    """The name is host, command and slot; the id is a UUID of version 5."""
    slot = claim(tmp_path, "serve", host="box")
    assert (slot.command, slot.slot, slot.name) == ("serve", 0, "box/serve/0")
    assert slot.instance_id[14] == "5"
    slot.release()


def test_the_shown_name_can_be_chosen_and_does_not_change_the_id(tmp_path: Path) -> None:
    """Renaming an instance does not begin new metric series."""
    plain = claim(tmp_path, "serve", host="box")
    plain.release()
    named = claim(tmp_path, "serve", host="box", name="front")
    assert (named.name, named.instance_id) == ("front", plain.instance_id)
    named.release()


def test_the_next_claim_takes_the_lowest_free_slot_and_with_it_the_id(tmp_path: Path) -> None:
    """A restart goes on with the series of the process before it."""
    first, second, third = (claim(tmp_path, "serve", host="box") for _ in range(3))
    assert [first.slot, second.slot, third.slot] == [0, 1, 2]
    assert len({first.instance_id, second.instance_id, third.instance_id}) == 3
    second.release()
    again = claim(tmp_path, "serve", host="box")
    assert (again.slot, again.instance_id) == (1, second.instance_id)
    for slot in (first, again, third):
        slot.release()
        slot.release()


@pytest.mark.parametrize(("command", "host"), [("match", "box"), ("serve", "other")])
def test_another_command_or_host_has_another_id_for_the_same_slot(tmp_path: Path, command: str, host: str) -> None:
    """`mgeo match` beside the server never writes the server's series; nor does a copy of the folder elsewhere."""
    server = claim(tmp_path, "serve", host="box")
    server.release()
    other = claim(tmp_path, command, host=host)
    assert other.slot == 0
    assert other.instance_id != server.instance_id
    other.release()


def test_the_id_is_of_the_resolved_folder(tmp_path: Path, monkeypatch) -> None:
    """`var` and its absolute path are one folder."""
    absolute = claim(tmp_path / "var", "serve", host="box")
    absolute.release()
    monkeypatch.chdir(tmp_path)
    relative = claim(Path("var"), "serve", host="box")
    assert relative.instance_id == absolute.instance_id
    relative.release()


def test_the_host_is_asked_for_when_it_is_not_given(tmp_path: Path) -> None:
    """The operating system's own name stands in the shown name."""
    slot = claim(tmp_path, "serve")
    assert slot.name == f"{os.uname().nodename}/serve/0"
    slot.release()


def test_a_process_killed_by_sigkill_leaves_its_slot_to_the_next(tmp_path: Path) -> None:
    """No stale lock needs an operator."""
    process = other_process(tmp_path)
    slot, instance_id = process.stdout.readline().split()
    mine = claim(tmp_path, "serve", host="box")
    assert (slot, mine.slot) == ("0", 1)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    next_one = claim(tmp_path, "serve", host="box")
    assert (next_one.slot, next_one.instance_id) == (0, instance_id)
    mine.release()
    next_one.release()


def test_a_child_program_does_not_keep_the_slot(tmp_path: Path) -> None:
    """What we start by exec does not inherit the lock."""
    slot = claim(tmp_path, "serve", host="box")
    command = [sys.executable, "-c", "print(flush=True); input()"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
    try:
        child.stdout.readline()
        slot.release()
        again = claim(tmp_path, "serve", host="box")
        assert again.slot == 0
        again.release()
    finally:
        child.communicate(b"\n", timeout=30)


FORK = """
import os, sys, time
from pathlib import Path
from service.instance import claim
slot = claim(Path(sys.argv[1]), "serve", host="box")
read, write = os.pipe()
if os.fork() == 0:
    os.close(write)
    os.read(read, 1)   # until the parent has ended
    slot.release()     # what is the parent's is not ours to release, and harmless to try
    deadline = time.monotonic() + 20   # the kernel frees the locks of the dead a moment later
    while (again := claim(Path(sys.argv[1]), "serve", host="box")).slot and time.monotonic() < deadline:
        again.release()
    print(again.slot, flush=True)
    os._exit(0)
beside = claim(Path(sys.argv[1]), "serve", host="box")
print(beside.slot, flush=True)
os._exit(0)
"""


def test_a_forked_child_neither_keeps_nor_frees_its_parents_slot(tmp_path: Path) -> None:
    """While the parent lives the slot is the parent's; when it has ended the child may take it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == ["1", "0"]


@pytest.mark.parametrize("command", ["", "a/b", "../serve", "Serve", "a" * 33])
def test_a_command_that_cannot_be_a_file_name_is_refused(tmp_path: Path, command: str) -> None:
    """A slot never leads out of its folder."""
    with pytest.raises(ValueError, match="not a command"):
        claim(tmp_path, command)


def test_an_unusable_locks_folder_is_named(tmp_path: Path) -> None:
    """The start says which file cannot be used and how to mend it."""
    (tmp_path / "locks").write_text("")
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*/locks cannot be used .*; make it writable"):
        claim(tmp_path, "serve")


def test_when_all_slots_are_taken_the_fix_is_another_folder(tmp_path: Path, monkeypatch) -> None:
    """The number of processes in one folder is bounded."""
    monkeypatch.setattr(instance, "MAX_SLOTS", 1)
    first = claim(tmp_path, "serve")
    with pytest.raises(StartupError, match=r"1 processes of `mgeo serve` use the data folder .*; give some another MGEO_DATA_DIR"):
        claim(tmp_path, "serve")
    first.release()


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch) -> None:
    """An error other than a held lock is not taken for one."""

    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StartupError, match="No locks available"):
        claim(tmp_path, "serve")


def test_in_a_forked_child_the_copy_of_a_lock_is_closed(tmp_path: Path) -> None:
    """What the fork handler does, in this process: the descriptor is gone, and releasing it again closes nobody else's."""
    lock = FileLock.take(tmp_path / "lock")
    file_lock._forget(lock)
    again = FileLock.take(tmp_path / "lock")
    lock.release()
    file_lock._forget(lock)
    file_lock._forget(None)
    assert FileLock.take(tmp_path / "lock") is None
    again.release()


def test_a_lock_that_nobody_refers_to_is_free(tmp_path: Path) -> None:
    """A forgotten lock does not outlive its last reference."""
    lock = FileLock.take(tmp_path / "lock")
    assert FileLock.take(tmp_path / "lock") is None
    del lock
    assert FileLock.take(tmp_path / "lock") is not None
