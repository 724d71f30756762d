"""What `mgeo notifier status` prints. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS = ("each message", "no repeats", "digests", "critical alerts only")


def status_text(status: dict[str, Any]) -> str:
    """The status of a notifier, as its API tells it, for a reader."""
    return "\n".join(_lines(status)) + "\n"


def _lines(status: dict[str, Any]) -> Iterator[str]:
    queue = status["queue"]
    waiting = queue["critical"] + queue["normal"]
    oldest = f", the oldest for {queue['oldest_seconds']:.0f} s" if waiting else ""
    yield f"waiting       {waiting} ({queue['critical']} critical){oldest}"
    yield f"dead letters  {queue['dead_letters']}{'; `mgeo notifier replay` sends them again' if queue['dead_letters'] else ''}"
    yield f"store         {'takes notifications' if status['store_writable'] else 'CANNOT BE WRITTEN: Alertmanager is told to try again'}"
    for name, robot in status["robots"].items():
        until = f" until {datetime.fromtimestamp(robot['until'], UTC):%Y-%m-%d %H:%M:%S} UTC" if robot["until"] else ""
        detail = f": {robot['detail']}" if robot["detail"] else ""
        yield f"robot {name}: {robot['state']}{until}{detail}; {robot['rate_headroom']} more in this minute"
    for name, used in status["organisations"].items():
        yield (
            f"organisation {name}: {used['used']} of {used['limit']} this month, forecast {used['forecast']:.0f};"
            f" told: {_STEPS[used['degradation']]}"
        )
