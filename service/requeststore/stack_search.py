"""The search over recent inferences in Loki, newest first, page by page."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from service.errors import InvalidQuery
from service.requeststore.attempts import recorded_event
from service.requeststore.base import RequestPage
from service.requeststore.loki import place, quoted
from service.requeststore.rows import summary
from service.requeststore.time_slices import AHEAD, newest_first

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.requeststore.base import Search
    from service.requeststore.loki import LogRecord, LokiLogs

_NS = 1_000_000_000
_CURSOR = re.compile(r"s(\d{1,19})\.([0-9a-f]{16})\.([A-Za-z0-9._~-]{1,128}(?::[0-9]{1,9})?)")


async def find(loki: LokiLogs, search: Search, *, now_unix_ns: int, retention: float) -> RequestPage:
    """One page; of one nanosecond by their ids.

    Args:
        loki: where they are.
        search: what to look for.
        now_unix_ns: the wall clock.
        retention: seconds Loki keeps a record.

    Raises:
        InvalidQuery: the cursor was not made here.
        BackendFailed: Loki cannot tell.
    """
    after = None if search.cursor is None else _position(search.cursor)
    until = now_unix_ns + AHEAD
    since = max(now_unix_ns - round(retention * _NS), search.since_unix_ns or 0, 0)
    if search.until_unix_ns is not None:
        until = min(until, search.until_unix_ns)
    if after is not None:
        until = min(until, after[0] + 1)
    records = await _newest(loki, filters_of(search), (since, until), search.limit, after)
    page = records[: search.limit]
    events = [event for event in map(recorded_event, page) if event is not None]
    return RequestPage(
        requests=tuple(summary(event) for event in events), next_cursor=_cursor(page[-1]) if len(records) > search.limit else None
    )


async def _newest(
    loki: LokiLogs, filters: list[str], window: tuple[int, int], limit: int, after: tuple[int, str, str] | None
) -> list[LogRecord]:
    """More than `limit` records that stand behind `after`, as far as there are so many; newest first."""
    found: list[LogRecord] = []
    try:
        async with asyncio.timeout(loki.timeout):
            for since, until in newest_first(*window):
                async for record in _backward(loki, filters, (since, until), limit):
                    if after is None or place(record) < after:
                        found.append(record)
                    if len(found) > limit:
                        return found
    except TimeoutError as error:
        raise loki.too_slow() from error
    return found


async def _backward(loki: LokiLogs, filters: list[str], window: tuple[int, int], limit: int) -> AsyncIterator[LogRecord]:
    """All records of a window, newest first, a little more than `limit` at a time."""
    since, until = window
    while since < until:
        records = await loki.inferences(filters, since_unix_ns=since, until_unix_ns=until, limit=limit + 1)
        cut = len(records) > limit
        # The oldest nanosecond may have been cut in two: it is read again, whole.
        until = records[-1].unix_ns if cut else since
        for record in records:
            if not cut or record.unix_ns > until:
                yield record
        if cut:
            for record in await loki.inferences(filters, since_unix_ns=until, until_unix_ns=until + 1):
                yield record


def filters_of(search: Search) -> list[str]:
    """The conditions of a search in LogQL."""
    filters = [f"{name}={quoted(value)}" for name, value in (("status", search.status), ("label", search.label)) if value is not None]
    if search.min_latency is not None:
        # A microsecond is the finest that a record tells.
        filters.append(f"latency_ms>={search.min_latency * 1000:.3f}")
    filters += [f"address1_hash={quoted(digest)} or address2_hash={quoted(digest)}" for digest in search.address_hashes]
    return filters


def is_cursor(cursor: str) -> bool:
    """Whether a cursor was made here."""
    return _CURSOR.fullmatch(cursor) is not None


def _cursor(record: LogRecord) -> str:
    return f"s{record.unix_ns}.{record.fields['span_id']}.{record.fields['request_id']}"


def _position(cursor: str) -> tuple[int, str, str]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidQuery("cursor", "This cursor was not given out by this service; begin again without one.")
    return int(match[1]), match[3], match[2]
