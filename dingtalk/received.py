"""Pure: a notification as it was received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dingtalk.alert import Notification


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
