"""Pure: the monthly quota of an organisation, what will be used of it, and what is given up so that it lasts.

DingTalk counts calls a calendar month (3,000 in the standard edition). A storm at full rate would use them in three hours, and then
nothing is told until the next month. So less is sent, in steps, while there is still something to save.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

DAY = 86_400.0
TREND = 3 * DAY
"""The days whose average goes on until the end of the month: one storm shall not decide the month, a bad week shall."""


class Degradation(IntEnum):
    """What is given up."""

    NONE = 0
    NO_REPEATS = 1
    """What was told already is not told again."""
    DIGESTS = 2
    """What is not critical is gathered and told together."""
    CRITICAL_ONLY = 3
    """What is not critical waits, or goes to the fallback channels."""


NO_REPEATS_AT = 0.8
"""Of the quota, by forecast: repeats are the cheapest to give up, so that goes before the forecast is over."""
DIGESTS_AT = 1.0
"""Of the quota, by forecast: from here on it would not last."""
CRITICAL_ONLY_AT = 0.95
"""Of the quota, used: the rest, 150 calls of the standard edition, belongs to critical alerts."""
HYSTERESIS = 0.1
"""A step is left when its measure is so far below its threshold, so that it does not come and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One organisation in one month; all in calls."""

    limit: int
    used: int
    forecast: float
    step: Degradation = Degradation.NONE


def month(now: float, zone: tzinfo) -> tuple[float, float]:
    """First and last moment of the calendar month, in seconds since 1970."""
    first = datetime.fromtimestamp(now, zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.timestamp(), following.timestamp()


def forecast(*, used: int, recent: int, now: float, end: float) -> float:
    """Calls at the end of the month if it goes on as in the last three days.

    Args:
        used: calls this month.
        recent: calls in the last `TREND` seconds, also of the month before.
        now: seconds since 1970.
        end: of the month.
    """
    return used + recent / TREND * max(0.0, end - now)


def degradation(*, used: int, expected: float, limit: int, before: Degradation) -> Degradation:
    """The step that holds now. A higher one is taken at once; a lower one when its measure fell clearly below."""
    measures = {
        Degradation.CRITICAL_ONLY: (used / limit, CRITICAL_ONLY_AT),
        Degradation.DIGESTS: (expected / limit, DIGESTS_AT),
        Degradation.NO_REPEATS: (expected / limit, NO_REPEATS_AT),
    }
    for step, (measure, threshold) in measures.items():
        if measure >= threshold - (HYSTERESIS if before >= step else 0.0):
            return step
    return Degradation.NONE
