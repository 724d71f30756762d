"""Pure: what is to be told of one group, out of everything that was received of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dingtalk.alert import Alert, AlertStatus, Notification, Severity
from dingtalk.missed import ENDED_AT, LATE, STARTED_AT, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dingtalk.received import Received


_URGENCY = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert, in the newest state that was received.

    Attributes:
        over: whether it has ended.
        began: it was also received as firing, so nobody was told of its beginning yet.
        ended_at: when it ended, in seconds since 1970; None while it fires, and where nobody knows.
        late: it is told later than it should have been.
    """

    alert: Alert
    over: bool = False
    began: bool = False
    ended_at: float | None = None
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group.

    Attributes:
        newest: its newest notification.
        told: firing first, then over; each by urgency, then by age.
        repeat: how often it was told before without anything new.
    """

    newest: Notification
    told: tuple[Told, ...]
    repeat: int = 0

    @property
    def matchers(self) -> dict[str, str]:
        """Labels that name this group and no other: its own, else those that all its alerts share; empty when there are none."""
        own = dict(self.newest.group_labels)
        if own or not self.told:
            return own
        first, *others = (one.alert.labels for one in self.told)
        return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def merge(received: Sequence[Received]) -> Group:
    """Merge the notifications of one group, in the order of their receipt: the newest state of each alert counts.

    Args:
        received: at least one.
    """
    states: dict[str, Told] = {}
    for one in received:
        for alert in one.notification.alerts:
            # Without a fingerprint two alerts would be one.
            key = alert.fingerprint or repr(sorted(alert.labels.items()))
            states[key] = _next(states.get(key), alert, late=one.late)
    return Group(
        newest=received[-1].notification,
        told=tuple(sorted(states.values(), key=urgency)),
        repeat=received[-1].repeat,
    )


def still_firing(notification: Notification) -> list[Alert]:
    """Its alerts that fire, the most urgent first."""
    alerts = [alert for alert in notification.alerts if not _next(None, alert, late=False).over]
    return sorted(alerts, key=lambda alert: _URGENCY[alert.severity])


def by_group(received: Sequence[Received]) -> list[list[Received]]:
    """Apart by receiver and group, each in the order of receipt."""
    groups: dict[tuple[str, str], list[Received]] = {}
    for one in received:
        groups.setdefault((one.notification.receiver, one.notification.group_key), []).append(one)
    return list(groups.values())


def urgency(told: Told) -> tuple[bool, int, float, str, str]:
    """Sorts what is to be told: firing first, then over; each by urgency, then by age."""
    return told.over, _URGENCY[told.alert.severity], told.alert.starts_at, told.alert.name, told.alert.fingerprint


def _next(before: Told | None, alert: Alert, *, late: bool) -> Told:
    late = late or alert.labels.get(LATE) == "true" or alert.annotations.get(LATE) == "true"
    # Alertmanager joins alerts that overlap, and then has the beginning of another one.
    if late and (began := moment(alert.annotations.get(STARTED_AT, ""))) is not None:
        alert = replace(alert, starts_at=began)
    # An end that was missed comes as an alert that still fires for some minutes, since Alertmanager tells of no other.
    missed_end = late and ENDED_AT in alert.annotations
    firing = alert.status is AlertStatus.FIRING and not missed_end
    return Told(
        alert=alert,
        over=not firing,
        began=firing or (before is not None and before.began),
        ended_at=None if firing else moment(alert.annotations[ENDED_AT]) if missed_end else alert.ends_at,
        late=late,
    )
