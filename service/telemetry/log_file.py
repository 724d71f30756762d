"""The log file: append only, a new one every UTC day, and never more on disk than allowed.

Days are UTC days, because the timestamps in the lines are UTC: the name of a file then says which timestamps it has, and
no clock change makes a day twice or not at all.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.data_dir import unusable
from service.errors import StartupError
from service.telemetry.log_rotation import DAY_NS, adopt, compress, day_of, expire, log_path, set_aside, take_lock, written_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.file_lock import FileLock

MAX_WRITERS = 1024
# A day that writes more than this part of the cap gets a file more, so that the cap can be kept by removing whole files.
_PARTS = 16
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogClaim:
    """The right to write one log file; `lock` holds it."""

    path: Path
    lock: FileLock


def claim_log_file(folder: Path) -> LogClaim:
    """Take the first log file of the folder that no living process writes: `inference.log`, else `inference.1.log`, and so on.

    Raises:
        StartupError: the folder or its lock files cannot be made.
    """
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for slot in range(MAX_WRITERS):
            path = log_path(folder, slot)
            lock = take_lock(path)
            if lock is not None:
                return LogClaim(path=path, lock=lock)
    except OSError as error:
        raise unusable(path, error) from error
    raise StartupError(f"MGEO_DATA_DIR: {MAX_WRITERS} processes write logs in {folder}; give some a data folder of their own")


class DailyFile:
    """A sink for log lines. One thread.

    Args:
        claim: the current file, such as `logs/inference.log`; the claim ends with `close`.
        keep: days whose rotated files are kept.
        max_bytes: all log files of the folder together; the oldest rotated ones go first.
        unix_ns: the wall clock.

    Attributes:
        cut_age: seconds since the end of the newest day that lost lines for their size, when it lost them; None while none has.
    """

    def __init__(self, claim: LogClaim, *, keep: int, max_bytes: int, unix_ns: Callable[[], int]) -> None:
        self.path = claim.path
        self.cut_age: float | None = None
        self._claim = claim
        self._keep = keep
        self._part_bytes = max_bytes // _PARTS
        # Room for the current file, and for a rotated one while it is there compressed and not.
        self._rotated_bytes = max_bytes - 2 * self._part_bytes
        self._unix_ns = unix_ns
        self._descriptor: int | None = None
        self._inode = 0
        self._size = 0
        self._day = 0
        self._adopted = False

    @property
    def name(self) -> str:
        """What a message calls this sink."""
        return f"log file {self.path}"

    def write(self, lines: bytes) -> None:
        """Append whole lines; all of them, or none.

        Raises:
            OSError: the disk is full or the file cannot be opened; the next call opens it again.
        """
        try:
            descriptor = self._ready(len(lines))
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            self._undo()
            raise
        self._size += len(lines)

    def close(self) -> None:
        """Close the file and leave it to the next process. Safe to call again."""
        self._close()
        self._claim.lock.release()

    def _ready(self, coming: int) -> int:
        today = self._unix_ns() // DAY_NS
        descriptor = self._descriptor
        # Somebody may have moved or removed the file under us.
        if descriptor is not None and not self._in_place():
            self._close()
            descriptor = None
        if descriptor is None:
            descriptor = self._open()
            self._tidy()
        if self._size and (today > self._day or self._size + coming > self._part_bytes):
            self._close()
            set_aside(self.path, self._day)
            descriptor = self._open()
            self._tidy()
        self._day = max(self._day, today)
        return descriptor

    def _in_place(self) -> bool:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        self._size = status.st_size
        return status.st_ino == self._inode

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self._inode, self._size = status.st_ino, status.st_size
        self._day = written_on(self.path, self._unix_ns())
        if self._size and os.pread(descriptor, 1, self._size - 1) != b"\n":
            # A kill -9 tore the last line; it must not swallow the next one.
            self._size += os.write(descriptor, b"\n")
        return descriptor

    def _tidy(self) -> None:
        if not self._adopted:
            adopt(self.path.parent, self._unix_ns())
            self._adopted = True
        compress(self.path)
        cut = expire(self.path.parent, keep_days=self._keep, max_bytes=self._rotated_bytes)
        if cut is not None:
            self.cut_age = max(self._unix_ns() - (day_of(cut) + 1) * DAY_NS, 0) / _NS

    def _undo(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
