"""What was never told is told late, once; in simulated hours of alerts, silences and absences."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dingtalk.alert import Alert, AlertStatus, Notification
from dingtalk.boot import Boot
from dingtalk.errors import UpstreamFailed
from dingtalk.inhibition import inhibitions
from dingtalk.missed import episodes, labels_of
from dingtalk.outbox.store import Outbox
from dingtalk.prometheus import Rules
from dingtalk.reconcile import AHEAD, Reconciler
from tests.notifier import Time
from tests.unit.dingtalk.heard import MemoryHeard

STEP = 10.0
RULES = Rules(interval=STEP, annotations={"A": {"summary": "of A"}, "B": {}})


class World:
    """Alerts that fire at times, a Prometheus that remembers them, an Alertmanager that is told late ones."""

    def __init__(self, heard=None):
        self.now = 100_000.0
        self.moments = {}
        self.silenced = []
        self.suppressed_copies = []
        self.rules_of_inhibition = ()
        self.told = []
        self.broken = False
        self.delivers = True
        self.heard = heard or MemoryHeard()
        self.late = []
        self.listen()

    def listen(self):
        """A notifier that starts."""
        self.reconciler = Reconciler(
            prometheus=self, alertmanager=self, heard=self.heard, unix=lambda: self.now, on_late=lambda *one: self.late.append(one)
        )

    def fire(self, name):
        self.moments.setdefault(name, []).append(self.now)

    async def rules(self):
        if self.broken:
            raise UpstreamFailed("Prometheus does not answer")
        return RULES

    async def fired(self, since, until, *, step):
        return [
            episode
            for name, moments in self.moments.items()
            for episode in episodes({"alertname": name}, [at for at in moments if since < at <= until], step=step, now=until)
        ]

    async def suppressed(self):
        return [{"alertname": name} for name in self.silenced] + [{"alertname": name, "late": "true"} for name in self.suppressed_copies]

    async def inhibitions(self):
        return self.rules_of_inhibition

    async def tell(self, alerts):
        self.told += alerts

    def hear(self, name, *, since, until=None):
        self.heard.hear(labels_of({"alertname": name}), since=since, at=self.now, until=until)

    def reconcile(self):
        return asyncio.run(self.reconciler.run_once())

    def run(self, seconds, *names, every=60.0, reconciling=True):
        """Let alerts fire for so long, with a comparison each minute."""
        end, due = self.now + seconds, self.now + every
        while self.now < end:
            self.now += STEP
            for name in names:
                self.fire(name)
            if self.delivers:
                self.heard.arrived([labels_of(one.labels) for one in self.told])
            if reconciling and self.now >= due:
                due += every
                self.reconcile()


class StoredHeard:
    """The outbox, with what comes from Alertmanager as its receipts."""

    def __init__(self, outbox, time):
        self.outbox = outbox
        self.time = time

    def __getattr__(self, name):
        """All else is the outbox's own."""
        return getattr(self.outbox, name)

    def hear(self, labels, *, since, at, until=None):
        self.time.now = at
        ended = until is not None
        one = Alert(
            status=AlertStatus.RESOLVED if ended else AlertStatus.FIRING,
            labels=dict(labels),
            starts_at=since,
            ends_at=until,
            fingerprint=repr(sorted(labels)),
        )
        notification = Notification(receiver="main", group_key="g", status=one.status, alerts=(one,))
        self.outbox.receive(notification, b"", replica_window=0.0)


@pytest.fixture
def world():
    world = World()
    world.run(600.0)
    return world


def test_a_first_start_tells_nothing_of_the_past():
    """What fired before there was a notifier was never its own."""
    world = World()
    world.run(7200.0, "A", reconciling=False)
    world.run(600.0)
    assert world.told == []


def test_what_fired_and_ended_while_nobody_listened_is_told_late(world):
    """With its own times, the fixed texts of its rule, and once."""
    began = world.now + STEP
    world.run(300.0, "A", reconciling=False)
    ended = world.now
    world.run(3600.0, reconciling=False)
    world.run(1800.0)
    (late,) = world.told
    assert late.labels == {"alertname": "A", "late": "true"}
    assert late.annotations == {"summary": "of A", "started_at": f"{began:.0f}", "ended_at": f"{ended:.0f}"}
    assert late.ends_at > world.now - 1800.0
    assert ("resolved", 1) in world.late


def test_what_still_fires_and_never_came_is_told_late(world):
    """After Alertmanager had its time."""
    world.run(300.0, "A")
    assert world.told == []
    world.run(900.0, "A")
    assert [(one.labels["alertname"], "ended_at" in one.annotations) for one in world.told] == [("A", False)]
    assert ("firing", 1) in world.late


