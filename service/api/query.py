"""From the query string of `GET /v1/requests` to a search. Pure."""

from __future__ import annotations

import difflib
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from service.errors import InvalidQuery, Outcome
from service.model.base import Label
from service.requeststore.base import MAX_PAGE, Search

if TYPE_CHECKING:
    from collections.abc import Iterable

PARAMETERS = ("status", "since", "until", "min_latency_ms", "label", "limit", "cursor", "everywhere")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_UNIX_NS = (1 << 63) - 1
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_ZONE_AFTER_BLANK = re.compile(r" (?=\d\d:?\d\d$)")


def parse_search(parameters: Iterable[tuple[str, str]]) -> Search:
    """Understand the query's parameters; an empty one counts as absent, as HTML forms send it.

    Raises:
        InvalidQuery: one is unknown, repeated, or has a value it cannot have; names it and says what it can be.
    """
    given: dict[str, str] = {}
    for name, value in parameters:
        if name not in PARAMETERS:
            raise InvalidQuery(name[:64], _unknown(name))
        if name in given:
            raise InvalidQuery(name, f"{name} is given more than once.")
        given[name] = value.strip()
    present = {name: value for name, value in given.items() if value}
    since, until = (_moment(name, present[name]) if name in present else None for name in ("since", "until"))
    if since is not None and until is not None and since > until:
        raise InvalidQuery("until", "until is before since.")
    return Search(
        status=_status(present["status"]) if "status" in present else None,
        label=_label(present["label"]) if "label" in present else None,
        since_unix_ns=since,
        until_unix_ns=until,
        min_latency=_milliseconds(present["min_latency_ms"]) if "min_latency_ms" in present else None,
        limit=parse_limit(present["limit"]) if "limit" in present else 50,
        cursor=present.get("cursor"),
        everywhere=parse_everywhere(present.get("everywhere", False)),
    )


def parse_limit(value: object) -> int:
    """The size of a page, from a query or a body.

    Raises:
        InvalidQuery: it is no whole number from 1 to `MAX_PAGE`.
    """
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell 10.0 from 10
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_PAGE:
        raise InvalidQuery("limit", f"limit is a whole number from 1 to {MAX_PAGE}.")
    return value


def parse_everywhere(value: object) -> bool:
    """Whether the search is of all boxes, from a query or a body.

    Raises:
        InvalidQuery: it is neither true nor false.
    """
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value)
    if not isinstance(value, bool):
        raise InvalidQuery("everywhere", "everywhere is true or false.")
    return value


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name[:64], PARAMETERS, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"There is no such parameter; there are {', '.join(PARAMETERS)}.{meant}"


def _status(value: str) -> Outcome:
    try:
        return Outcome(value)
    except ValueError:
        raise InvalidQuery("status", f"status is one of {', '.join(Outcome)}.") from None


def _label(value: str) -> str:
    try:
        return Label(value).value
    except ValueError:
        raise InvalidQuery("label", f"label is one of {', '.join(Label)}.") from None


def _milliseconds(value: str) -> float:
    seconds = float(value) / 1000 if _NUMBER.fullmatch(value) else math.inf
    if not math.isfinite(seconds):
        raise InvalidQuery("min_latency_ms", "min_latency_ms is a number of milliseconds, such as 800.")
    return seconds


def _moment(name: str, value: str) -> int:
    """Nanoseconds since the epoch; a moment that 64 bits cannot hold counts as the nearest they can."""
    if len(value) < 64 and _NUMBER.fullmatch(value):
        return int(min(Decimal(value) * 1_000_000_000, Decimal(_MAX_UNIX_NS)))
    # A plus sign that was not encoded arrives as a blank.
    text = _ZONE_AFTER_BLANK.sub("+", value)
    try:
        elapsed = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        # A TypeError is a moment without a time zone, which cannot be compared with one that has it.
        raise InvalidQuery(name, f"{name} is a moment with its time zone, such as 2026-11-22T08:00:00Z, or Unix seconds.") from None
    unix_ns = (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000_000 + elapsed.microseconds * 1000
    return min(max(unix_ns, 0), _MAX_UNIX_NS)
