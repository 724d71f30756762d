"""An alert, and the notification that brings it."""

from __future__ import annotations

from dingtalk.alert import Alert, AlertStatus, Notification, Severity


def alert(fingerprint="a", *, status=AlertStatus.FIRING, starts_at=1.0, ends_at=None, **labels):
    return Alert(status=status, labels=labels, starts_at=starts_at, ends_at=ends_at, fingerprint=fingerprint)


def notification(*alerts, receiver="critical", external_url=""):
    return Notification(receiver=receiver, group_key="{}:{}", status=AlertStatus.FIRING, alerts=alerts, external_url=external_url)


def test_what_an_alert_calls_otherwise_is_a_warning():
    """Nothing is lost for an odd label."""
    assert alert(severity="critical").severity is Severity.CRITICAL
    assert alert(severity="page").severity is Severity.WARNING
    assert alert().severity is Severity.WARNING
    assert alert().name == "(no alertname)"


def test_a_notification_is_as_urgent_as_its_most_urgent_alert():
    """Resolved ones included."""
    assert notification(alert(severity="info"), alert(severity="critical", status=AlertStatus.RESOLVED)).severity is Severity.CRITICAL
    assert notification().severity is Severity.WARNING


def test_the_same_content_from_another_replica_has_the_same_key():
    """In any order, wherever it came from; another state, moment, group or receiver is another content."""
    one = notification(alert("a"), alert("b"), external_url="http://am-1")
    assert one.content_key == notification(alert("b"), alert("a"), external_url="http://am-2").content_key
    others = [
        notification(alert("a")),
        notification(alert("a"), alert("b", starts_at=2.0)),
        notification(alert("a"), alert("b", status=AlertStatus.RESOLVED, ends_at=9.0)),
        notification(alert("a"), alert("b"), receiver="warning"),
    ]
    assert len({one.content_key, *(other.content_key for other in others)}) == 5
