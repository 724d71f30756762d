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

NICENESS = 10
"""An audit reads much and is in no hurry; who is answered meanwhile is."""


def loop(
    command: Sequence[str],
    *,
    every: float,
    first: float,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> NoReturn:
    """Run the command `first` seconds from now, and then again `every` so many seconds from start to start.

    Whatever it ends with is no reason to stop: its exit code says what it found. A run that takes longer than `every` is killed.

    Args:
        command: the program and its arguments.
        every: seconds from the start of one run to the next.
        first: seconds before the first.
        monotonic: a clock, in seconds.
        pause: waits so many seconds.
    """
    due = monotonic() + first
    while True:
        pause(max(due - monotonic(), 0.0))
        due = monotonic() + every
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, timeout=every, check=False)  # noqa: S603 -- what `mgeo up` planned
        except subprocess.TimeoutExpired:
            print(f"killed after {every:g} s, since the next run is due", flush=True)
        except OSError as error:
            print(f"{command[0]} cannot be run ({error.strerror})", flush=True)


def _end(*_: object) -> NoReturn:
    # Through the run that is under way, which is killed by this; its record is written whole or not at all.
    raise SystemExit(0)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run until SIGTERM."""
    every, first, *command = arguments
    signal.signal(signal.SIGTERM, _end)
    os.nice(NICENESS)
    loop(command, every=float(every), first=float(first))


if __name__ == "__main__":
    main(sys.argv[1:])
