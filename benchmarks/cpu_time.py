"""The CPU time another process has used, whole and of its main thread, to the nanosecond."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_NS = 1_000_000_000
# The clock of all threads of a process together, those that have ended included: see clock_getcpuclockid(3). /proc/<pid>/stat
# has the same time, but in steps of 10 ms.
_SCHEDULED = 2


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds of CPU, user and system, since the start of a process: of all threads, and of the main one."""

    process: float
    main_thread: float

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        """What was used since an earlier reading."""
        return CpuTime(self.process - earlier.process, self.main_thread - earlier.main_thread)


def read_cpu_time(pid: int, proc: Path = Path("/proc")) -> CpuTime:
    """Read both times of a running process; Linux only.

    Raises:
        OSError: there is no such process.
    """
    return CpuTime(process=time.clock_gettime((~pid << 3) | _SCHEDULED), main_thread=main_thread_seconds(pid, proc))


def main_thread_seconds(pid: int, proc: Path = Path("/proc")) -> float:
    """Seconds the main thread has been on a CPU, by the scheduler's own account.

    Raises:
        OSError: there is no such process.
    """
    return int((proc / str(pid) / "task" / str(pid) / "schedstat").read_text().split()[0]) / _NS
