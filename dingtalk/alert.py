"""Pure: what Alertmanager tells, as values. An alert, and the notification that brings some of one group."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REPEATED = "repeat interval elapsed"
"""Alertmanager's reason for telling the same once more."""


class AlertStatus(StrEnum):
    """What an alert is."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How urgent an alert is; from the most to the least. What an alert calls otherwise is a warning."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        starts_at, ends_at: seconds since 1970; `ends_at` is None while it fires.
        fingerprint: of its labels.
    """

    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: float
    ends_at: float | None = None
    generator_url: str = ""
    fingerprint: str

    @property
    def name(self) -> str:
        """Its English name."""
        return self.labels.get("alertname", "") or "(no alertname)"

    @property
    def severity(self) -> Severity:
        """How urgent it is."""
        try:
            return Severity(self.labels.get("severity", ""))
        except ValueError:
            return Severity.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What one call of Alertmanager's webhook brings.

    Attributes:
        receiver: as the path of the call names it; the payload has Alertmanager's own word for it.
        group_key: names the group; equal for all its notifications, also from another replica.
        reason: why it was sent, in Alertmanager's words; empty where it does not say.
        truncated: alerts that Alertmanager left out.
        external_url: where Alertmanager says it can be reached; differs between replicas.
    """

    receiver: str
    group_key: str
    status: AlertStatus
    group_labels: Mapping[str, str] = field(default_factory=dict)
    common_labels: Mapping[str, str] = field(default_factory=dict)
    common_annotations: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    reason: str = ""
    truncated: int = 0
    alerts: tuple[Alert, ...]

    @property
    def severity(self) -> Severity:
        """That of its most urgent alert, resolved ones included, so that an end takes the way of its beginning."""
        order = list(Severity)
        return min((alert.severity for alert in self.alerts), key=order.index, default=Severity.WARNING)

    @property
    def content_key(self) -> str:
        """Equal for the same content from another replica: receiver, group, and each alert with its state and times."""
        alerts = sorted(
            [alert.fingerprint, alert.status.value, f"{alert.starts_at:.3f}", "" if alert.ends_at is None else f"{alert.ends_at:.3f}"]
            for alert in self.alerts
        )
        text = json.dumps([self.receiver, self.group_key, self.truncated, alerts], ensure_ascii=False)
        return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
