"""How far a long command is: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from cli.duration import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE_INTERVAL = 10.0
BAR_INTERVAL = 0.1


class Progress(Protocol):
    """Told how far the work is; cheap enough to be told for every piece."""

    def update(self, done: float, note: Callable[[], str]) -> None:
        """Show that `done` of the total is done; `note` says more in a few words, and is asked only when it is shown."""
        ...


class LineProgress:
    """Writes one line every `interval` seconds, for logs and pipes."""

    def __init__(
        self, title: str, total: float, write: Callable[[str], object], *, monotonic: Callable[[], float], interval: float = LINE_INTERVAL
    ) -> None:
        self._title = title
        self._total = total
        self._write = write
        self._monotonic = monotonic
        self._interval = interval
        self._started = self._written = monotonic()

    def update(self, done: float, note: Callable[[], str]) -> None:
        """Write a line when the last one is old enough."""
        now = self._monotonic()
        if now - self._written >= self._interval:
            self._written = now
            share = done / self._total if self._total else 0.0
            self._write(f"{self._title}: {share:.0%} after {duration_text(now - self._started)}, {note()}\n")


class BarProgress:
    """Draws a bar that `show` moves, at most ten times a second."""

    def __init__(self, show: Callable[[float, str], object], *, monotonic: Callable[[], float]) -> None:
        self._show = show
        self._monotonic = monotonic
        self._shown = float("-inf")

    def update(self, done: float, note: Callable[[], str]) -> None:
        """Move the bar when it has stood still long enough."""
        now = self._monotonic()
        if now - self._shown >= BAR_INTERVAL:
            self._shown = now
            self._show(done, note())


@contextmanager
def open_progress(title: str, total: float, stream: TextIO, *, monotonic: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Show progress on `stream` for as long as the context is open."""
    if not stream.isatty():
        yield LineProgress(title, total, stream.write, monotonic=monotonic)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with RichProgress(*columns, console=Console(file=stream), transient=True) as bars:
        task = bars.add_task("", total=total)
        yield BarProgress(lambda done, note: bars.update(task, completed=done, description=note), monotonic=monotonic)
