"""Pure: how many messages a robot may send now, by a log of its sends that slides.

DingTalk silences a robot for ten minutes after its 21st message in a minute, and does not say whether its minute slides. A log that
slides is right for both kinds. The last few of a minute are kept for critical alerts and spaced evenly, so that one of them is never
more than `window / reserve` away, however many came before: a burst cannot use them up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 60.0
"""Seconds in which DingTalk counts."""
BAN = 600.0
"""Seconds for which DingTalk silences a robot that sent too much."""
MEMORY = 2 * WINDOW
"""How far back the log must reach: which sends of the last minute were of the reserve follows from the minute before them."""
_MARGIN = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What one robot may send: `per_minute` in any `window` seconds, of which `reserve` are for critical alerts."""

    per_minute: int
    reserve: int
    window: float = WINDOW


def used(limit: Limit, ages: Sequence[float]) -> int:
    """Sends that count now.

    Args:
        limit: of the robot.
        ages: seconds since each send, at least; one that is under way has the age 0.
    """
    return sum(1 for age in ages if age <= limit.window)


def room(limit: Limit, ages: Sequence[float], *, critical: bool) -> int:
    """How many may be sent at this moment."""
    ordinary = max(0, limit.per_minute - limit.reserve - used(limit, ages))
    if not critical or limit.reserve == 0:
        return ordinary
    spaced = all(age >= limit.window / limit.reserve for age in _of_reserve(limit, ages))
    return ordinary + (1 if spaced and used(limit, ages) < limit.per_minute else 0)


def wait(limit: Limit, ages: Sequence[float], *, critical: bool) -> float:
    """Seconds until at least one may be sent when nothing else is sent meanwhile; 0 when one may be sent now."""
    if room(limit, ages, critical=critical):
        return 0.0
    spacing = limit.window / limit.reserve if critical and limit.reserve else 0.0
    changes = {end - age + _MARGIN for age in ages for end in (limit.window, spacing) if age <= end}
    for delay in sorted(changes):
        if room(limit, [age + delay for age in ages], critical=critical):
            return delay
    return limit.window


def _of_reserve(limit: Limit, ages: Sequence[float]) -> list[float]:
    """Ages of the sends that took from the reserve: when they were made, all else of their minute was used."""
    oldest_first = sorted(ages, reverse=True)
    return [
        age
        for index, age in enumerate(oldest_first)
        if sum(1 for earlier in oldest_first[:index] if earlier - age <= limit.window) >= limit.per_minute - limit.reserve
    ]
