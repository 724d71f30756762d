"""The faults that `mgeo drill` asks for, in one file of the data folder, so that the alerts about them can be seen to work.

A service looks at it only where `MGEO_DRILLS` is `on`. Each fault has an end, so that a drill that is killed leaves none behind.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "drill.json"
LONGEST = 7200.0
"""Seconds that a fault may last; one that claims more is none, and so is one that a wrong clock wrote."""
_FARTHEST = 1e11
"""Seconds since 1970 that are a moment; larger numbers are too large for some arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What shall go wrong.

    Attributes:
        slow_seconds: each run of the model takes so much longer.
        fail_every: each so-many-th run of the model fails; 0: none.
        stuck: not empty: one run of the model does not end while this word stands here, and only one for each word.
        disk_used_ratio: how full the data folder's disk is said to be; None: as it is.
    """

    slow_seconds: float = 0.0
    fail_every: int = 0
    stuck: str = ""
    disk_used_ratio: float | None = None


NONE = Faults()


class FaultFile:
    """The file; reading it costs a `stat` while it does not change.

    Args:
        path: where it may be.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._faults = NONE
        self._until = 0.0

    def read(self) -> Faults:
        """What shall go wrong now; nothing when there is no file, its end is over, or it cannot be understood."""
        try:
            there = os.stat(self._path)  # noqa: PTH116 -- pathlib's takes twice as long, and this stands on the model's thread
        except OSError:
            self._seen = None
            return NONE
        seen = there.st_mtime_ns, there.st_size, there.st_ino
        if seen != self._seen:
            self._seen = seen
            self._faults, self._until = _understood(self._path)
        return self._faults if 0 < self._until - self._clock() <= LONGEST else NONE

    def write(self, faults: Faults, *, seconds: float) -> None:
        """Have faults from now on, whole or not at all; those of before end.

        Args:
            faults: which.
            seconds: until they end by themselves; at most `LONGEST`.

        Raises:
            OSError: the file cannot be written.
        """
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.write_text(json.dumps({**asdict(faults), "until": self._clock() + min(seconds, LONGEST)}), encoding="utf-8")
        fresh.replace(self._path)

    def clear(self) -> None:
        """End all faults.

        Raises:
            OSError: the file cannot be removed.
        """
        self._path.unlink(missing_ok=True)


def _understood(path: Path) -> tuple[Faults, float]:
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        until = members.pop("until")
        faults = Faults(**members)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return NONE, 0.0
    # A file that somebody wrote by hand may have a word where a number belongs, which the model's thread would stumble over.
    sound = (
        _within(faults.slow_seconds, LONGEST)
        and _within(0.0 if faults.disk_used_ratio is None else faults.disk_used_ratio, 1.0)
        and _within(until, _FARTHEST)
        and type(faults.fail_every) is int
        and faults.fail_every >= 0
        and isinstance(faults.stuck, str)
    )
    return (faults, until) if sound else (NONE, 0.0)


def _within(number: object, most: float) -> bool:
    return type(number) in (int, float) and 0 <= number <= most  # type: ignore[operator]  # it is one of the two
