"""Pure: where in time to look for a request of which only the id is known, most likely first."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NS = 1_000_000_000
HOUR = 3600 * _NS
_DAY = 24 * HOUR
# Clocks of other machines may be ahead of ours.
AHEAD = 600 * _NS
# A request id is made when the request arrives; a caller that makes its own does so not long before.
_BEFORE_ID, _AFTER_ID = 60 * _NS, HOUR


def time_slices(request_id: str, *, now_unix_ns: int, retention: float) -> Iterator[tuple[int, int]]:
    """Slices of time, each from its first nanosecond on and before its second: the id's own, then the newest first.

    Args:
        request_id: when it is a UUIDv7, it tells its own time.
        now_unix_ns: the wall clock.
        retention: seconds that are kept.
    """
    oldest, until = now_unix_ns - round(retention * _NS), now_unix_ns + AHEAD
    made = uuid7_unix_ns(request_id.partition(":")[0])
    if made is not None and oldest < made < until:
        yield max(made - _BEFORE_ID, oldest), min(made + _AFTER_ID, until)
    yield from newest_first(oldest, until)


def newest_first(since: int, until: int) -> Iterator[tuple[int, int]]:
    """An hour, then at most a day at a time: a query over all that is kept takes long, and what people look for is seldom old."""
    length = HOUR
    while until > since:
        start = max(until - length, since)
        yield start, until
        until, length = start, _DAY


def together(moments: Iterable[int], *, within: int) -> list[tuple[int, int]]:
    """The first and the last of the moments that are at most `within` from one to the next, oldest first."""
    spans: list[tuple[int, int]] = []
    for moment in sorted(moments):
        if spans and moment - spans[-1][1] <= within:
            spans[-1] = (spans[-1][0], moment)
        else:
            spans.append((moment, moment))
    return spans


def uuid7_unix_ns(text: str) -> int | None:
    """When a UUIDv7 was made; None of any other text."""
    try:
        made = uuid.UUID(text)
    except ValueError:
        return None
    return (made.int >> 80) * 1_000_000 if made.version == 7 else None
