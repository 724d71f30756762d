"""The folder of one process life in the spool: whoever holds its lock, and nobody else, writes and sends what is in it."""

from __future__ import annotations

import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from service.file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGITS = 20
_NAME = re.compile(r"\d{20}-[0-9a-f]{8}")
_SEGMENT = re.compile(r"([a-z]+)\.(\d{8})\.seg")
_LOCK = "lock"
# A folder gets its name only when its lock is held; one that never got there was left by a start that was killed.
_UNNAMED = "."
_STALE = 60.0


class Life:
    """A life whose lock this process holds; made by `begin` for its own, by `adopt` for that of a dead process."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def begin(cls, folder: Path, *, unix_ns: int) -> Self:
        """Make the folder of a new life; names are in the order of beginning, also when the clock was set back, and none comes twice.

        Raises:
            OSError: the spool cannot be written, or has no locks.
        """
        folder.mkdir(parents=True, exist_ok=True)
        before = max((int(path.name[:_DIGITS]) for path in lives(folder)), default=-1)
        path = folder / f"{max(unix_ns, before + 1):0{_DIGITS}d}-{secrets.token_hex(4)}"
        unnamed = folder / f"{_UNNAMED}{path.name}"
        unnamed.mkdir(mode=0o700)
        lock = FileLock.take(unnamed / _LOCK)
        assert lock is not None
        unnamed.rename(path)
        return cls(path, lock)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Take over the life of a dead process; None when its process lives, or another has taken it over.

        Raises:
            OSError: the folder cannot be used.
        """
        try:
            lock = FileLock.take(path / _LOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None  # another process has just finished with it
        return None if lock is None else cls(path, lock)

    def segments(self) -> list[tuple[str, Path]]:
        """The signals and files in it, each signal's in order.

        Raises:
            OSError: the folder cannot be read.
        """
        found = [(match[1], path) for path in self.path.iterdir() if (match := _SEGMENT.fullmatch(path.name))]
        return sorted(found, key=lambda one: one[1].name)

    def segment(self, signal: str, number: int) -> Path:
        """The place of a signal's file."""
        return self.path / f"{signal}.{number:08d}.seg"

    def release(self) -> None:
        """Let another process have what is left in it."""
        self._lock.release()

    def discard(self) -> None:
        """Remove the folder, which is empty, and its lock."""
        # The name never comes again, so whoever gets hold of this lock in between finds nothing to send.
        with suppress(OSError):
            (self.path / _LOCK).unlink()
            self.path.rmdir()
        self.release()


def lives(folder: Path) -> list[Path]:
    """The folders of all lives, of the living and the dead, oldest first; removes what starts that were killed have left.

    Raises:
        OSError: the spool cannot be read.
    """
    found = []
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name):
            found.append(path)
        elif path.name.startswith(_UNNAMED) and _NAME.fullmatch(path.name.removeprefix(_UNNAMED)):
            _remove_stale(path)
    return sorted(found)


def usage(life: Path) -> Iterator[tuple[int, int]]:
    """The bytes and the last change, in nanoseconds since 1970, of each file that a living process has."""
    with suppress(OSError):
        for path in life.iterdir():
            if _SEGMENT.fullmatch(path.name):
                with suppress(OSError):
                    status = path.stat()
                    yield status.st_size, status.st_mtime_ns


def _remove_stale(path: Path) -> None:
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _STALE:
            (path / _LOCK).unlink(missing_ok=True)
            path.rmdir()
