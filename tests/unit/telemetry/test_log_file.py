"""The log file on disk."""

from __future__ import annotations

import errno
import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import StartupError
from service.telemetry import log_file, log_rotation
from service.telemetry.log_file import DailyFile, claim_log_file
from tests.full_disk import files_up_to, small_disk

DAY = 86_400
SECOND = 1_000_000_000
# 2026-11-21T23:59:59Z
LATE = 1_795_305_599
MIB = 1 << 20


class Wall:
    """A wall clock in whole seconds, moved by hand."""

    def __init__(self, seconds: int = LATE) -> None:
        self.seconds = seconds

    def unix_ns(self) -> int:
        return self.seconds * SECOND


@pytest.fixture
def wall() -> Wall:
    return Wall()


def open_file(folder: Path, wall: Wall, *, keep: int = 7, max_bytes: int = 64 * MIB) -> DailyFile:
    return DailyFile(claim_log_file(folder), keep=keep, max_bytes=max_bytes, unix_ns=wall.unix_ns)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def noise(size: int) -> bytes:
    """A line that does not compress."""
    return os.urandom(size // 2).hex().encode()[: size - 1] + b"\n"


def test_lines_are_appended_to_inference_log(tmp_path: Path, wall: Wall) -> None:
    """A collector or `tail -f` sees them at once."""
    file = open_file(tmp_path / "logs", wall)
    file.write(b"one\n")
    file.write(b"two\nthree\n")
    assert (tmp_path / "logs" / "inference.log").read_bytes() == b"one\ntwo\nthree\n"
    file.close()


def test_the_next_process_continues_the_file(tmp_path: Path, wall: Wall) -> None:
    """A restart on the same day makes no new file."""
    for line in (b"before\n", b"after\n"):
        file = open_file(tmp_path, wall)
        file.write(line)
        file.close()
        os.utime(tmp_path / "inference.log", (LATE, LATE))
    assert names(tmp_path) == ["inference.log"]
    assert (tmp_path / "inference.log").read_bytes() == b"before\nafter\n"


def test_at_midnight_utc_the_file_is_rotated_and_compressed_under_the_date_of_its_lines(tmp_path: Path, wall: Wall) -> None:
    """The first line of the new day is the first of the new file."""
    file = open_file(tmp_path, wall)
    file.write(b"old day\n")
    wall.seconds += 1
    file.write(b"new day\n")
    assert names(tmp_path) == ["inference.log", "inference.log.2026-11-21.gz"]
    assert (tmp_path / "inference.log").read_bytes() == b"new day\n"
    assert unpacked(tmp_path / "inference.log.2026-11-21.gz") == b"old day\n"
    file.close()


def test_a_day_without_lines_leaves_no_file(tmp_path: Path, wall: Wall) -> None:
    """Rotation happens with a line, so that no empty files pile up."""
    file = open_file(tmp_path, wall)
    file.write(b"one\n")
    wall.seconds += 5 * DAY
    file.write(b"two\n")
    assert names(tmp_path) == ["inference.log", "inference.log.2026-11-21.gz"]
    file.close()


def test_a_file_of_an_earlier_day_is_rotated_before_it_is_continued(tmp_path: Path, wall: Wall) -> None:
    """The service was down over midnight; the file's own time says which day its lines are of."""
    (tmp_path / "inference.log").write_bytes(b"yesterday\n")
    os.utime(tmp_path / "inference.log", (LATE - DAY, LATE - DAY))
    file = open_file(tmp_path, wall)
    file.write(b"today\n")
    assert names(tmp_path) == ["inference.log", "inference.log.2026-11-20.gz"]
    assert unpacked(tmp_path / "inference.log.2026-11-20.gz") == b"yesterday\n"
    file.close()


def test_a_clock_set_back_rotates_nothing(tmp_path: Path, wall: Wall) -> None:
    """Time going backwards does not make files of days that were there already."""
    file = open_file(tmp_path, wall)
    wall.seconds += 1
    file.write(b"one\n")
    wall.seconds -= 2 * DAY
    file.write(b"two\n")
    assert names(tmp_path) == ["inference.log"]
    file.close()


def test_the_newest_days_are_kept(tmp_path: Path, wall: Wall) -> None:
    """Of five days with keep=3, the current file and the three days before it remain."""
    file = open_file(tmp_path, wall, keep=3)
    for _ in range(5):
        file.write(b"line\n")
        wall.seconds += DAY
    file.write(b"line\n")
    assert names(tmp_path) == [
        "inference.log",
        "inference.log.2026-11-23.gz",
        "inference.log.2026-11-24.gz",
        "inference.log.2026-11-25.gz",
    ]
    file.close()


def test_a_day_that_writes_too_much_gets_more_files(tmp_path: Path, wall: Wall) -> None:
    """A part is a sixteenth of the cap; the parts of a day are numbered in the order of their lines."""
    file = open_file(tmp_path, wall, max_bytes=16 * 100)
    for number in range(4):
        file.write(b"%d" % number * 59 + b"\n")
    assert names(tmp_path) == [
        "inference.log",
        "inference.log.2026-11-21.1.gz",
        "inference.log.2026-11-21.2.gz",
        "inference.log.2026-11-21.gz",
    ]
    assert unpacked(tmp_path / "inference.log.2026-11-21.gz")[:1] == b"0"
    assert unpacked(tmp_path / "inference.log.2026-11-21.2.gz")[:1] == b"2"
    file.close()


def test_all_files_together_stay_under_the_cap_and_the_oldest_go_first(tmp_path: Path, wall: Wall) -> None:
    """Lines that do not compress, twice as many as there is room for."""
    file = open_file(tmp_path, wall, max_bytes=MIB)
    most = 0
    for number in range(400):
        file.write(noise(5000))
        most = max(most, sum(path.stat().st_size for path in tmp_path.iterdir()))
        if number == 200:
            wall.seconds += 1
    assert 0.7 * MIB < most <= MIB
    assert names(tmp_path)[1] != "inference.log.2026-11-21.gz"
    assert any(name.startswith("inference.log.2026-11-22") for name in names(tmp_path))
    file.close()


def test_a_single_line_larger_than_a_part_is_written_whole(tmp_path: Path, wall: Wall) -> None:
    """The cap never tears a line."""
    file = open_file(tmp_path, wall, max_bytes=1600)
    file.write(b"x" * 500 + b"\n")
    assert (tmp_path / "inference.log").stat().st_size == 501
    file.close()


def test_a_line_torn_by_kill_9_is_ended(tmp_path: Path, wall: Wall) -> None:
    """It must not swallow the line after it."""
    (tmp_path / "inference.log").write_bytes(b'whole\n{"torn":')
    os.utime(tmp_path / "inference.log", (LATE, LATE))
    file = open_file(tmp_path, wall)
    file.write(b"next\n")
    assert (tmp_path / "inference.log").read_bytes() == b'whole\n{"torn":\nnext\n'
    file.close()


def test_a_rotated_file_left_uncompressed_by_kill_9_is_compressed_at_the_next_start(tmp_path: Path, wall: Wall) -> None:
    """Killed between renaming and compressing; half a compressed file is begun anew."""
    (tmp_path / "inference.log.2026-11-20").write_bytes(b"left\n")
    (tmp_path / "inference.log.2026-11-20.part").write_bytes(b"half")
    file = open_file(tmp_path, wall)
    file.write(b"line\n")
    assert names(tmp_path) == ["inference.log", "inference.log.2026-11-20.gz"]
    assert unpacked(tmp_path / "inference.log.2026-11-20.gz") == b"left\n"
    file.close()


def test_a_file_compressed_but_not_removed_by_kill_9_is_there_once_in_the_end(tmp_path: Path, wall: Wall) -> None:
    """Killed between the last two steps; doing both again changes nothing."""
    (tmp_path / "inference.log.2026-11-20").write_bytes(b"left\n")
    (tmp_path / "inference.log.2026-11-20.gz").write_bytes(gzip.compress(b"left\n"))
    file = open_file(tmp_path, wall)
    file.write(b"line\n")
    assert names(tmp_path) == ["inference.log", "inference.log.2026-11-20.gz"]
    file.close()


def test_a_file_that_somebody_moved_is_begun_anew(tmp_path: Path, wall: Wall) -> None:
    """An operator's `mv` or `rm` does not send lines into a file nobody sees."""
    file = open_file(tmp_path, wall)
    file.write(b"one\n")
    (tmp_path / "inference.log").rename(tmp_path / "taken-away")
    file.write(b"two\n")
    assert (tmp_path / "inference.log").read_bytes() == b"two\n"
    (tmp_path / "inference.log").write_bytes(b"")
    file.write(b"three\n")
    assert (tmp_path / "inference.log").read_bytes() == b"three\n"
    file.close()


def test_a_second_live_process_writes_a_file_of_its_own(tmp_path: Path, wall: Wall) -> None:
    """Two processes never mix their lines in one file; the number is free again afterwards."""
    first, second, third = (open_file(tmp_path, wall) for _ in range(3))
    assert [file.path.name for file in (first, second, third)] == ["inference.log", "inference.1.log", "inference.2.log"]
    second.close()
    second.close()
    again = open_file(tmp_path, wall)
    assert again.path.name == "inference.1.log"
    for file in (first, third, again):
        file.close()


def test_the_files_of_processes_that_ended_are_rotated_with_ours(tmp_path: Path, wall: Wall) -> None:
    """Nobody may ever run a second process again, so the survivor sees to its file; a living one's is left alone."""
    alive = DailyFile(claim_log_file(tmp_path), keep=7, max_bytes=MIB, unix_ns=wall.unix_ns)
    alive.write(b"alive\n")
    (tmp_path / "inference.3.log").write_bytes(b"dead\n")
    os.utime(tmp_path / "inference.3.log", (LATE - DAY, LATE - DAY))
    file = open_file(tmp_path, wall)
    file.write(b"ours\n")
    assert names(tmp_path) == ["inference.1.log", "inference.3.log.2026-11-20.gz", "inference.log"]
    file.close()
    alive.close()


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path, wall: Wall) -> None:
    """Only names we make are rotated, compressed or removed."""
    strangers = ["inference.log.2026-11-20.gz.bak", "notes.txt", "inference.log.old", "uvicorn.log.2026-11-20"]
    for name in strangers:
        (tmp_path / name).write_bytes(b"x")
    file = open_file(tmp_path, wall, keep=1)
    file.write(b"line\n")
    wall.seconds += DAY
    file.write(b"line\n")
    assert set(strangers) < set(names(tmp_path))
    file.close()


