"""Pure: the bytes that Alertmanager posts, as a notification.

The shape is that of version 4. Fields that are unknown are passed over and fields that are missing have a value that loses nothing, so
that an older or newer Alertmanager is understood as long as it sends alerts.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

from dingtalk.alert import Alert, AlertStatus, Notification
from dingtalk.errors import PayloadError

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(body: bytes, *, receiver: str, now: float) -> Notification:
    """Read what was posted.

    Args:
        body: as it came.
        receiver: whom the path of the call names.
        now: seconds since 1970; stands in for the beginning of an alert that does not tell its own.

    Raises:
        PayloadError: it is no notification of Alertmanager; the same bytes fail again.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise PayloadError("the body is no JSON") from None
    if not isinstance(payload, dict):
        raise PayloadError("the body is no JSON object")
    entries = payload.get("alerts")
    if not isinstance(entries, list):
        raise PayloadError("the body has no list `alerts`, so it is no notification of Alertmanager (webhook payload, version 4)")
    alerts = tuple(_alert(entry, index, now) for index, entry in enumerate(entries))
    firing = any(alert.status is AlertStatus.FIRING for alert in alerts)
    group_labels = _texts(payload.get("groupLabels"))
    return Notification(
        receiver=receiver,
        group_key=_text(payload.get("groupKey")) or json.dumps(group_labels, ensure_ascii=False, sort_keys=True),
        status=AlertStatus.FIRING if firing or not alerts else AlertStatus.RESOLVED,
        group_labels=group_labels,
        common_labels=_texts(payload.get("commonLabels")),
        common_annotations=_texts(payload.get("commonAnnotations")),
        external_url=_text(payload.get("externalURL")),
        reason=_text(payload.get("notification_reason")),
        truncated=_count(payload.get("truncatedAlerts")),
        alerts=alerts,
    )


def unix_time(text: object) -> float | None:
    """Seconds since 1970 of a time in RFC 3339; None for Go's zero time, for what is no time, and for what no calendar has."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    if year <= 1:
        return None
    try:
        # A leap second counts as the second before it.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None
    offset = 0 if match[9] is None else (1 if match[9] == "+" else -1) * (int(match[10]) * 3600 + int(match[11]) * 60)
    return moment + (float(f"0.{match[7]}") if match[7] else 0.0) - offset


def _alert(entry: Any, index: int, now: float) -> Alert:  # Any: JSON
    if not isinstance(entry, dict):
        raise PayloadError(f"alerts[{index}] is no JSON object")
    labels, annotations = entry.get("labels"), entry.get("annotations")
    if not isinstance(labels, dict):
        raise PayloadError(f"alerts[{index}] has no labels")
    texts = _texts(labels)
    resolved = entry.get("status") == AlertStatus.RESOLVED.value
    return Alert(
        status=AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
        labels=texts,
        annotations=_texts(annotations),
        starts_at=_or(unix_time(entry.get("startsAt")), now),
        ends_at=_or(unix_time(entry.get("endsAt")), now) if resolved else None,
        generator_url=_text(entry.get("generatorURL")),
        fingerprint=_text(entry.get("fingerprint")) or _fingerprint(texts),
    )


def _or(moment: float | None, now: float) -> float:
    return now if moment is None else moment


def _fingerprint(labels: dict[str, str]) -> str:
    text = json.dumps(sorted(labels.items()), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _text(value: object) -> str:
    """Text that UTF-8 can carry: JSON may name half a character."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _SURROGATE.sub("\ufffd", text)


def _texts(values: object) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in values.items()} if isinstance(values, dict) else {}


def _count(value: object) -> int:
    # Not beyond what a column of the store holds.
    return min(value, 1 << 53) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
