"""Pure: a time in which nobody wants to hear of a box, because people work on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from dingtalk.errors import MaintenanceRefused

LONGEST = 31 * 86_400.0
"""Seconds one may last, and may be planned ahead: what is longer is forgotten by people."""
MAX_NAME = 100
MAX_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """One, going on or planned.

    Attributes:
        starts_at, ends_at: seconds since 1970.
        by: who works there.
        reason: what for.
        said: the groups know that it has begun.
    """

    starts_at: float
    ends_at: float
    by: str
    reason: str
    said: bool = False

    def going_on(self, now: float) -> bool:
        """Whether it is now."""
        return self.starts_at <= now < self.ends_at


def asked_for(members: object, *, now: float) -> Maintenance | None:
    """What somebody asks for; None for its end.

    Args:
        members: JSON: `until` in seconds since 1970, or null; `from`, or null for now; `by`; `reason`.
        now: seconds since 1970.

    Raises:
        MaintenanceRefused: it cannot be; says why.
    """
    if not isinstance(members, dict) or "until" not in members:
        raise MaintenanceRefused("the body is a JSON object with `until`: seconds since 1970, or null for the end")
    if members["until"] is None:
        return None
    ends_at = _moment(members["until"], "until")
    starts_at = now if members.get("from") is None else max(now, _moment(members["from"], "from"))
    if ends_at <= starts_at:
        raise MaintenanceRefused("it would be over before it begins")
    if ends_at - starts_at > LONGEST or starts_at - now > LONGEST:
        raise MaintenanceRefused(f"it may last {LONGEST / 86_400:.0f} days, and be planned as long ahead")
    return Maintenance(starts_at=starts_at, ends_at=ends_at, by=_text(members, "by", MAX_NAME), reason=_text(members, "reason", MAX_REASON))


def whose_end(members: object) -> str:
    """Who ends one; empty when that is not said."""
    by = members.get("by") if isinstance(members, dict) else None
    return by.strip()[:MAX_NAME] if isinstance(by, str) else ""


def _moment(value: Any, name: str) -> float:  # Any: JSON
    try:
        moment = float(value) if not isinstance(value, bool | str) else math.nan
    except (TypeError, ValueError, OverflowError):
        moment = math.nan
    if not math.isfinite(moment):
        raise MaintenanceRefused(f"`{name}` is no number of seconds since 1970")
    return moment


def _text(members: dict[str, Any], name: str, limit: int) -> str:
    value = members.get(name)
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > limit or not text.isprintable():
        raise MaintenanceRefused(f"`{name}` is needed: one line of at most {limit} characters")
    return text
