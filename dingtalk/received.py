"""Pure: a notification as it was received."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dingtalk.alert import AlertStatus, Notification
from dingtalk.errors import PayloadError
from dingtalk.missed import LATE
from dingtalk.payload import parse

if TYPE_CHECKING:
    from dingtalk.outbox.rows import StoredReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One receipt.

    Attributes:
        received_at: seconds since 1970.
        late: it was missed at first, and found by reconciling.
        repeat: how often this group was told before without anything new.
    """

    notification: Notification
    received_at: float
    late: bool = False
    repeat: int = 0


def read(receipt: StoredReceipt) -> Received:
    """A receipt as it was understood when it was stored."""
    try:
        notification = parse(receipt.payload, receiver=receipt.receiver, now=receipt.received_at)
    except PayloadError:
        # It was understood when it was stored, by another version of this program.
        notification = Notification(receiver=receipt.receiver, group_key=f"receipt {receipt.id}", status=AlertStatus.FIRING, alerts=())
    if receipt.echoes:
        notification = replace(notification, alerts=tuple(one for one in notification.alerts if one.fingerprint not in receipt.echoes))
    # In a group with others, each late one says so itself.
    late = bool(notification.alerts) and all(alert.labels.get(LATE) == "true" for alert in notification.alerts)
    return Received(notification=notification, received_at=receipt.received_at, late=late, repeat=receipt.repeat)
