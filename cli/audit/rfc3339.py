"""Moments as text: RFC 3339, to the nanosecond, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from cli.duration import parse_duration

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(unix_ns: int) -> str:
    """A moment, exactly: `2026-11-25T10:20:30.000000001Z`."""
    seconds, rest = divmod(unix_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def shown(unix_ns: int) -> str:
    """A moment for a reader, to the millisecond."""
    return f"{rfc3339(unix_ns)[:23]}Z"


def moment(text: str, now_ns: int) -> int:
    """Nanoseconds since 1970 of a moment in RFC 3339, or of a duration ago, such as `30m`.

    Raises:
        ValueError: it is neither, or has no time zone.
    """
    try:
        return now_ns - round(parse_duration(text) * _NS)
    except ValueError:
        pass
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError):
        raise ValueError(f"{text!r} is no moment; write how long ago, such as 30m, or one such as 2026-11-25T10:00:00Z") from None
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
