"""What is told now, and what waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dingtalk.plan import (
    Form,
    Lane,
    Outgoing,
    Pool,
    RobotView,
    Situation,
    WaitingGroup,
    choose,
    gather,
    hopeless,
    preferred,
    recalls,
    stuck,
)
from dingtalk.quota import Degradation
from dingtalk.rate import Limit

LIMIT = Limit(per_minute=18, reserve=3)


def group(key="g", *, lane=Lane.NORMAL, oldest=100.0, receipts=1, alerts=1, **values):
    return WaitingGroup(receiver="main", group_key=key, lane=lane, oldest=oldest, receipts=receipts, alerts=alerts, **values)


def groups(count, **values):
    return [group(f"g{number:04}", oldest=100.0 + number / 1000, **values) for number in range(count)]


def robot(name="r1", **values):
    return RobotView(name=name, limit=LIMIT, **values)


def situation(*robots, now=101.0, fallback=False):
    robots = robots or (robot(),)
    pool = Pool(robots=tuple(one.name for one in robots), fallback=fallback)
    return Situation(robots={one.name: one for one in robots}, pools={"main": pool}, now=now)


def outgoing(number=1, **values):
    values = {"bundle": number, "receiver": "main", "key": "g", "lane": Lane.NORMAL, "received_at": 100.0, **values}
    return Outgoing(id=number, **values)


def forms(gathered):
    return [(bundle.form, len(bundle.groups)) for bundle in gathered.bundles]


def test_while_there_is_room_each_group_has_its_own_message():
    """Fifteen of fifteen."""
    assert forms(gather(groups(15), [], situation())) == [(Form.GROUP, 1)] * 15


def test_what_exceeds_the_room_is_told_in_one_digest():
    """The last place is the digest's; those that waited longest keep their own."""
    gathered = gather(groups(20), [], situation())
    assert forms(gathered) == [(Form.GROUP, 1)] * 14 + [(Form.DIGEST, 6)]
    assert gathered.bundles[0].groups[0].group_key == "g0000"


def test_a_large_digest_gets_the_places_of_its_parts():
    """Four hundred alerts need four parts, so eleven groups keep their own."""
    gathered = gather(groups(411), [], situation())
    assert forms(gathered) == [(Form.GROUP, 1)] * 11 + [(Form.DIGEST, 400)]


def test_a_digest_has_a_bound():
    """What it cannot hold goes on waiting; in a nearly used minute it holds what has room, unless it is critical."""
    assert forms(gather(groups(5000), [], situation())) == [(Form.DIGEST, 1000)]
    nearly_used = situation(robot(ages=(1.0,) * 13))
    assert forms(gather(groups(5000), [], nearly_used)) == [(Form.DIGEST, 200)]
    assert forms(gather(groups(5000, lane=Lane.CRITICAL), [], nearly_used)) == [(Form.DIGEST, 1000)]


def test_without_room_everything_waits():
    """Nothing is written before it can be sent: it may be merged still."""
    assert forms(gather(groups(3), [], situation(robot(ages=(1.0,) * 15)))) == []
    assert forms(gather(groups(3), [outgoing(left=15)], situation())) == []


def test_critical_groups_go_first_and_have_the_reserve():
    """In a minute that is used up otherwise."""
    waiting = [group("calm", oldest=1.0), group("urgent", lane=Lane.CRITICAL)]
    gathered = gather(waiting, [], situation(robot(ages=(30.0,) * 15)))
    assert [bundle.groups[0].group_key for bundle in gathered.bundles] == ["urgent"]
    gathered = gather(waiting, [], situation())
    assert [bundle.groups[0].group_key for bundle in gathered.bundles] == ["urgent", "calm"]


def test_a_group_under_way_waits():
    """Its end does not overtake its beginning."""
    assert forms(gather([group(busy=True)], [], situation())) == []


def test_a_group_with_many_alerts_is_told_as_a_digest():
    """Nobody reads fifty-one in full."""
    assert forms(gather([group(alerts=50)], [], situation())) == [(Form.GROUP, 1)]
    assert forms(gather([group(alerts=51)], [], situation())) == [(Form.DIGEST, 1)]


def test_a_group_that_flaps_is_told_less_often():
    """After four bundles in a quarter of an hour it is held for five minutes; a critical one for half a minute."""
    assert forms(gather([group(recent=3)], [], situation())) == [(Form.GROUP, 1)]
    assert forms(gather([group(recent=4)], [], situation(now=399.0))) == []
    assert forms(gather([group(recent=4)], [], situation(now=400.0))) == [(Form.GROUP, 1)]
    assert forms(gather([group(recent=4, lane=Lane.CRITICAL)], [], situation(now=130.0))) == [(Form.GROUP, 1)]


