"""An outbox that is filled beforehand."""

from __future__ import annotations

from contextlib import closing

from benchmarks.full_outbox import fill
from dingtalk.boot import Boot
from dingtalk.clock import Clock
from dingtalk.outbox.store import Outbox
from dingtalk.plan import Lane


def test_all_of_it_waits_each_in_a_group_of_its_own(tmp_path):
    """As a notifier finds it when it starts."""
    fill(tmp_path / "outbox", 20, critical_every=10)
    with closing(Outbox.open(tmp_path / "outbox", clock=Clock(), boot=Boot(id="b"), max_queue=100)) as outbox:
        depth = outbox.depth()
        groups = outbox.waiting_groups(recent=0.0)
    assert (depth.critical, depth.normal, depth.dead) == (2, 18, 0)
    assert [group.lane for group in groups] == [Lane.CRITICAL] * 2 + [Lane.NORMAL] * 18
    assert {group.alerts for group in groups} == {1}
