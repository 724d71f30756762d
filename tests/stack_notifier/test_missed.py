"""What fired while nobody listened, with the true programs."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

import pytest

from dingtalk.wording import local_time
from tests.stack_notifier.box import read_lines

pytestmark = pytest.mark.stack
ZONE = ZoneInfo("Asia/Shanghai")


def miss(box):
    """Let an alert fire and end, until Alertmanager has given it up."""
    box.fire()
    box.wait(box.alerts)
    box.resolve()
    box.wait(lambda: not box.alerts())


def test_what_fired_and_ended_while_the_notifier_was_down_is_told_late_once(box):
    """With its true times; and what Alertmanager calls the end of it some minutes later is told already."""
    box.start()
    box.kill("notifier")
    miss(box)
    box.wait(lambda: box.metric("alertmanager", "alertmanager_notifications_failed_total", integration="webhook") > 0)
    first, last = box.times("Burning")
    box.start_notifier()
    box.wait(box.messages)
    (text,) = box.messages()
    head, _, times = text.partition("\n\n")
    assert head == "### ✅ 已恢复（迟到）：着火 · box-1（Burning，警告）"
    now = time.time()
    since, until = (local_time(round(at), ZONE, now) for at in (first, last))
    assert times.startswith(f"{since} 至 {until}，持续 ")
    assert "；本消息迟到 " in times
    assert box.metric("notifier", "mgeo_notifier_reconciled_total", kind="resolved") == 1
    # Its beginning, and the end of what was posted.
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_received_total", result="stored") == 2)
    compared = box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds")
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds") > compared)
    assert box.metric("notifier", "mgeo_notifier_reconciled_total") == 1
    assert box.metric("notifier", "mgeo_notifier_queue_depth") == 0
    assert len(box.messages()) == 1


def test_what_is_silenced_is_not_told_late(box):
    """Alertmanager keeps it back, as it would have."""
    box.start()
    box.kill("notifier")
    box.silence("Burning", seconds=600)
    miss(box)
    box.start_notifier()
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_reconciled_total", kind="resolved") == 1)
    box.wait(lambda: [one["status"]["state"] for one in box.alerts()] == ["suppressed"])
    box.wait(lambda: not box.alerts())
    compared = box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds")
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds") > compared + 3)
    assert box.metric("notifier", "mgeo_notifier_reconciled_total") == 1
    assert box.metric("notifier", "mgeo_notifier_received_total") == 0
    assert box.messages() == []


def test_an_end_that_came_by_itself_is_not_told_late(box):
    """Of a group that it told, Alertmanager goes on telling the end; what always fires is told to nobody."""
    box.start()
    box.fire()
    box.wait(box.messages)
    box.kill("notifier")
    box.resolve()
    box.wait(lambda: box.metric("alertmanager", "alertmanager_notifications_failed_total", integration="webhook") > 0)
    box.start_notifier()
    box.wait(lambda: len(box.messages()) == 2)
    compared = box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds")
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds") > compared + 15)
    assert [text.splitlines()[0] for text in box.messages()] == [
        "### 🟠 警告：着火 · box-1（Burning）",
        "### ✅ 已恢复：着火 · box-1（Burning，警告）",
    ]
    assert box.metric("notifier", "mgeo_notifier_reconciled_total") == 0


def test_what_alertmanager_forgot_is_posted_again(box):
    """It is killed before it told what was posted; it keeps no alerts."""
    box.start()
    box.kill("notifier")
    miss(box)
    box.stop("alertmanager")
    box.start_alertmanager(wait="5s")
    box.start_notifier()
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_reconciled_total", kind="resolved") == 1)
    box.kill("alertmanager")
    box.start_alertmanager()
    assert box.alerts() == []
    box.wait(box.messages)
    assert box.messages()[0].startswith("### ✅ 已恢复（迟到）：着火")
    assert box.metric("notifier", "mgeo_notifier_reconciled_total") == 1


def test_without_prometheus_it_says_so_once_and_goes_on(box):
    """And looks as far back when it is there again."""
    box.start()
    box.stop("prometheus")
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_reconciling_failures_total") > 1)
    compared = box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds")
    box.start_prometheus()
    box.wait(lambda: box.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds") > compared)
    events = [line["event"] for line in read_lines(box.folder / "notifier.log") if "reconciling" in line["event"]]
    assert events == ["mgeo.notifier.reconciling.failed", "mgeo.notifier.reconciling.recovered"]
