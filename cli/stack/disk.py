"""Whether the disk can hold what the stack may keep, before it keeps anything. Pure but for the look at the disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.stack.profile import Profile
from cli.stack.queue_space import QUEUE_FILES, queue_space
from service.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.settings import Settings

_MIB = 1_048_576
_GIB = 1_073_741_824
FLOORS = {Profile.LITE: 256 * _MIB, Profile.AGENT: 256 * _MIB, Profile.FULL: _GIB}
"""Bytes below which a profile does not start: less, and the first busy hour may fill the disk."""
REQUESTS_A_DAY = 86_400
"""For the estimate: one a second."""
TRACE_BYTES = 2_000
LOG_BYTES = 1_000
METRIC_BYTES_A_DAY = 20 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskNeed:
    """What may lie on the disk.

    Attributes:
        bounded: the most that the service's own files and all queues may take, in bytes; a promise.
        retained: what the stores keep at one request a second, in bytes; an estimate.
    """

    bounded: int
    retained: int

    @property
    def total(self) -> int:
        """Both, in bytes."""
        return self.bounded + self.retained


def disk_need(profile: Profile, settings: Settings) -> DiskNeed:
    """What a profile may keep."""
    bounded = settings.log_max_bytes + settings.store_max_bytes
    if profile is not Profile.LITE:
        bounded += settings.spool_max_bytes + len(QUEUE_FILES[profile]) * queue_space(settings.collector_queue_bytes)
    retained = 0
    if profile is not Profile.AGENT:
        retained += settings.prometheus_retention_days * METRIC_BYTES_A_DAY
    if profile is Profile.FULL:
        retained += settings.loki_retention_days * REQUESTS_A_DAY * LOG_BYTES
        retained += settings.jaeger_retention_days * REQUESTS_A_DAY * TRACE_BYTES
    return DiskNeed(bounded=bounded, retained=retained)


def check_disk(
    profile: Profile,
    settings: Settings,
    folder: Path,
    *,
    aside: int = 0,
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> str | None:
    """A warning when the stack could outgrow the disk; None when it cannot.

    Args:
        profile: what is to run.
        settings: with its bounds.
        folder: the data folder.
        aside: bytes that are about to be set aside for the queues.
        free_bytes: how much there is.

    Raises:
        StartupError: there is hardly any space now.
    """
    free, need, least = free_bytes(folder), disk_need(profile, settings), FLOORS[profile] + aside
    if free < least:
        raise StartupError(
            f"MGEO_DATA_DIR = {folder}: {size_text(free)} free there, and --profile {profile} needs {size_text(least)} to begin with"
            f"{f', {size_text(aside)} of it set aside for queues' if aside else ''}; free some space, set MGEO_DATA_DIR to a larger disk"
            f"{', or lower MGEO_COLLECTOR_QUEUE_BYTES' if aside else ''}"
        )
    if free < need.total:
        return (
            f"{size_text(free)} free in {folder}, but logs, embedded store, spool and queues may grow to {size_text(need.bounded)} and the "
            f"stores to about {size_text(need.retained)} at one request a second; lower MGEO_COLLECTOR_QUEUE_BYTES, MGEO_STORE_MAX_BYTES, "
            "MGEO_LOG_MAX_BYTES or the MGEO_..._RETENTION_DAYS"
        )
    return None


def size_text(count: int) -> str:
    """Bytes in the unit a reader would choose: `512 MiB`, `1.5 GiB`."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"