def test_what_came_by_itself_is_not_told_again(world):
    """However long it fires."""
    since = world.now
    world.run(30.0, "A")
    world.hear("A", since=since)
    world.run(7200.0, "A")
    world.hear("A", since=since, until=world.now)
    world.run(1800.0)
    assert world.told == []


def test_an_end_that_never_came_is_told_late(world):
    """Once; the next time the alert fires is another one."""
    since = world.now
    world.run(30.0, "A")
    world.hear("A", since=since)
    world.run(3600.0, "A", reconciling=False)
    ended = world.now
    world.run(3600.0)
    (late,) = world.told
    assert late.annotations["ended_at"] == f"{ended:.0f}"
    again = world.now + STEP
    world.run(300.0, "A")
    world.run(1200.0)
    assert [one.annotations["started_at"] for one in world.told] == [f"{since:.0f}", f"{again:.0f}"]


def test_a_notifier_that_starts_gives_alertmanager_the_time_to_tell_an_end(world):
    """Of what it told once it goes on telling; only then is it late, and what it has forgotten needs no waiting for."""
    since = world.now
    world.run(30.0, "A")
    world.hear("A", since=since)
    world.run(600.0, "A", "B", reconciling=False)
    world.run(600.0, reconciling=False)
    world.listen()
    world.reconcile()
    assert [one.labels["alertname"] for one in world.told] == ["B"]

    world.run(60.0)
    world.hear("A", since=since, until=world.now - 650.0)
    world.run(1800.0)
    assert [one.labels["alertname"] for one in world.told] == ["B"]


def test_an_end_that_does_not_come_after_a_start_is_told_late_all_the_same(world):
    """A minute and a half later."""
    since = world.now
    world.run(30.0, "A")
    world.hear("A", since=since)
    world.run(600.0, "A", reconciling=False)
    world.run(600.0, reconciling=False)
    world.listen()
    world.reconcile()
    assert world.told == []
    world.run(180.0)
    assert [one.labels["alertname"] for one in world.told] == ["A"]


def test_what_is_silenced_is_not_missed(world):
    """It is Alertmanager's business to keep it back; when the silence ends it may tell it by itself."""
    world.silenced = ["A"]
    world.run(1800.0, "A")
    world.silenced = []
    world.run(120.0, "A")
    assert world.told == []


def test_what_another_one_spoke_for_is_not_missed_though_no_round_saw_it_kept_back(world):
    """It fired and ended between two rounds, or while nobody listened."""
    world.rules_of_inhibition = inhibitions("inhibit_rules: [{source_matchers: ['alertname=A'], target_matchers: ['alertname=~\"B|C\"']}]")
    world.run(1800)
    world.run(600, "A", "B", reconciling=False)
    world.run(3600)
    assert [one.labels["alertname"] for one in world.told] == ["A"]


def test_what_fired_long_before_another_one_could_speak_for_it_is_missed(world):
    """It would have been told by then."""
    world.rules_of_inhibition = inhibitions("inhibit_rules: [{source_matchers: ['alertname=A'], target_matchers: ['alertname=B']}]")
    world.run(1800)
    world.run(600, "B", reconciling=False)
    world.run(600, "A", "B", reconciling=False)
    world.run(3600)
    assert sorted(one.labels["alertname"] for one in world.told) == ["A", "B"]


def test_what_was_kept_back_until_its_end_is_not_told_when_its_beginning_is_out_of_sight(world):
    """The part of it that is looked back on grows shorter from its beginning on, until what is left was never heard of."""
    world.run(300)
    world.silenced = ["A"]
    world.run(170, "A")
    world.silenced = []
    world.run(3600)
    assert world.told == []


def test_an_alert_that_no_rule_of_prometheus_makes_is_left_alone(world):
    """It is told by whoever made it, and Prometheus cannot say that it is over."""
    world.hear("Foreign", since=world.now)
    world.run(3600.0)
    assert world.told == []


def test_when_prometheus_is_away_the_next_comparison_looks_as_far_back(world):
    """Nothing is forgotten."""
    world.run(300.0, "A", reconciling=False)
    world.broken = True
    world.run(1800.0, reconciling=False)
    with pytest.raises(UpstreamFailed):
        world.reconcile()
    world.broken = False
    world.run(120.0)
    assert len(world.told) == 1


def test_what_alertmanager_did_not_take_is_told_the_next_time(world):
    """A failed telling counts for nothing."""
    world.run(300.0, "A", reconciling=False)
    world.run(600.0, reconciling=False)
    taken = world.tell

    async def refuse(alerts):
        raise UpstreamFailed("Alertmanager answered 500")

    world.tell = refuse
    with pytest.raises(UpstreamFailed):
        world.reconcile()
    world.tell = taken
    world.run(120.0)
    assert len(world.told) == 1


