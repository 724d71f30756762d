"""The processes of a stack, found by the mark in their environment: also those whose supervisor is gone."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.launch import PROGRAM_VARIABLE

if TYPE_CHECKING:
    import signal

MARK = "MGEO_STACK"
SUPERVISOR = "supervisord"
PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedProcess:
    """A living process of the stack; `program` is empty when it has not become one yet."""

    pid: int
    program: str

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def marked_processes(run: Path, proc: Path = PROC) -> list[MarkedProcess]:
    """All processes of this user that belong to the stack of a run folder, but this one."""
    return [process for process in _candidates(os.fsencode(f"{MARK}={run}"), proc) if process.pid != os.getpid()]


def _candidates(mark: bytes, proc: Path) -> list[MarkedProcess]:
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            if folder.stat().st_uid != os.geteuid():
                continue
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile, or hides
            continue
        if mark in variables:
            name = next((os.fsdecode(value) for value in variables if value.startswith(f"{PROGRAM_VARIABLE}=".encode())), "")
            found.append(MarkedProcess(pid=int(folder.name), program=name.partition("=")[2]))
    return found


def memory_bytes(pid: int, proc: Path = PROC) -> int | None:
    """Resident memory of a process and of those in its group; None when it is not there."""
    total = None
    for folder in proc.glob("[0-9]*"):
        try:
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
            if group == pid:
                pages = int((folder / "statm").read_text().split()[1])
                total = (total or 0) + pages * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            continue
    return total
