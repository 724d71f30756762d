"""Whatever clocks and restarts do, a robot never sends more than it may."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from dingtalk.boot import Boot
from dingtalk.clock import Clock
from dingtalk.outbox.rows import Draft
from dingtalk.outbox.store import Outbox
from dingtalk.part import Part
from dingtalk.plan import Form, Lane
from dingtalk.rate import Limit, room

LIMIT = Limit(per_minute=4, reserve=1)
WHEN = st.floats(0, 45)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), WHEN),
        st.tuples(st.just("send"), st.booleans()),
        st.tuples(st.just("wall"), st.floats(-1e6, 1e6)),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("kill"), st.booleans()),
        st.tuples(st.just("reboot"), WHEN),
    ),
    min_size=5,
    max_size=60,
)


class World:
    """True time, and the two clocks of a machine that is not to be trusted."""

    def __init__(self):
        self.true = 0.0
        self.booted = 0.0
        self.boots = 0
        self.jump = 1e9
        self.clock = Clock(unix=lambda: self.true + self.jump, monotonic=lambda: self.true - self.booted)

    @property
    def boot(self):
        return Boot(id=f"boot-{self.boots}")


@settings(max_examples=60)
@given(steps=STEPS)
def test_never_more_than_its_limit_in_any_minute(tmp_path_factory, steps):
    """Counted in true time, over clocks set forward and back, restarts, kills in the middle of a send, and reboots."""
    folder = tmp_path_factory.mktemp("outbox")
    world = World()
    sends: list[float] = []

    def opened():
        return Outbox.open(folder, clock=world.clock, boot=world.boot, max_queue=10)

    def message(outbox):
        bundle = outbox.put(
            Draft(receiver="r", group_key="g", lane=Lane.NORMAL, form=Form.NOTICE, parts=(Part(title="t", text="t"),), received_at=0.0)
        )
        return next(part.id for part in outbox.outgoing() if part.bundle == bundle)

    def attempt(outbox, critical, *, ended):
        if room(LIMIT, outbox.ages({"r": 64})["r"], critical=critical) == 0:
            return
        send = outbox.begin_send(message(outbox), robot="r", organisation="o")
        world.true += 0.5  # it is with DingTalk at some moment of the call
        sends.append(world.true)
        if ended:
            outbox.end_send(send, outcome="delivered", counted=True)

    outbox = opened()
    try:
        for kind, value in steps:
            if kind == "pass":
                world.true += value
            elif kind == "wall":
                world.jump = value
            elif kind == "send":
                attempt(outbox, value, ended=True)
            else:
                if kind == "kill":
                    attempt(outbox, value, ended=False)
                outbox.close()
                if kind == "reboot":
                    world.true += value
                    world.booted, world.boots = world.true, world.boots + 1
                outbox = opened()
    finally:
        outbox.close()
    for first, last in itertools.pairwise([*sends[:1], *sends]):
        assert first <= last
    for index, moment in enumerate(sends):
        assert sum(1 for other in sends[index:] if other - moment <= LIMIT.window) <= LIMIT.per_minute


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
def test_a_critical_alert_never_waits_longer_than_the_reserve_is_spaced(arrivals):
    """Whatever else was sent before."""
    limit = Limit(per_minute=18, reserve=3)
    now, sends, waiting_since = 0.0, [], None
    for gap, critical in arrivals:
        now += gap
        if critical and waiting_since is None:
            waiting_since = now
        ages = [now - at for at in sends]
        if waiting_since is not None and room(limit, ages, critical=True):
            sends.append(now)
            waiting_since = None
        while room(limit, [now - at for at in sends], critical=False):
            sends.append(now)
        # Asked at least every five seconds here.
        assert waiting_since is None or now - waiting_since <= limit.window / limit.reserve + 5.0
        assert sum(1 for at in sends if now - at <= limit.window) <= limit.per_minute
