"""Pure: what somebody asks for: who they are, why, and for how long; taken from a form or from JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dingtalk.errors import WishMalformed

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAME, MAX_REASON = 40, 200
MIN_SECONDS, MAX_SECONDS = 1.0, 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceWish:
    """A silence that somebody wants."""

    by: str
    reason: str
    seconds: float


def taker(members: Mapping[str, object]) -> str:
    """Who takes a group over.

    Raises:
        WishMalformed: nobody is named, or by too long a name.
    """
    return _line(members, "by", MAX_NAME)


def silence_wish(members: Mapping[str, object]) -> SilenceWish:
    """Who wants a silence, why, and for how long.

    Raises:
        WishMalformed: one of the three is missing or cannot be used.
    """
    by, reason = _line(members, "by", MAX_NAME), _line(members, "reason", MAX_REASON)
    given = members.get("seconds")
    try:
        seconds = float(given) if isinstance(given, (str, int, float)) and not isinstance(given, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise WishMalformed(f"seconds: give a number from {MIN_SECONDS:.0f} to {MAX_SECONDS:.0f}")
    return SilenceWish(by=by, reason=reason, seconds=seconds)


def _line(members: Mapping[str, object], name: str, limit: int) -> str:
    given = members.get(name)
    text = "".join(character if character.isprintable() else " " for character in given) if isinstance(given, str) else ""
    line = " ".join(text.split())
    if not 1 <= len(line) <= limit:
        raise WishMalformed(f"{name}: give 1 to {limit} characters")
    return line
