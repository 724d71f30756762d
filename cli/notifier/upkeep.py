"""What `mgeo maintenance` and `mgeo down --for` have in common: what is asked of the notifier, and what it did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.notifier.client import NotifierUnusable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from cli.notifier.client import NotifierClient

TOLD_WITHIN = 10.0
PAUSE = 0.1
_OK = "ok"


def wanted(*, starts_at: datetime, ends_at: datetime, by: str, reason: str) -> dict[str, Any]:
    """A maintenance as the notifier's API takes it."""
    return {"from": starts_at.timestamp(), "until": ends_at.timestamp(), "by": by, "reason": reason}


def faults(done: dict[str, Any]) -> list[str]:
    """What could not be done for a maintenance, of the notifier's answer."""
    alertmanager = [] if done["alertmanager"] == _OK else [f"Alertmanager is not silenced, and is tried again: {done['alertmanager']}"]
    watchers = [
        f"watcher {name} was not told, and is told with the next heartbeat: {reason}"
        for name, reason in done["watchers"].items()
        if reason != _OK
    ]
    return alertmanager + watchers


def text(one: dict[str, Any] | None, zone: tzinfo | None) -> str:
    """A maintenance for a reader."""
    if one is None:
        return "no maintenance"
    begin, end = (datetime.fromtimestamp(one[name], UTC).astimezone(zone) for name in ("from", "until"))
    return f"maintenance from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} by {one['by']}: {one['reason']}"


def wait_until_told(client: NotifierClient, *, monotonic: Callable[[], float], pause: Callable[[float], object]) -> bool:
    """Wait until nothing critical waits any more, as what the notifier says of itself does; whether that came in time."""
    end = monotonic() + TOLD_WITHIN
    while True:
        try:
            if client.status()["queue"]["critical"] == 0:
                return True
        except NotifierUnusable:
            return False
        if monotonic() >= end:
            return False
        pause(PAUSE)
