"""A lock that is a file: one living process holds it, and it is free again however that process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import weakref
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """An exclusive `flock` on an open file; made by `take`.

    The kernel releases it when the process ends, by kill -9 too. A program started by exec does not inherit it, and a
    forked child lets go of its copy at once, so that the lock lives exactly as long as the process that took it.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._mutex = threading.Lock()
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forget(itself()))

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take the lock without waiting; None when another holder lives. Makes the file, mode 0600, but not its folder.

        Raises:
            OSError: the file cannot be made, or the file system has no locks.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def release(self) -> None:
        """Let go. The file stays: to remove it would let two processes lock two files of one name. Safe to call again."""
        with self._mutex:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        """A lock that nobody refers to any more is released."""
        self.release()


def _forget(lock: FileLock | None) -> None:
    # Closing a copy of the descriptor does not unlock it for the parent. The mutex may have been held at the fork by a
    # thread that does not exist here, so it is not taken.
    if lock is not None and lock._descriptor is not None:  # noqa: SLF001 -- the same module
        with contextlib.suppress(OSError):
            os.close(lock._descriptor)  # noqa: SLF001
        lock._descriptor = None  # noqa: SLF001
