"""Moments to come, as people write them: `now`, `22:00`, or RFC 3339."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime, timedelta

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def clock_time(text: str, *, now: datetime, after: datetime | None = None) -> datetime:
    """Read a moment.

    Args:
        text: `now`; a time of day, which is the next one of that time on the clocks of `now`; or a moment with a time zone.
        now: the present, with the time zone of times of day.
        after: a time of day is the next one after this; `now` when it is not given.

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()
    if text == "now":
        return now
    if (found := _TIME_OF_DAY.fullmatch(text)) is not None:
        earliest = (after or now).astimezone(now.tzinfo)
        moment = earliest.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
        return moment if moment > earliest else moment + timedelta(days=1)
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    raise ValueError(f"{text!r} is no moment; write now, a time such as 22:00, or one such as 2026-11-28T22:00:00+08:00")
