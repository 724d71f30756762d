"""Pure: which boxes have gone silent, which are back, and when a group has to hear of it.

Durations are taken from the clock that only goes forward, so that a wall clock that is set raises no alarm; moments that people
read come from the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SILENT_AFTER = 300.0
REMIND_EVERY = 14_400.0


class Word(StrEnum):
    """What there is to say of a box."""

    SILENT = "silent"
    STILL_SILENT = "still silent"
    BACK = "back"


class BoxState(StrEnum):
    """How a box is."""

    OK = "ok"
    UNHEARD = "unheard"
    """No heartbeat ever came, and it is not silent yet."""
    SILENT = "silent"
    MAINTENANCE = "maintenance"
    CLOCK_WRONG = "clock_wrong"
    """Heartbeats come that are refused because its clock, or the watcher's, is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """Something a group has to hear.

    Attributes:
        since: seconds since 1970 of the last heartbeat before the silence; None when there never was one.
        at: when it is said.
    """

    box: str
    word: Word
    since: float | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What is known of a box; kept over restarts of the watcher.

    Attributes:
        last_unix: seconds since 1970 of its last heartbeat; None before the first.
        silent: a group was told that it is silent.
        quiet_until: seconds since 1970 up to which nothing is said.
        quiet_from: since when; None for always.
    """

    name: str
    last_unix: float | None = None
    silent: bool = False
    quiet_until: float | None = None
    quiet_from: float | None = None

    def quiet(self, unix: float) -> bool:
        """Whether nothing is said of it at a moment."""
        return self.quiet_until is not None and (self.quiet_from or 0.0) <= unix < self.quiet_until

    def state(self, unix: float, *, clock_wrong: bool = False) -> BoxState:
        """How it is at a moment; `clock_wrong` when heartbeats of another time came since the last good one."""
        if clock_wrong:
            return BoxState.CLOCK_WRONG
        if self.silent:
            return BoxState.SILENT
        if self.quiet(unix):
            return BoxState.MAINTENANCE
        return BoxState.UNHEARD if self.last_unix is None else BoxState.OK


class Vigil:
    """Watches over boxes.

    Args:
        boxes: as they were kept.
        monotonic: the present, by the clock that only goes forward: a box may be silent so long from here on.
        silent_after: seconds without a heartbeat that are a silence.
        remind_every: seconds after which a lasting silence is said again.
    """

    def __init__(
        self, boxes: Iterable[Box], *, monotonic: float, silent_after: float = SILENT_AFTER, remind_every: float = REMIND_EVERY
    ) -> None:
        self._boxes = {box.name: box for box in boxes}
        # A watcher that was away heard nobody: each box gets its time anew, and one known to be silent its reminder.
        self._heard = dict.fromkeys(self._boxes, monotonic)
        self._said = dict.fromkeys(self._boxes, monotonic)
        self._silent_after = silent_after
        self._remind_every = remind_every

    @property
    def boxes(self) -> list[Box]:
        """What is to be kept."""
        return list(self._boxes.values())

    def heard(
        self, name: str, *, unix: float, monotonic: float, quiet_until: float | None = None, quiet_from: float | None = None
    ) -> list[Saying]:
        """Take a heartbeat; says that the box is back when it was silent."""
        box = self._boxes[name]
        self._heard[name] = monotonic
        self._boxes[name] = replace(box, last_unix=unix, silent=False, quiet_until=quiet_until, quiet_from=quiet_from)
        return [Saying(box=name, word=Word.BACK, since=box.last_unix, at=unix)] if box.silent else []

    def box(self, name: str) -> Box:
        """What is known of one."""
        return self._boxes[name]

    def look(self, *, unix: float, monotonic: float) -> list[Saying]:
        """What there is to say now; each silence once, and again after `remind_every`."""
        return [saying for box in self.boxes if (saying := self._judge(box, unix, monotonic)) is not None]

    def _judge(self, box: Box, unix: float, monotonic: float) -> Saying | None:
        if box.quiet_until is not None:
            if box.quiet(unix):
                return None
            if unix >= box.quiet_until:
                # It has as long after a maintenance as after a heartbeat.
                self._boxes[box.name] = box = replace(box, quiet_until=None, quiet_from=None)
                self._heard[box.name] = max(self._heard[box.name], monotonic)
        if monotonic - self._heard[box.name] < self._silent_after:
            return None
        if box.silent and monotonic - self._said[box.name] < self._remind_every:
            return None
        self._said[box.name] = monotonic
        self._boxes[box.name] = replace(box, silent=True)
        return Saying(box=box.name, word=Word.STILL_SILENT if box.silent else Word.SILENT, since=box.last_unix, at=unix)
