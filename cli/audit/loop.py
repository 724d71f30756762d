"""The program `auditor` of the stack: runs a command again and again, `mgeo audit --record` as `mgeo up` has it.

Run by `python -m cli.audit.loop EVERY FIRST COMMAND...`, in seconds. A process of its own for each run: between two runs only
this one is there, which has imported hardly anything.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KILLED_WITHIN = 10.0
"""Seconds; what the kernel does not let go of by then is left to it."""
NICENESS = 10
"""An audit reads much and is in no hurry; who is answered meanwhile is."""


class Runs:
    """Runs a command now and then, until `end`, which a signal may call at any moment: nothing of it is left then.

    Args:
        command: the program and its arguments.
        start: starts a process.
    """

    def __init__(self, command: Sequence[str], *, start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen) -> None:
        self._command = command
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._busy = False
        self._ending = False

    def run(self, timeout: float) -> None:
        """Run it once; whatever it ends with is no reason to stop, since its exit code says what it found.

        Args:
            timeout: seconds after which it is killed.
        """
        self._busy = True
        try:
            # While this starts it, a signal cannot know whom to kill yet, and so only asks for it.
            self._process = self._start(self._command, stdin=subprocess.DEVNULL)
            if self._ending:
                self._process.kill()
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._kill()
            print(f"killed after {timeout:g} s, since the next run is due", flush=True)
        except OSError as error:
            print(f"{self._command[0]} cannot be run ({error.strerror})", flush=True)
        finally:
            self._process, self._busy = None, False
        if self._ending:
            raise SystemExit(0)

    def end(self, *_: object) -> None:
        """End what runs, and then the process; the record of an audit is written whole or not at all."""
        self._ending = True
        if self._process is not None:
            self._process.kill()
        elif not self._busy:
            raise SystemExit(0)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(KILLED_WITHIN)


def loop(
    runs: Runs,
    *,
    every: float,
    first: float,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> NoReturn:
    """Run `first` seconds from now, and then again `every` so many seconds from start to start.

    Args:
        runs: what is run, each time for at most `every` seconds.
        every: seconds from the start of one run to the next.
        first: seconds before the first.
        monotonic: a clock, in seconds.
        pause: waits so many seconds.
    """
    due = monotonic() + first
    while True:
        pause(max(due - monotonic(), 0.0))
        due = monotonic() + every
        runs.run(every)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run until SIGTERM."""
    every, first, *command = arguments
    runs = Runs(command)
    signal.signal(signal.SIGTERM, runs.end)
    os.nice(NICENESS)
    loop(runs, every=float(every), first=float(first))


if __name__ == "__main__":
    main(sys.argv[1:])
