"""Which robots did not answer lately. Kept in memory: the next process finds out anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dingtalk.answer import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dingtalk.answer import Answer
    from dingtalk.clock import Clock

SILENT_AFTER = 3
"""Calls in a row without an answer after which a robot counts as unreachable: then one message at a time finds out, and the rest waits."""
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class _Silence:
    calls: int = 0
    until: float = 0.0


class Reach:
    """Counts the calls without an answer, robot by robot.

    Args:
        robots: their names.
        clock: its monotonic half is used.
        scale: shortens the pauses.
    """

    def __init__(self, robots: Iterable[str], *, clock: Clock, scale: float = 1.0) -> None:
        self._silences = {robot: _Silence() for robot in robots}
        self._clock = clock
        self._scale = scale

    def note(self, robot: str, answer: Answer) -> None:
        """A call has ended: with words of DingTalk's, or without any. Each call without doubles the pause, up to a minute."""
        silence = self._silences[robot]
        if answer.outcome is not Outcome.RETRY or answer.code is not None:
            silence.calls, silence.until = 0, 0.0
            return
        silence.calls += 1
        if silence.calls >= SILENT_AFTER:
            pause = min(LONGEST_PAUSE, 2.0 ** min(silence.calls - SILENT_AFTER, 10))
            silence.until = self._clock.monotonic() + pause * self._scale

    def is_unreachable(self, robot: str) -> bool:
        """Whether it did not answer several times in a row."""
        return self._silences[robot].calls >= SILENT_AFTER

    def is_paused(self, robot: str) -> bool:
        """Whether it is not asked at this moment."""
        return self._clock.monotonic() < self._silences[robot].until
