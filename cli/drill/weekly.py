"""The program `driller` of the stack: once a week it has a stack of the drill's own brought up, drilled, ended and removed.

Run by `python -m cli.drill.weekly DATA_DIR DAY HOUR`, where Monday is 1. The drills are a process of their own: between two runs
only this one is there, which has imported hardly anything.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.layout import Layout
from cli.stack.marked import SUPERVISOR, marked_processes
from service.errors import StartupError
from service.file_lock import FileLock
from service.surroundings.drill_record import DrillRecord, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK = 30.0
"""Seconds between two looks at the wall clock: waiting for a moment would miss that the box slept, or that the clock was set."""
POLL = 0.5
RUN_WITHIN = 7200.0
"""Seconds; the drills take twenty minutes, and before the first ones programs may have to be built."""
ENDS_WITHIN = 100.0
"""Seconds in which drills that are told to end take their stack down; less than the grace that `mgeo up` gives this process."""
KILLED_WITHIN = 10.0
NICENESS = 10
"""They make much traffic and are in no hurry; who is answered meanwhile is."""
WEEK = timedelta(days=7)
LAST_SECOND = 86_399
"""Of a day."""
SET_BACK = timedelta(days=8)
"""A moment so far ahead is one of a clock that was wrong. A day more than a week: summer time ends within it."""
NOT_HELD = "weekly"
"""What failed when there was not even an outcome."""


def next_due(now: datetime, day: int, hour: float) -> datetime:
    """The first moment after `now` at which a clock on the wall shows that day and hour.

    Args:
        now: as the clock on the wall shows it, without a zone.
        day: of the week; 1 is Monday.
        hour: of that day, below 24.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    due = midnight + timedelta(days=(day - now.isoweekday()) % 7, seconds=min(round(hour * 3600), LAST_SECOND))
    return due if due > now else due + WEEK


class Schedule:
    """When it is time: once a week, as the clock on the wall has it, whatever happens to that clock.

    An hour that summer time leaves out is due when it is over, one that comes twice is due once; so is one that the box slept through,
    when it is awake. Nothing is due at the start.

    Args:
        now: as the clock on the wall shows it, without a zone.
        day: of the week; 1 is Monday.
        hour: of that day.
    """

    def __init__(self, now: datetime, day: int, hour: float) -> None:
        self._day = day
        self._hour = hour
        self.due = next_due(now, day, hour)

    def is_due(self, now: datetime) -> bool:
        """Whether it is time; says so once."""
        due = now >= self.due
        if due or self.due - now > SET_BACK:
            self.due = next_due(now, self._day, self._hour)
        return due


class Stop:
    """Whether a signal has asked for the end; a wait for it ends with the signal. Its handler may be called at any moment."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def __call__(self, *_: object) -> None:
        """Take a signal; the handler."""
        with suppress(BlockingIOError):
            os.write(self._write, b"!")

    def within(self, seconds: float) -> bool:
        """Wait for a signal; whether one has come."""
        return bool(select.select([self._read], [], [], seconds)[0])


class Drilling:
    """Has the drills run, and leaves nothing of them behind.

    Args:
        data_dir: the data folder of the stack beside which they run, absolute.
        command: the program and its arguments.
        stopped: waits so many seconds for a signal, and says whether one has come.
    """

    def __init__(self, data_dir: Path, command: Sequence[str], *, stopped: Callable[[float], bool]) -> None:
        self._data_dir = data_dir
        self._command = command
        self._stopped = stopped

    def run(self, within: float = RUN_WITHIN) -> None:
        """Run them once. Whatever they end with is no reason to stop, since the record says what came of them.

        Args:
            within: seconds after which they are ended.
        """
        before = read_record(self._data_dir)
        if self._ran(within) and read_record(self._data_dir) == before:
            print("the drills left no outcome; that counts as one that failed", flush=True)
            try:
                write_record(self._data_dir, DrillRecord(passed=0, failed=(NOT_HELD,), ended_unix_ns=time.time_ns()))
            except StartupError as error:
                print(error, flush=True)

    def _ran(self, within: float) -> bool:
        """Whether they had their time; False when a signal cut it short."""
        try:
            process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)  # noqa: S603 -- this very program
        except OSError as error:
            print(f"{self._command[0]} cannot be run ({error.strerror})", flush=True)
            return True
        deadline = time.monotonic() + within
        while process.poll() is None:
            if self._stopped(POLL):
                self._end(process)
                return False
            if time.monotonic() >= deadline:
                print(f"the drills are ended after {within:g} s", flush=True)
                self._end(process)
        self._sweep()
        return True

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN)
        if process.poll() is None:
            print(f"the drills did not end within {ENDS_WITHIN:g} s, and were killed", flush=True)
            process.kill()
            process.wait()
        self._sweep()

    def _sweep(self) -> None:
        """End what drills that were killed have left: at once, for nobody misses what it kept."""
        layout = Layout(self._data_dir)
        own = layout.drilled
        try:
            lock = FileLock.take(layout.drilled_lock)
        except OSError:
            return
        if lock is None:
            # Somebody drills by hand.
            return
        deadline = time.monotonic() + KILLED_WITHIN
        while (left := marked_processes(own.run)) and time.monotonic() < deadline:
            # supervisord first, or it starts again what ends.
            for process in sorted(left, key=lambda process: process.program != SUPERVISOR):
                process.signal(signal.SIGKILL)
            time.sleep(POLL / 10)
        own.control_socket().unlink(missing_ok=True)
        shutil.rmtree(own.data_dir, ignore_errors=True)
        lock.release()


def weekly(schedule: Schedule, drilling: Drilling, *, now: Callable[[], datetime], stopped: Callable[[float], bool]) -> None:
    """Have drills run whenever it is time, until a signal comes."""
    while not stopped(LOOK):
        if schedule.is_due(now()):
            print(f"drills begin; the next ones: {schedule.due:%Y-%m-%d %H:%M}", flush=True)
            drilling.run()


def on_the_wall() -> datetime:
    """What this machine's clock on the wall shows."""
    return datetime.now().astimezone().replace(tzinfo=None)


def command(data_dir: Path) -> tuple[str, ...]:
    """All drills, on a stack of their own, with a report and a record."""
    mgeo = (sys.executable, "-P", "-m", "cli.main")
    return (*mgeo, "drill", "all", "--apart", "--record", f"--report={data_dir / 'drills'}", f"--data-dir={data_dir}")


def main(arguments: Sequence[str]) -> None:
    """Run until SIGTERM."""
    folder, day, hour = arguments
    data_dir, stop = Path(folder), Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    os.nice(NICENESS)
    schedule = Schedule(on_the_wall(), int(day), float(hour))
    print(f"the next drills: {schedule.due:%Y-%m-%d %H:%M}", flush=True)
    weekly(schedule, Drilling(data_dir, command(data_dir), stopped=stop.within), now=on_the_wall, stopped=stop.within)


if __name__ == "__main__":
    main(sys.argv[1:])
