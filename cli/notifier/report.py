"""What `mgeo notifier status` prints. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOX_STATES = {
    "unheard": "no heartbeat yet",
    "silent": "SILENT",
    "maintenance": "under maintenance",
    "clock_wrong": "its clock or this one is wrong",
}
_STEPS = ("each message", "no repeats", "digests", "critical alerts only")


def status_text(status: dict[str, Any]) -> str:
    """The status of a notifier, as its API tells it, for a reader."""
    return "\n".join(_lines(status)) + "\n"


def group_text(group: dict[str, Any]) -> str:
    """How a group stands, as the API tells it, for a reader."""
    return "\n".join(_group_lines(group)) + "\n"


def _group_lines(group: dict[str, Any]) -> Iterator[str]:
    state = "fires" if group["firing"] else "is over"
    yield f"group {group['group']} of {group['receiver']} {state}; last heard of at {_moment(group['received_at'])}"
    if group["taken_by"]:
        yield f"taken by {group['taken_by']} at {_moment(group['taken_at'])}"
    elif group["waits_since"]:
        yield f"waits for somebody since {_moment(group['waits_since'])}; asked so far: {group['asked']}"
    for alert in group["alerts"]:
        labels = ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))
        end = f" until {_moment(alert['ends_at'])}" if alert["ends_at"] else ""
        line = f"- {'over' if alert['over'] else 'fires'} since {_moment(alert['starts_at'])}{end}: {labels}"
        # Labels come from outside; a terminal obeys what nobody sees.
        yield "".join(character if character.isprintable() else " " for character in line)


def _moment(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d %H:%M:%S} UTC"


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
    for name, box in status.get("boxes", {}).items():
        state = _BOX_STATES.get(box["state"], box["state"])
        until = f" until {_moment(box['quiet_until'])}" if box["state"] == "maintenance" else ""
        heard = f"last heartbeat at {_moment(box['last_heartbeat'])}" if box["last_heartbeat"] else f"none since {_moment(box['since'])}"
        yield f"box {name}: {state}{until}; {heard}"
