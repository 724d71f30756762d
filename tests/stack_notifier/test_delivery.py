"""From Alertmanager to the group, with the true programs, while something is broken."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import pytest

from cli.drill.free_ports import free_ports
from dingtalk.outbox.file import FILE
from tests.full_disk import fill_up, small_disk
from tests.stack_notifier.box import sample_alert

pytestmark = pytest.mark.stack


def heads(box):
    return [text.splitlines()[0] for text in box.messages()]


def test_firing_repeat_and_resolved_come_in_order(box):
    """Also when the notifier is killed in between."""
    box.start(repeat="6s")
    box.fire()
    box.wait(lambda: len(box.messages()) == 2)
    box.kill("notifier")
    box.start_notifier()
    box.resolve()
    box.wait(lambda: "恢复" in box.messages()[-1])
    first, *repeats, last = heads(box)
    assert first == "### 🟠 警告：着火 · box-1（Burning）"
    assert repeats == [f"{first} · 第 {number} 次提醒" for number in range(1, len(repeats) + 1)]
    assert last == "### ✅ 已恢复：着火 · box-1（Burning，警告）"
    assert box.received("refused") == 0


def test_what_cannot_be_stored_is_a_503_and_comes_again(box):
    """Another process holds the store."""
    box.start_simulator()
    box.start_alertmanager()
    box.start_notifier()
    with closing(sqlite3.connect(box.data_dir / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        box.post(sample_alert("Posted"))
        box.wait(lambda: box.received("unavailable") > 0)
        assert box.status("notifier", "/readyz") == 503
        other.execute("ROLLBACK")
    box.wait(box.messages)
    box.post(sample_alert("Posted", seconds=0))
    box.wait(lambda: len(box.messages()) == 2)
    assert ["恢复" in text for text in heads(box)] == [False, True]
    assert box.received("refused") == 0


def test_on_a_full_disk_nothing_is_lost(box):
    """It is refused with a 503 until there is room again; then all of it is told."""
    with small_disk(box.folder / "disk", 16 * 1024 * 1024) as disk:
        box.data_dir = disk / "notifier"
        box.start_simulator()
        box.start_alertmanager()
        box.start_notifier()
        fill_up(disk / "ballast")
        # Too long for what the file has room for already, and too mixed to be deflated.
        words = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(20_000))
        box.post(sample_alert("Long", description=words), sample_alert("Short"))
        box.wait(lambda: box.received("unavailable") > 0)
        (disk / "ballast").unlink()
        box.wait(lambda: len(box.messages()) >= 2)
        assert {name: sum(name in head for head in heads(box)) for name in ("Long", "Short")} == {"Long": 1, "Short": 1}
        assert box.received("refused") == 0
        box.kill("notifier")


def test_a_notifier_that_does_not_answer_in_time_is_asked_again(box):
    """What came while it stood still is the same, and told once."""
    box.start_simulator()
    box.start_alertmanager()
    box.start_notifier()
    box.signal("notifier", signal.SIGSTOP)
    try:
        box.post(sample_alert("Posted"))
        box.wait(lambda: box.metric("alertmanager", "alertmanager_notification_requests_failed_total", integration="webhook") > 1)
    finally:
        box.signal("notifier", signal.SIGCONT)
    box.wait(box.messages)
    box.post(sample_alert("Posted", seconds=0))
    box.wait(lambda: "恢复" in heads(box)[-1])
    assert len(box.messages()) == 2


def test_two_alertmanagers_that_gossip_give_one_message(box):
    """The second sees that the first has told it."""
    box.start_simulator()
    first, second = free_ports(2)
    cluster = ("--cluster.gossip-interval=50ms", "--cluster.peer-timeout=2s", "--cluster.reconnect-interval=1s")
    for name, own, other in (("alertmanager", first, second), ("second", second, first)):
        box.start_alertmanager(name, f"--cluster.listen-address=127.0.0.1:{own}", f"--cluster.peer=127.0.0.1:{other}", *cluster)
    for name in ("alertmanager", "second"):
        box.wait(lambda name=name: box.get(name, "/api/v2/status")["cluster"]["status"] == "ready")
        box.wait(lambda name=name: len(box.get(name, "/api/v2/status")["cluster"]["peers"]) == 2)
    box.start_notifier()
    box.post(sample_alert("Posted"), to=("alertmanager", "second"))
    box.wait(box.messages)
    box.post(sample_alert("Posted", seconds=0), to=("alertmanager", "second"))
    box.wait(lambda: len(box.messages()) >= 2)
    assert ["恢复" in text for text in heads(box)] == [False, True]
    assert box.received("stored") == 2


def test_two_alertmanagers_that_do_not_see_each_other_give_one_message(box):
    """Both tell it; the notifier knows the content."""
    box.start_simulator()
    for name in ("alertmanager", "second"):
        box.start_alertmanager(name)
    box.start_notifier()
    alert = sample_alert("Posted", seconds=6)
    box.post(alert, to=("alertmanager", "second"))
    box.wait(lambda: box.received("stored") + box.received("duplicate") == 4)
    box.wait(lambda: len(box.messages()) >= 2)
    assert ["恢复" in text for text in heads(box)] == [False, True]
    assert (box.received("stored"), box.received("duplicate")) == (2, 2)
