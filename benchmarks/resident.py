"""How much memory another process has, now and at most so far."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FIELD = re.compile(r"^(VmRSS|VmHWM):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Resident:
    """Bytes that are resident, and the most that ever were."""

    now: int
    peak: int


def read_resident(pid: int, proc: Path = Path("/proc")) -> Resident:
    """Read both of a running process; Linux only.

    Raises:
        OSError: there is no such process.
        KeyError: it has no memory any more: it has ended, and nobody has waited for it.
    """
    found = {name: int(kilobytes) * 1024 for name, kilobytes in _FIELD.findall((proc / str(pid) / "status").read_text())}
    return Resident(now=found["VmRSS"], peak=found["VmHWM"])