def test_repeats_are_given_up_first():
    """At step 1 and beyond; with news among them a group is told."""
    sparing = situation(robot(step=Degradation.NO_REPEATS))
    only, mixed = group("only", receipts=2, repeats=2), group("mixed", receipts=2, repeats=1)
    gathered = gather([only, mixed], [], sparing)
    assert gathered.unsaid == (only,)
    assert [bundle.groups for bundle in gathered.bundles] == [(mixed,)]
    assert gather([only], [], situation()).unsaid == ()


def test_then_what_is_not_critical_is_gathered():
    """A digest each quarter of an hour; critical groups as ever."""
    sparing = robot(step=Degradation.DIGESTS)
    waiting = [*groups(3), group("urgent", lane=Lane.CRITICAL)]
    assert forms(gather(waiting, [], situation(sparing, now=200.0))) == [(Form.GROUP, 1)]
    assert forms(gather(waiting, [], situation(sparing, now=1000.0))) == [(Form.GROUP, 1), (Form.DIGEST, 3)]


def test_at_last_only_critical_groups_are_told():
    """The others wait, or go to the fallback channels after their time."""
    sparing = robot(step=Degradation.CRITICAL_ONLY)
    waiting = [*groups(2), group("urgent", lane=Lane.CRITICAL)]
    assert forms(gather(waiting, [], situation(sparing, now=9999.0))) == [(Form.GROUP, 1)]
    assert forms(gather(waiting, [], situation(sparing, now=9999.0, fallback=True))) == [(Form.GROUP, 1), (Form.DIGEST, 2)]


def test_without_any_robot_the_fallback_waits_its_time():
    """A silenced robot comes back, so without a fallback everything waits for it; a dead one does not."""
    silenced, dead = robot(usable=False), robot(usable=False, hopeless=True)
    assert forms(gather(groups(2), [], situation(silenced, now=600.0, fallback=True))) == []
    assert forms(gather(groups(2), [], situation(silenced, now=700.0, fallback=True))) == [(Form.DIGEST, 2)]
    assert forms(gather(groups(2), [], situation(silenced, now=700.0))) == []
    assert forms(gather(groups(2), [], situation(dead, now=700.0))) == [(Form.DIGEST, 2)]


def test_a_key_stays_with_its_robot():
    """When one goes away, only its own keys move."""
    names = ["a", "b", "c", "d"]
    before = {key: preferred(names, key)[0] for key in map(str, range(200))}
    after = {key: preferred(["a", "b", "c"], key)[0] for key in before}
    assert {before[key] for key in before if before[key] != after[key]} == {"d"}
    assert set(before.values()) == set(names)


def test_a_robot_sends_one_message_at_a_time():
    """Of two, the critical one."""
    sends = choose([outgoing(1), outgoing(2, key="h", lane=Lane.CRITICAL)], situation())
    assert [(part.id, name) for part, name in sends] == [(2, "r1")]
    assert choose([outgoing(1)], situation(robot(busy=True))) == []


def test_when_its_robot_is_out_another_sends():
    """Dead, silenced or without room."""
    first, second = preferred(["r1", "r2"], "g")
    assert choose([outgoing()], situation(robot("r1"), robot("r2")))[0][1] == first
    for out in (robot(first, usable=False), robot(first, ages=(1.0,) * 18)):
        assert choose([outgoing()], situation(out, robot(second)))[0][1] == second


def test_what_may_have_been_sent_waits_for_the_robot_that_sent_it():
    """Only there it is recognised; a robot that is gone recognises nothing."""
    first, second = preferred(["r1", "r2"], "g")
    pinned = outgoing(pinned=second)
    assert choose([pinned], situation(robot(first), robot(second)))[0][1] == second
    assert choose([pinned], situation(robot(first), robot(second, usable=False))) == []
    assert choose([pinned], situation(robot(first), robot(second, usable=False, hopeless=True)))[0][1] == first


def test_an_attempt_waits_for_its_time_also_when_the_clock_was_set_back():
    """No attempt is planned more than an hour ahead."""
    assert choose([outgoing(next_attempt_at=102.0)], situation(now=101.0)) == []
    assert choose([outgoing(next_attempt_at=102.0)], situation(now=102.0)) != []
    assert choose([outgoing(next_attempt_at=9000.0)], situation(now=101.0)) != []


