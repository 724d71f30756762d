"""Alerts, configurations and text that means harm, for the tests of the notifier's messages."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dingtalk.alert import Alert, AlertStatus, Notification
from dingtalk.config import Config
from dingtalk.received import Received

NOW = 1_795_806_190.0
"""2026-11-28 03:03:10 in Shanghai."""
MINUTE = 60.0
PUBLIC_URL = "https://box.example.com"
GROUP_KEY = '{}:{alertname="HighLatency"}'

# What markdown, DingTalk, HTML, a terminal or a template would take for more than text.
_PIECES = st.sampled_from([
    *"*_`[]()<>#@|\\~!&-+=.:/{}\"' \t\r\n1a中",
    "**", "__", "```", "~~~", "](", "![", "://", "http://evil.example", "https://evil.example/a", "www.evil.example", "@all", "@所有人",
    "@13800000000", "<font color=red>", "</font>", "<!--", "&lt;", "&#64;", "&nbsp;", "{{ 1 }}", "{% raw %}", "---", "===", "1. ", "- ",
    "# ", "> ", "    ", "\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\x00", "\x1b[31m", "\u2028", "\u2029", "\x85", "\u0301", "\ufe0f",
    "\u3164", "\ud800", "\U000e0041", "🔴", "👨‍👩‍👧", "🏽", "ｅ", "\u3000", "a_b", "_a", "b_",
])  # fmt: skip
HOSTILE = st.lists(_PIECES, max_size=30).map("".join)
TEXTS = HOSTILE | st.text(max_size=60) | st.text(st.characters(), max_size=60)
LONG_TEXTS = TEXTS | st.builds(lambda piece, count, end: piece * count + end, TEXTS, st.integers(0, 2_000), TEXTS)


def config(**changes: Any) -> Config:
    """One robot, one receiver, and what a test changes."""
    values = {
        "robots": [{"name": "ops", "token": "0123456789abcdef"}],
        "receivers": [{"name": "critical", "robots": ["ops"]}],
    }
    return Config.model_validate(values | changes)


def alert(
    name: str = "HighLatency",
    severity: str = "warning",
    instance: str = "gpu-01",
    *,
    starts_at: float = NOW - 12 * MINUTE,
    ends_at: float | None = None,
    labels: dict[str, str] | None = None,
    fingerprint: str = "",
    **annotations: str,
) -> Alert:
    """An alert; one with an end is over."""
    return Alert(
        status=AlertStatus.FIRING if ends_at is None else AlertStatus.RESOLVED,
        labels={"alertname": name, "severity": severity, "mgeo_instance_name": instance, **(labels or {})},
        annotations=annotations,
        starts_at=starts_at,
        ends_at=ends_at,
        fingerprint=fingerprint or f"{name}/{instance}",
    )


def received(
    *alerts: Alert,
    at: float = NOW,
    group_key: str = GROUP_KEY,
    receiver: str = "critical",
    truncated: int = 0,
    late: bool = False,
    repeat: int = 0,
    group_labels: dict[str, str] | None = None,
) -> Received:
    """A notification with these alerts."""
    notification = Notification(
        receiver=receiver,
        group_key=group_key,
        status=AlertStatus.FIRING,
        group_labels={"alertname": alerts[0].name if alerts else ""} if group_labels is None else group_labels,
        truncated=truncated,
        alerts=alerts,
    )
    return Received(notification=notification, received_at=at, late=late, repeat=repeat)