def test_what_ended_a_moment_ago_may_be_on_its_way(world):
    """Alertmanager still tries to tell it; after that it is told late, with its whole length."""
    began = world.now + STEP
    world.run(1800.0, "A", reconciling=False)
    ended = world.now
    world.run(30.0, reconciling=False)
    world.reconcile()
    assert world.told == []
    world.run(300.0)
    assert [(one.annotations["started_at"], one.annotations["ended_at"]) for one in world.told] == [(f"{began:.0f}", f"{ended:.0f}")]


def test_what_fired_twice_is_told_as_one(world):
    """From its first beginning to its last end: Alertmanager keeps one alert of the same labels."""
    began = world.now + STEP
    world.run(60.0, "A", reconciling=False)
    world.run(600.0, reconciling=False)
    world.run(60.0, "A", reconciling=False)
    ended = world.now
    world.run(1800.0, reconciling=False)
    world.run(1800.0)
    assert [(one.annotations["started_at"], one.annotations["ended_at"]) for one in world.told] == [(f"{began:.0f}", f"{ended:.0f}")]


def test_what_does_not_come_from_alertmanager_is_posted_again_a_few_times(world):
    """It forgets what it has not told when it is restarted; where it tells it to somebody else, nothing ever comes."""
    world.delivers = False
    world.run(300.0, "A", reconciling=False)
    world.run(600.0, reconciling=False)
    world.run(600.0)
    assert len(world.told) == 1
    world.run(7200.0)
    assert [one.labels["alertname"] for one in world.told] == ["A"] * 3
    assert len({one.annotations["ended_at"] for one in world.told}) == 1
    assert [one for one in world.late if one[1]] == [("resolved", 1)]


def test_what_is_told_late_and_kept_back_by_a_silence_is_not_posted_again(world):
    """The silence is meant for it too."""
    world.delivers = False
    world.run(300.0, "A", reconciling=False)
    world.run(600.0, reconciling=False)
    world.reconcile()
    world.suppressed_copies = ["A"]
    world.run(120.0)
    world.suppressed_copies = []
    world.run(7200.0)
    assert len(world.told) == 1


def test_an_alert_of_severity_none_is_never_missed(world):
    """Prometheus is not asked for it, so it cannot say that it is over."""
    world.heard.hear(labels_of({"alertname": "A", "severity": "none"}), since=world.now, at=world.now)
    world.run(3600.0)
    assert world.told == []


# Shorter than three evaluations is no pause.
PHASE = st.tuples(st.integers(3, 90), st.booleans(), st.booleans())


@settings(max_examples=60, deadline=None)
@given(phases=st.lists(PHASE, min_size=1, max_size=8))
def test_every_end_is_heard_of_or_told_late_and_never_twice(phases):
    """Phases of so many evaluations, in which the alert fires or not, and the notifier is up or not."""
    live_through(phases, World())


@settings(max_examples=10, deadline=None)
@given(phases=st.lists(PHASE, min_size=1, max_size=8))
def test_the_outbox_remembers_it_alike(phases):
    """On disk."""
    time = Time()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Outbox.open(Path(folder), clock=time.clock, boot=Boot(id="boot"), max_queue=100_000)) as outbox,
    ):
        live_through(phases, World(StoredHeard(outbox, time)))


def live_through(phases, world):
    world.run(600.0)
    began = heard = None
    unheard, resolved = [], []
    for steps, fires, up in [*phases, (200, False, True)]:
        for _ in range(steps):
            world.run(STEP, *(["A"] if fires else []), reconciling=False)
            if fires and began is None:
                began, heard = world.now, False
            if fires and up and not heard:
                # Alertmanager tries again and again while it fires.
                heard = True
                world.hear("A", since=began)
            if not fires and began is not None and (up or not heard):
                if heard:
                    world.hear("A", since=began, until=world.now)
                    resolved.append(world.now)
                else:
                    unheard.append((began, world.now - STEP))
                began = None
            if up and world.now % 60.0 < STEP:
                world.reconcile()

    ends = sorted(
        (float(one.annotations["started_at"]), float(one.annotations["ended_at"])) for one in world.told if one.annotations.get("ended_at")
    )
    begun = [(float(one.annotations["started_at"]), one.ends_at - AHEAD) for one in world.told if "ended_at" not in one.annotations]
    # What was told late as firing, and then fired and ended once more by itself, has its end from there.
    assert all(
        any(first <= began and ended <= last for first, last in ends)
        or (any(first <= began <= told for first, told in begun) and max(resolved, default=0.0) > ended)
        for began, ended in unheard
    )
    assert len(ends) <= len(unheard)
    assert all(one[1] < other[0] for one, other in pairwise(ends))
    assert len({first for first, _ in begun}) == len(begun)