def test_what_could_not_be_sent_is_merged_with_what_follows():
    """Only when nothing of it may stand in the group, and only while it cannot be sent."""
    silenced = situation(robot(usable=False))
    assert recalls([outgoing(recallable=True, followed=True)], silenced) == [1]
    assert recalls([outgoing(recallable=True, followed=True)], situation()) == []
    assert recalls([outgoing(recallable=False, followed=True)], silenced) == []
    assert recalls([outgoing(recallable=True, followed=False)], silenced) == []


def test_a_message_is_stuck_when_no_robot_can_be_expected():
    """For as long as its receiver says; waiting for room is not being stuck."""
    silenced = robot(usable=False)
    assert not stuck(outgoing(), situation(silenced, now=699.0))
    assert stuck(outgoing(), situation(silenced, now=700.0))
    assert not stuck(outgoing(), situation(robot(ages=(1.0,) * 18), now=9999.0))
    assert not hopeless("main", situation(silenced))
    assert hopeless("main", situation(robot(usable=False, hopeless=True)))


lanes = st.sampled_from(Lane)
waiting_groups = st.lists(
    st.builds(
        lambda number, receiver, lane, oldest, alerts, repeats, busy, recent: WaitingGroup(
            receiver=receiver,
            group_key=f"g{number}",
            lane=lane,
            oldest=oldest,
            receipts=2,
            alerts=alerts,
            repeats=repeats,
            busy=busy,
            recent=recent,
        ),
        st.integers(0, 10**9),
        st.sampled_from(["main", "other"]),
        lanes,
        st.floats(0, 1000),
        st.integers(0, 300),
        st.integers(0, 2),
        st.booleans(),
        st.integers(0, 5),
    ),
    max_size=60,
    unique_by=lambda one: (one.receiver, one.group_key),
)
views = st.builds(
    RobotView,
    name=st.just(""),
    limit=st.just(LIMIT),
    usable=st.booleans(),
    hopeless=st.just(False),
    busy=st.booleans(),
    probing=st.booleans(),
    ages=st.lists(st.floats(0, 120), max_size=20).map(tuple),
    step=st.sampled_from(Degradation),
)


@given(waiting_groups, st.lists(views, min_size=3, max_size=3), st.floats(0, 3000), st.booleans())
def test_merging_loses_nothing(waiting, robots, now, fallback):
    """Each group is told once, given up as a repeat, or goes on waiting; critical lanes and others are not mixed."""
    named = {
        f"r{number}": RobotView(**{field: getattr(view, field) for field in view.__slots__} | {"name": f"r{number}"})
        for number, view in enumerate(robots)
    }
    pools = {"main": Pool(robots=("r0", "r1"), fallback=fallback), "other": Pool(robots=("r1", "r2"))}
    gathered = gather(waiting, [], Situation(robots=named, pools=pools, now=now))
    told = [one for bundle in gathered.bundles for one in bundle.groups]
    assert len(told) == len({(one.receiver, one.group_key) for one in told})
    assert set(told) | set(gathered.unsaid) <= set(waiting)
    assert not set(told) & set(gathered.unsaid)
    assert not any(one.busy for one in told)
    for bundle in gathered.bundles:
        assert {(one.receiver, one.lane) for one in bundle.groups} == {(bundle.receiver, bundle.lane)}
    assert all(one.repeats == one.receipts for one in gathered.unsaid)


@given(
    st.lists(st.tuples(lanes, st.floats(0, 200), st.sampled_from(["", "r0", "r1"])), max_size=30),
    st.lists(views, min_size=2, max_size=2),
)
def test_a_robot_is_never_chosen_beyond_its_room(parts, robots):
    """Nor twice, nor when it cannot be used or is busy."""
    named = {
        f"r{number}": RobotView(**{field: getattr(view, field) for field in view.__slots__} | {"name": f"r{number}"})
        for number, view in enumerate(robots)
    }
    waiting = [
        outgoing(number, lane=lane, next_attempt_at=at, pinned=pinned, key=f"g{number}") for number, (lane, at, pinned) in enumerate(parts)
    ]
    sends = choose(waiting, Situation(robots=named, pools={"main": Pool(robots=tuple(named))}, now=101.0))
    assert len(sends) == len({name for _, name in sends})
    for _, name in sends:
        assert named[name].usable
        assert not named[name].busy
        assert sum(1 for age in named[name].ages if age <= 60) < 18
