"""Who has a group, over any course of events and any restart."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dingtalk.links import group_digest
from tests.notifier import Notifier, alert, payload

DIGEST = group_digest("main", "g")
EVENTS = st.lists(st.sampled_from(["critical", "warning", "over", "told", "张三", "李四", "restart"]), max_size=14)


class Model:
    """What must be, in the fewest words."""

    def __init__(self):
        self.firing = None
        self.untold = []
        self.handling = None

    def received(self, firing):
        self.firing = firing
        self.untold.append(firing)
        if firing is None or (firing == "warning" and self.handling == "nobody"):
            self.handling = None

    def told(self):
        if "critical" in self.untold and self.firing == "critical" and self.handling is None:
            self.handling = "nobody"
        self.untold = []

    def taken(self, by):
        if self.firing is not None and self.handling in {None, "nobody"}:
            self.handling = by


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_a_group_is_waited_for_from_its_message_until_it_is_taken_or_over(events):
    """And is kept by whoever was first until all of it is over."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(follow(Notifier(Path(folder)), events))


async def follow(one, events):
    model, number = Model(), itertools.count()
    try:
        for event in events:
            # So long that nothing is held back for flapping.
            one.time.now += 1000
            if event in {"critical", "warning", "over"}:
                status = {"status": "resolved", "ends_at": one.time.now} if event == "over" else {}
                severity = "warning" if event == "warning" else "critical"
                one.receive(payload(alert(severity=severity, instance=f"box-{next(number)}", **status)))
                model.received(None if event == "over" else event)
            elif event == "told":
                await one.deliver()
                model.told()
            elif event == "restart":
                one.restart()
            else:
                one.outbox.take(DIGEST, event, says=None)
                model.taken(event)
            found = one.outbox.group(DIGEST)
            case = found.case if found is not None else None
            assert (None if case is None else case.taken_by or "nobody") == model.handling
            assert len(one.outbox.cases()) == (model.handling == "nobody")
    finally:
        one.outbox.close()
