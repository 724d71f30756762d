"""Pure: how far back an audit may reach, so that nothing it misses has merely been let go of by a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NS = 1_000_000_000
DAY_NS = 86_400 * NS
TRIMMED_MARGIN_NS = 60 * NS
"""An inference is let go of by its start, and counted at its end; and the store goes on while it is audited."""
RETENTION_MARGIN_NS = 3600 * NS
"""Stores let go of the oldest in steps, and not all by the same moment of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The earliest moment all stores reach back to, and what sets it; None when all of them have everything."""

    since_ns: int
    because: str | None


def reach(*, now_ns: int, days: Mapping[str, float], trimmed_before_ns: int | None, anything_since_ns: int | None) -> Reach:
    """How far back everything should still be there.

    Args:
        now_ns: the wall clock.
        days: how long each store that is asked keeps what it has.
        trimmed_before_ns: the oldest start in the embedded store, when it has let go of older ones; else None.
        anything_since_ns: when the first life in the ledger began; None without any.
    """
    bounds = [(now_ns - round(kept * DAY_NS) + RETENTION_MARGIN_NS, f"{name} keeps {kept:g} days") for name, kept in days.items()]
    if trimmed_before_ns is not None:
        bounds.append((trimmed_before_ns + TRIMMED_MARGIN_NS, "the embedded store has let go of what is older"))
    since, because = max(bounds, default=(0, None))
    if anything_since_ns is None or since <= anything_since_ns:
        return Reach(since_ns=0, because=None)
    return Reach(since_ns=since, because=because)
