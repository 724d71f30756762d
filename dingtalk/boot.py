"""Ages that no clock setting can stretch: measured by the clock that only goes forward, over restarts of the process too."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One run of the machine: within it the monotonic clock tells the same time to every process.

    Attributes:
        id: differs after the machine was started again.
        since: a reading of the monotonic clock that is certainly not before this run began.
    """

    id: str
    since: float = 0.0

    def age(self, *, monotonic: float, boot_id: str, at: float) -> float:
        """At least so many seconds ago, by a reading that was taken in this run or in an earlier one, `boot_id`."""
        return max(0.0, monotonic - (at if boot_id == self.id else self.since))


def this_boot(monotonic: float, path: Path = _BOOT_ID) -> Boot:
    """The present run of the machine; where the kernel does not name it, a run that began with this process."""
    try:
        return Boot(id=path.read_text().strip())
    except OSError:
        return Boot(id=uuid.uuid4().hex, since=monotonic)
