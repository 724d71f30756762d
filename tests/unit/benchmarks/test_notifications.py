"""Notifications that are known by their numbers, as the notifier itself reads them."""

from __future__ import annotations

from benchmarks.notifications import notification, numbers_told, on_the_wire
from dingtalk.alert import Severity
from dingtalk.payload import parse


def test_the_notifier_reads_one_alert_of_a_group_of_its_own():
    """As Alertmanager writes it, so that what is measured is what happens."""
    first, second = (parse(notification(number, critical=number == 8), receiver="ops", now=0.0) for number in (7, 8))
    assert (first.severity, second.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert first.group_key != second.group_key
    assert [alert.name for alert in first.alerts] == ["Bench7"]


def test_no_two_have_the_same_content():
    """The notifier would take the second for that of another replica, and not store it."""
    assert len({parse(notification(number), receiver="ops", now=0.0).content_key for number in range(200)}) == 200


def test_a_request_has_the_length_of_its_body_in_bytes():
    """A Chinese character has three of them."""
    body = notification(1)
    head, _, sent = on_the_wire(body).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/alertmanager/ops HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert sent == body
    assert len(body) > len(body.decode())


def test_a_message_names_the_numbers_that_it_tells():
    """In full or as a line of a digest; other text has none."""
    assert numbers_told("🟠 Bench1 · box-0000001/serve/0\n🟠 Bench2 · box-0000052/serve/0 · box-0000052") == {1, 52}
    assert numbers_told("box-12 没有") == set()