def test_a_full_disk_raises_and_leaves_no_torn_line(tmp_path: Path, wall: Wall) -> None:
    """What fits of the lines is taken back, so that writing them again later does not double them."""
    file = open_file(tmp_path, wall)
    file.write(b"fits\n")
    with files_up_to(20), pytest.raises(OSError, match="File too large"):
        file.write(b"does not fit in the room\n")
    assert (tmp_path / "inference.log").read_bytes() == b"fits\n"
    file.write(b"again\n")
    assert (tmp_path / "inference.log").read_bytes() == b"fits\nagain\n"
    file.close()


def test_a_disk_without_room_for_compressing_keeps_the_file_for_later(tmp_path: Path, wall: Wall) -> None:
    """Lines go on being written; the next rotation compresses what was left."""
    file = open_file(tmp_path, wall)
    line = noise(50_000)
    file.write(line)
    wall.seconds += 1
    with files_up_to(20_000):
        file.write(b"next day\n")
    assert names(tmp_path) == ["inference.log", "inference.log.2026-11-21"]
    wall.seconds += DAY
    file.write(b"the day after\n")
    assert names(tmp_path) == ["inference.log", "inference.log.2026-11-21.gz", "inference.log.2026-11-22.gz"]
    assert unpacked(tmp_path / "inference.log.2026-11-21.gz") == line
    file.close()


