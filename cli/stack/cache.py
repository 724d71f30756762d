"""The folder of downloaded, unpacked and built programs: each entry appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from service.errors import ProgramUnavailable
from service.file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT = 3600.0
POLL_INTERVAL = 0.2


class ProgramCache:
    """Entries are folders, `KIND/ENTRY`, with executables in them. Processes that want the same entry make it once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, kind: str, entry: str) -> Path | None:
        """The entry, when it is complete."""
        path = self.folder / kind / entry
        return path if path.is_dir() else None

    def matching(self, kind: str, pattern: str) -> Path | None:
        """A complete entry whose name matches a glob pattern, the last by name."""
        found = sorted(path for path in (self.folder / kind).glob(pattern) if path.is_dir() and not path.name.endswith(_WORK))
        return found[-1] if found else None

    def make(self, kind: str, entry: str, fill: Callable[[Path], None], *, say: Callable[[str], None], wait: float = WAIT) -> Path:
        """The entry; made by `fill`, which is given an empty folder, unless it is there or another process makes it meanwhile.

        What `fill` raises leaves no entry behind.

        Raises:
            ProgramUnavailable: the cache cannot be written, or another process holds the entry for longer than `wait` seconds.
        """
        final = self.folder / kind / entry
        work = final.with_name(entry + _WORK)
        with self._locked(final, say, wait):
            if final.is_dir():
                return final
            shutil.rmtree(work, ignore_errors=True)
            with self._writable():
                work.mkdir()
            try:
                fill(work)
                with self._writable():
                    work.rename(final)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return final

    def prune(self, wanted: set[Path]) -> list[Path]:
        """Remove every entry but the wanted ones, and those that a process is making now; returns what was removed."""
        removed = []
        for path in sorted(self.folder.glob("*/*")):
            if not path.is_dir() or path in wanted:
                continue
            lock = FileLock.take(_lock_of(path.with_name(path.name.removesuffix(_WORK))))
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                lock.release()
                removed.append(path)
        return removed

    @contextlib.contextmanager
    def _locked(self, final: Path, say: Callable[[str], None], wait: float) -> Iterator[None]:
        with self._writable():
            final.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock.take(_lock_of(final))
        end = time.monotonic() + wait
        if lock is None:
            say(f"another process is making {final.name}; waiting for it")
        while lock is None:
            if time.monotonic() >= end:
                raise ProgramUnavailable(f"{final} has been made by another process for {wait:.0f} s; end that process and try again")
            time.sleep(POLL_INTERVAL)
            lock = FileLock.take(_lock_of(final))
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ProgramUnavailable(
                f"MGEO_STACK_CACHE: {self.folder} cannot be written ({error.strerror or error}); set it to a folder that can"
            ) from error


_WORK = ".work"


def _lock_of(entry: Path) -> Path:
    return entry.with_name(entry.name + ".lock")


def executable(path: Path) -> bool:
    """Whether a path is a file that this user may run."""
    return path.is_file() and os.access(path, os.X_OK)
