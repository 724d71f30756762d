"""What Alertmanager posts, read."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.alert import AlertStatus
from dingtalk.errors import PayloadError
from dingtalk.payload import parse, unix_time

PAYLOAD = {
    "version": "4",
    "groupKey": '{}/{severity="critical"}:{alertname="HighErrorRate"}',
    "truncatedAlerts": 2,
    "status": "firing",
    "receiver": "dingtalk",
    "groupLabels": {"alertname": "HighErrorRate"},
    "commonLabels": {"alertname": "HighErrorRate", "severity": "critical"},
    "commonAnnotations": {"summary": "too many errors"},
    "routeLabels": {"new": "in 0.34"},
    "externalURL": "http://alertmanager:9093",
    "notification_reason": "first notification",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "severity": "critical", "instance": "a"},
            "annotations": {"summary": "错误率过高"},
            "startsAt": "2026-11-28T08:00:00.123456789+08:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": "0123456789abcdef",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "HighErrorRate", "instance": "b"},
            "annotations": {},
            "startsAt": "2026-11-28T00:00:00Z",
            "endsAt": "2026-11-28T00:01:00.5Z",
            "generatorURL": "",
            "fingerprint": "fedcba9876543210",
        },
    ],
}


def read(payload, *, now=1.0):
    return parse(json.dumps(payload).encode(), receiver="critical", now=now)


def test_a_payload_of_version_4_is_read_whole():
    """Each field lands where it belongs, times with their offset and fraction."""
    notification = read(PAYLOAD)
    assert notification.receiver == "critical"
    assert notification.group_key == '{}/{severity="critical"}:{alertname="HighErrorRate"}'
    assert notification.status is AlertStatus.FIRING
    assert notification.group_labels == {"alertname": "HighErrorRate"}
    assert notification.common_annotations == {"summary": "too many errors"}
    assert notification.reason == "first notification"
    assert notification.truncated == 2
    firing, resolved = notification.alerts
    assert firing.name == "HighErrorRate"
    assert firing.annotations == {"summary": "错误率过高"}
    assert firing.starts_at == pytest.approx(1_795_824_000.123456789, abs=1e-5)
    assert firing.ends_at is None
    assert firing.fingerprint == "0123456789abcdef"
    assert resolved.status is AlertStatus.RESOLVED
    assert resolved.ends_at == 1_795_824_060.5


def test_fields_that_are_unknown_or_missing_cost_nothing():
    """An alert needs labels; all else has a value without them."""
    notification = read({"alerts": [{"labels": {"alertname": "A"}}, {"labels": {"alertname": "B"}}], "more": 1}, now=7.0)
    assert [alert.name for alert in notification.alerts] == ["A", "B"]
    assert notification.alerts[0].status is AlertStatus.FIRING
    assert notification.alerts[0].starts_at == 7.0
    assert notification.alerts[0].fingerprint != notification.alerts[1].fingerprint
    assert notification.group_key == "{}"
    assert notification.truncated == 0


def test_another_version_of_the_same_shape_is_accepted():
    """The number alone does not make a payload unreadable."""
    assert len(read({**PAYLOAD, "version": "5"}).alerts) == 2


def test_a_resolved_alert_without_an_end_ended_now():
    """It is over in any case."""
    (alert,) = read({"alerts": [{"labels": {}, "status": "resolved", "endsAt": "0001-01-01T00:00:00Z"}]}, now=9.0).alerts
    assert alert.ends_at == 9.0


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"{", b"\xff\xfe{}", b"{}", b'{"alerts": 1}', b'{"alerts": [1]}', b'{"alerts": [{}]}', b"[" * 100_000],
)
def test_what_is_no_notification_is_refused(body):
    """The same bytes would fail again."""
    with pytest.raises(PayloadError):
        parse(body, receiver="critical", now=0.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01T08:00:00+08:00", 0.0),
        ("1970-01-01T00:00:01.5-00:00", 1.5),
        ("1970-01-01T00:00:00.000000001Z", 1e-9),
        ("2016-12-31T23:59:60Z", 1_483_228_799.0),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00.000Z", None),
        ("1970-02-30T00:00:00Z", None),
        ("1970-01-01", None),
        ("1970-01-01T00:00:00", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_times_are_read(text, seconds):
    """RFC 3339; Go's zero time and what is no time are none."""
    assert unix_time(text) == seconds


def test_half_a_character_becomes_a_whole_one():
    """JSON may name a lone surrogate, which no disk and no message can carry."""
    (alert,) = parse(b'{"alerts": [{"labels": {"alertname": "\\ud800x"}}]}', receiver="r", now=0.0).alerts
    assert alert.name == "\ufffdx"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    """Nothing else is raised."""
    with contextlib.suppress(PayloadError):
        parse(body, receiver="r", now=0.0)


@given(
    st.dictionaries(st.sampled_from([*PAYLOAD]), json_values),
    st.lists(st.dictionaries(st.sampled_from([*PAYLOAD["alerts"][0]]), json_values)),
)
def test_any_values_in_its_fields_are_read_or_refused(fields, alerts):
    """What is read can be told, compared and stored."""
    for payload in (fields, {**fields, "alerts": alerts}, {**fields, "alerts": [{**alert, "labels": {"a": alert}} for alert in alerts]}):
        try:
            notification = read(payload)
        except PayloadError:
            continue
        assert len(notification.content_key) == 32
        assert notification.group_key.encode()
        assert all(value.encode() is not None for alert in notification.alerts for value in alert.labels.values())
