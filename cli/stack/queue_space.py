"""Disk space set aside for the Collector's queues before it starts.

A queue that reads its next item writes down that it did; when the disk is full it cannot, and the Collector drops the item
(exporterhelper v0.155.0, `persistentQueue.getNextItem`). A queue that has its space beforehand is full when its own bound says
so, whatever else fills the disk: then it refuses, and the sender keeps what it has.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

from cli.stack.profile import Profile
from service.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUEUE_FILES = {
    Profile.LITE: (),
    Profile.FULL: ("exporter_otlp_http_prometheus_metrics", "exporter_otlp_http_loki_logs", "exporter_otlp_http_jaeger_traces"),
    Profile.AGENT: ("exporter_otlp_http_upstream_metrics", "exporter_otlp_http_upstream_logs", "exporter_otlp_http_upstream_traces"),
}
"""What the Collector calls its queues on disk, one for each exporter and signal of otel-collector/*.yaml."""

_KEEP_SIZE = 1
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def queue_space(queue_bytes: int) -> int:
    """Bytes of disk that a queue of so many bytes takes at most: its B+ tree has pages that are not full, and pages between."""
    return queue_bytes * 3 // 2 + 1_048_576


def allocate(descriptor: int, size: int) -> None:
    """Give a file its first `size` bytes of disk; its length stays what it is.

    Raises:
        OSError: there is not so much, or the file system cannot.
    """
    try:
        fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    except AttributeError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if fallocate(descriptor, _KEEP_SIZE, 0, size) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def missing_space(folder: Path, profile: Profile, queue_bytes: int) -> int:
    """Bytes that the queues of a profile do not yet have."""
    return sum(max(queue_space(queue_bytes) - _allocated(folder / name), 0) for name in QUEUE_FILES[profile])


def set_aside(folder: Path, profile: Profile, queue_bytes: int, *, allocate: Callable[[int, int], None] = allocate) -> str | None:
    """Give the queues of a profile their space; a warning when the file system of the folder cannot do that.

    Raises:
        StartupError: there is not so much space, or the folder cannot be written.
    """
    size = queue_space(queue_bytes)
    for name in QUEUE_FILES[profile]:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(folder / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                allocate(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return (
                    f"the file system of {folder} cannot set space aside: when that disk is full, what waits in the Collector's queues "
                    "may be lost; set MGEO_DATA_DIR to a local disk (ext4, XFS, Btrfs)"
                )
            raise StartupError(
                f"MGEO_COLLECTOR_QUEUE_BYTES = {queue_bytes}: the queues need {size * len(QUEUE_FILES[profile])} bytes in {folder}, set "
                f"aside beforehand ({error.strerror}); free some space, or lower it: beyond it the service's spool keeps what waits"
            ) from error
    return None


def _allocated(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