def test_a_file_system_that_is_really_full_recovers_when_there_is_room(tmp_path: Path, wall: Wall) -> None:
    """ENOSPC as the kernel gives it."""
    with small_disk(tmp_path / "disk", 256 * 1024) as disk:
        file = open_file(disk / "logs", wall)
        file.write(b"first\n")
        (disk / "filler").write_bytes(b"x" * (disk_free(disk)))
        with pytest.raises(OSError) as caught:
            file.write(noise(8192))
        assert caught.value.errno == errno.ENOSPC
        (disk / "filler").unlink()
        file.write(b"second\n")
        assert (disk / "logs" / "inference.log").read_bytes() == b"first\nsecond\n"
        file.close()


def disk_free(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_bsize


def test_a_folder_removed_under_us_is_made_again(tmp_path: Path, wall: Wall) -> None:
    """The log goes on after somebody cleaned up too much."""
    file = open_file(tmp_path / "logs", wall)
    file.write(b"one\n")
    subprocess.run(["rm", "-r", str(tmp_path / "logs")], check=True)
    file.write(b"two\n")
    assert (tmp_path / "logs" / "inference.log").read_bytes() == b"two\n"
    file.close()


def test_a_file_that_cannot_be_opened_raises_and_is_tried_again(tmp_path: Path, wall: Wall) -> None:
    """A folder stands where the file should be."""
    file = open_file(tmp_path, wall)
    (tmp_path / "inference.log").mkdir()
    with pytest.raises(IsADirectoryError):
        file.write(b"one\n")
    (tmp_path / "inference.log").rmdir()
    file.write(b"one\n")
    assert (tmp_path / "inference.log").read_bytes() == b"one\n"
    file.close()


def test_an_unusable_folder_is_named_at_start(tmp_path: Path) -> None:
    """The start says which file and how to mend it."""
    (tmp_path / "logs").write_text("")
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*/logs cannot be used \(File exists\); make it writable"):
        claim_log_file(tmp_path / "logs")


def test_the_number_of_processes_in_one_folder_is_bounded(tmp_path: Path, monkeypatch) -> None:
    """The fix is another folder."""
    monkeypatch.setattr(log_file, "MAX_WRITERS", 1)
    claim = claim_log_file(tmp_path)
    with pytest.raises(StartupError, match=r"1 processes write logs in .*; give some a data folder of their own"):
        claim_log_file(tmp_path)
    claim.lock.release()


def test_a_day_that_lost_lines_for_their_size_is_told(tmp_path: Path) -> None:
    """The newest of them; what goes because its time is over is none."""
    for day in ("2026-11-01", "2026-11-19", "2026-11-20", "2026-11-21"):
        (tmp_path / f"inference.log.{day}.gz").write_bytes(b"x" * 100)
    assert log_rotation.expire(tmp_path, keep_days=3, max_bytes=1000) is None
    assert names(tmp_path) == ["inference.log.2026-11-19.gz", "inference.log.2026-11-20.gz", "inference.log.2026-11-21.gz"]
    assert log_rotation.expire(tmp_path, keep_days=3, max_bytes=150) == "2026-11-20"
    assert log_rotation.day_of("1970-01-02") == 1


def test_a_rotated_file_removed_meanwhile_by_another_process_is_no_error(tmp_path: Path, wall: Wall, monkeypatch) -> None:
    """Two processes tidy one folder at once."""
    (tmp_path / "inference.log.2026-11-01.gz").write_bytes(gzip.compress(b"x"))
    seen = log_rotation.rotated(tmp_path)
    seen[0].path.unlink()
    monkeypatch.setattr(log_rotation, "rotated", lambda _folder: seen)
    log_rotation.expire(tmp_path, keep_days=1, max_bytes=0)
    assert names(tmp_path) == []


WRITE_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from service.telemetry.log_file import DailyFile, claim_log_file
file = DailyFile(claim_log_file(Path(sys.argv[1])), keep=7, max_bytes=1 << 20, unix_ns=time.time_ns)
number = 0
while True:
    file.write(b"".join(b"line %09d %s\\n" % (number + offset, b"x" * 200) for offset in range(100)))
    number += 100
    print(number, flush=True)
"""


def test_after_kill_9_every_line_that_was_written_is_there(tmp_path: Path, wall: Wall) -> None:
    """Killed while it writes, rotates and compresses; the next process mends what was half done."""
    process = subprocess.Popen([sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) >= 2_000:
            break
    process.kill()
    written = int((process.communicate(timeout=30)[0].split() or [line])[-1])
    wall.seconds = int((tmp_path / "inference.log").stat().st_mtime) + 1
    file = open_file(tmp_path, wall, max_bytes=1 << 40)
    file.write(b"line the end\n")
    text = b"".join(unpacked(entry.path) for entry in log_rotation.rotated(tmp_path)) + (tmp_path / "inference.log").read_bytes()
    numbers = [int(number) for number in re.findall(rb"^line (\d{9}) x{200}$", text, re.MULTILINE)]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] >= written - 1
    assert text.endswith(b"\nline the end\n")
    file.close()
