"""One file of the spool: what it keeps over the death of its process, and what it makes of damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.telemetry.sdk.spool.segment import Entry, MemorySegment, Segment
from tests.full_disk import files_up_to

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = Entry(b"first", 2, 100), Entry(b"second", 3, 200), Entry(b"third", 4, 300)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.00000001.seg"


def filled(path: Path, *entries: Entry) -> Segment:
    segment = Segment.create(path)
    for entry in entries:
        segment.append(entry)
    return segment


def drain(segment: Segment | MemorySegment) -> list[Entry]:
    found = []
    while (entry := segment.first()) is not None:
        found.append(entry)
        segment.advance()
    return found


def test_what_goes_in_comes_out_in_order(path: Path) -> None:
    """With its items and time; the sums are of what is left."""
    segment = filled(path, A, B, C)

    assert (segment.items, segment.oldest_unix_ns, segment.empty, segment.size) == (9, 100, False, path.stat().st_size)
    assert (segment.first(), segment.first(), segment.advance()) == (A, A, 2)
    assert (segment.items, segment.oldest_unix_ns) == (7, 200)
    assert drain(segment) == [B, C]
    assert (segment.items, segment.empty, segment.first(), segment.take_damaged()) == (0, True, None, 0)


def test_the_next_process_goes_on_behind_what_was_acknowledged(path: Path) -> None:
    """The offset stands in the file as soon as it moved."""
    filled(path, A, B, C).advance()

    again = Segment.read(path)

    assert (again.items, again.oldest_unix_ns, again.take_damaged()) == (7, 200, 0)
    assert drain(again) == [B, C]
    assert Segment.read(path).empty


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_torn_tail_is_left_out(path: Path, cut: int) -> None:
    """Its items are counted while the head is whole: 24 bytes; what stands before is there."""
    size = filled(path, A, B).size
    tail = 24 + len(b"third")
    filled(path.with_suffix(".other"), C)
    whole = path.read_bytes() + path.with_suffix(".other").read_bytes()[16:]
    assert len(whole) == size + tail
    path.write_bytes(whole[:-cut])

    segment = Segment.read(path)

    assert segment.take_damaged() == (4 if 0 < cut <= len(b"third") else 0)
    assert drain(segment) == [A, B]


@pytest.mark.parametrize("content", [b"", b"MGEOSP1\n", b"something else altogether"])
def test_a_file_without_its_beginning_is_empty(path: Path, content: bytes) -> None:
    """Nothing was acknowledged to anybody from it."""
    path.write_bytes(content)

    assert (Segment.read(path).empty, Segment.read(path).take_damaged()) == (True, 0)


def test_a_damaged_payload_is_passed_over_and_counted(path: Path) -> None:
    """The others are whole."""
    segment = filled(path, A, B, C)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"second", b"sekond"))

    assert drain(segment) == [A, C]
    assert (segment.take_damaged(), segment.take_damaged()) == (3, 0)


def test_a_damaged_head_ends_the_file_and_counts_what_is_behind(path: Path) -> None:
    """Nobody can tell where the next payload begins."""
    segment = filled(path, A, B, C)
    content = bytearray(path.read_bytes())
    content[content.index(b"second") - 10] ^= 1
    path.write_bytes(content)

    assert drain(segment) == [A]
    assert (segment.take_damaged(), segment.items) == (7, 0)


def test_a_file_that_somebody_removed_is_damage(path: Path) -> None:
    """All that was in it is counted, and nothing is raised."""
    segment = filled(path, A, B)
    path.unlink()

    assert (segment.first(), segment.take_damaged(), segment.empty) == (None, 5, True)
    segment.remove()


def test_the_first_can_be_done_with_although_its_file_has_gone(path: Path) -> None:
    """It was read before, so it is known how far to go; without having been read, all of it is given up."""
    segment, other = filled(path, A, B), filled(path.with_suffix(".other"), A, B)
    segment.first()
    path.unlink()
    path.with_suffix(".other").unlink()

    assert (segment.advance(), segment.items) == (2, 3)
    assert (other.advance(), other.items) == (5, 0)


def test_a_write_that_does_not_fit_adds_nothing(path: Path) -> None:
    """The file is as before, for this process and the next; with room again it goes on."""
    segment = filled(path, A)
    with files_up_to(segment.size + 10), pytest.raises(OSError, match="File too large"):
        segment.append(B)

    assert (segment.items, path.stat().st_size) == (2, segment.size)
    segment.append(C)
    assert drain(Segment.read(path)) == [A, C]


def test_a_file_that_cannot_be_begun_is_not_there(path: Path) -> None:
    """The error says why."""
    with files_up_to(4), pytest.raises(OSError, match="File too large"):
        Segment.create(path)

    assert not path.exists()


def test_in_memory_it_is_the_same(path: Path) -> None:
    """But for the file, which it can become."""
    segment = MemorySegment(path)
    for entry in (A, B, C):
        segment.append(entry)

    assert (segment.items, segment.size, segment.oldest_unix_ns, segment.count, segment.empty) == (9, 16, 100, 3, False)
    assert (segment.first(), segment.advance(), segment.take_damaged()) == (A, 2, 0)
    written = segment.to_file()
    assert drain(written) == drain(segment) == [B, C]
    assert (segment.items, segment.size, segment.oldest_unix_ns, segment.empty) == (0, 0, 0, True)


def test_memory_that_does_not_fit_into_a_file_stays_in_memory(path: Path) -> None:
    """And leaves no half of it."""
    segment = MemorySegment(path)
    for entry in (A, B, C):
        segment.append(entry)
    with files_up_to(70), pytest.raises(OSError, match="File too large"):
        segment.to_file()

    assert (path.exists(), segment.items) == (False, 9)
    segment.remove()
    assert segment.empty
