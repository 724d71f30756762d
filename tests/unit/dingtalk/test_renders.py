"""The form that cannot fail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dingtalk.alert import Alert, AlertStatus, Notification
from dingtalk.notice import Notice
from dingtalk.part import MAX_BODY_BYTES
from dingtalk.received import Received
from dingtalk.renders import BareRenderer


def received(*names, instance="box"):
    alerts = tuple(
        Alert(status=AlertStatus.FIRING, labels={"alertname": name, "instance": instance}, starts_at=0.0, fingerprint=name)
        for name in names
    )
    return Received(
        notification=Notification(receiver="r", group_key="g", status=AlertStatus.FIRING, alerts=alerts, truncated=3), received_at=0.0
    )


def test_one_line_an_alert():
    """And how many Alertmanager left out."""
    (part,) = BareRenderer().plain([received("A", "B")], now=0.0)
    assert part.text == "[告警] warning A box\n[告警] warning B box\n(+3)"


def test_a_notice_is_one_line():
    """Its name and facts."""
    assert BareRenderer().notice(Notice.ROBOT_DEAD, now=0.0, robot="r1").text == "notifier: robot dead robot r1"


@given(st.lists(st.text(max_size=400), max_size=120), st.text(max_size=100))
def test_whatever_the_labels_are_it_fits_and_calls_nobody(names, instance):
    """No part is too big, no line is forged, nobody is called by an @."""
    one = received(*names, instance=instance)
    parts = BareRenderer().digest([[one]], now=0.0)
    assert parts
    for part in parts:
        assert len(part.with_keyword("关键词").body("0" * 32)) <= MAX_BODY_BYTES
        assert "@" not in part.text
        assert all(line.startswith(("[告警] ", "(")) for line in part.text.splitlines())
