"""Rotated log files: how they are named, compressed, and removed.

`inference.log` becomes `inference.log.2026-11-21` and then `inference.log.2026-11-21.gz`; what a day needs beyond its
first file is `inference.log.2026-11-21.1.gz`, `….2.gz`. A second live process in the same folder writes
`inference.1.log`, and so on.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.file_lock import FileLock
from service.telemetry.log_record import timestamp

if TYPE_CHECKING:
    from pathlib import Path

DAY_NS = 86_400_000_000_000
_CURRENT = re.compile(r"inference(?:\.\d+)?\.log")
_ROTATED = re.compile(r"inference(?:\.\d+)?\.log\.(\d{4}-\d{2}-\d{2})(?:\.(\d+))?(\.gz)?")
_COMPRESSING = ".part"
_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, order=True)
class Rotated:
    """One rotated file; they sort by age. `day` is a UTC date, `compressed` whether it is a .gz already."""

    day: str
    part: int
    path: Path
    compressed: bool


def log_path(folder: Path, slot: int) -> Path:
    """The log file of the process in a slot of the folder, from 0."""
    return folder / ("inference.log" if slot == 0 else f"inference.{slot}.log")


def take_lock(path: Path) -> FileLock | None:
    """Take the lock on a log file; None when a living process has it."""
    return FileLock.take(path.with_name(f"{path.name}.lock"))


def rotated(folder: Path) -> list[Rotated]:
    """The rotated files of all processes, oldest first."""
    found = []
    for path in folder.iterdir():
        match = _ROTATED.fullmatch(path.name)
        if match is not None:
            found.append(Rotated(match[1], int(match[2] or 0), path, match[3] is not None))
    return sorted(found)


def set_aside(path: Path, day: int) -> None:
    """Rename a log file to the next free name of its day, counted in UTC days since 1970."""
    date = timestamp(day * DAY_NS)[:10]
    taken = [file.part for file in rotated(path.parent) if file.day == date and file.path.name.startswith(f"{path.name}.")]
    part = max(taken, default=-1) + 1
    path.rename(path.with_name(f"{path.name}.{date}{f'.{part}' if part else ''}"))


def compress(path: Path) -> None:
    """Compress every rotated file of `path` that is not yet: just rotated, or left over by a process that was killed.

    A disk without room leaves the file as it is, for the next time.
    """
    for file in rotated(path.parent):
        if file.compressed or not file.path.name.startswith(f"{path.name}."):
            continue
        # Killed between the two last steps, the next start does both again from the whole file.
        part = file.path.with_name(file.path.name + _COMPRESSING)
        try:
            with file.path.open("rb") as source, part.open("wb") as target:
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=target) as packed:
                    shutil.copyfileobj(source, packed, 1 << 16)
                os.fsync(target.fileno())
            part.rename(file.path.with_name(f"{file.path.name}.gz"))
            file.path.unlink()
        except OSError:
            part.unlink(missing_ok=True)


def adopt(folder: Path, unix_ns: int) -> None:
    """Rotate and compress the files of processes that have ended and whose place nobody may ever take again."""
    for path in sorted(folder.iterdir()):
        if _CURRENT.fullmatch(path.name) is not None:
            lock = take_lock(path)
            if lock is not None:
                if path.stat().st_size:
                    set_aside(path, written_on(path, unix_ns))
                    compress(path)
                lock.release()


def expire(folder: Path, *, keep_days: int, max_bytes: int) -> str | None:
    """Remove rotated files: all but those of the newest `keep_days` days, and the oldest while the folder's logs are too big.

    Returns the newest day that lost a file for its size alone; None when none did.
    """
    cut = None
    files = rotated(folder)
    kept = sorted({file.day for file in files}, reverse=True)[:keep_days]
    total = sum(_size(path) for path in folder.iterdir() if path.name.startswith("inference."))
    for file in files:
        if file.day not in kept or total > max_bytes:
            cut = file.day if file.day in kept else cut
            total -= _size(file.path)
            file.path.unlink(missing_ok=True)
    return cut


def day_of(date: str) -> int:
    """The UTC day of a date such as `2026-11-21`, counted since 1970."""
    return dt.date.fromisoformat(date).toordinal() - _EPOCH


def written_on(path: Path, unix_ns: int) -> int:
    """The UTC day of the last line: the file's own time, but never later than now."""
    return min(path.stat().st_mtime_ns, unix_ns) // DAY_NS


def _size(path: Path) -> int:
    # Another process may rotate or remove it at this moment.
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
