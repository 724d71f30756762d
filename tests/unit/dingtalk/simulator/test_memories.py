"""What a robot remembers by itself: its ban, its month, its msgUuids, its callers."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dingtalk.simulator.ban import Ban
from dingtalk.simulator.egress import EgressGate
from dingtalk.simulator.memory import UuidMemory
from dingtalk.simulator.quota import MonthlyQuota, month_of


def unix(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()


def test_a_ban_lasts_its_duration_and_no_longer():
    """Ten minutes from its start."""
    ban = Ban()
    assert ban.remaining(0.0, 600.0) == 0.0
    ban.start(100.0)
    assert ban.remaining(100.0, 600.0) == 600.0
    assert ban.remaining(699.0, 600.0) == 1.0
    assert ban.remaining(700.0, 600.0) == 0.0
    ban.start(200.0)
    assert ban.remaining(700.0, 600.0) == 100.0
    ban.lift()
    assert ban.remaining(200.0, 600.0) == 0.0


def test_a_ban_that_is_scaled_while_it_runs_ends_sooner():
    """Drills do so."""
    ban = Ban()
    ban.start(0.0)
    assert ban.remaining(10.0, 600.0) == 590.0
    assert ban.remaining(10.0, 10.0) == 0.0


def test_the_month_begins_at_midnight_in_shanghai():
    """Which is 16:00 UTC of the day before."""
    assert month_of(unix(2026, 11, 30, 15, 59, 59)) == "2026-11"
    assert month_of(unix(2026, 11, 30, 16, 0, 0)) == "2026-12"
    assert month_of(unix(2026, 12, 31, 16, 0, 0)) == "2027-01"


def test_the_quota_starts_anew_with_the_month_and_is_apart_for_each_organisation():
    """One organisation's calls are no other's."""
    quota = MonthlyQuota()
    november, december = unix(2026, 11, 30, 15), unix(2026, 11, 30, 17)
    quota.count("a", november, 3)
    quota.count("b", november)
    assert (quota.used("a", november), quota.used("b", november), quota.used("c", november)) == (3, 1, 0)
    assert quota.used("a", december) == 0
    quota.count("a", december)
    assert (quota.used("a", december), quota.used("b", december)) == (1, 0)
    assert quota.totals() == {"a": ("2026-12", 1), "b": ("2026-11", 1)}


def test_a_call_of_an_older_month_changes_nothing():
    """A wall clock can be set back."""
    quota = MonthlyQuota()
    quota.count("a", unix(2026, 12, 5))
    quota.count("a", unix(2026, 11, 5))
    assert quota.used("a", unix(2026, 12, 5)) == 1


def test_a_uuid_is_known_for_its_time_from_the_delivery_on():
    """By the robot that delivered it alone."""
    memory = UuidMemory(10)
    memory.keep("ops", "u", 0.0, 7)
    assert memory.recall("ops", "u", 599.0, 600.0) == 7
    assert memory.recall("ops", "u", 600.0, 600.0) is None
    assert memory.recall("ops", "v", 1.0, 600.0) is None
    assert memory.recall("dev", "u", 1.0, 600.0) is None


def test_a_memory_of_no_length_knows_nothing():
    """Not even at the same instant."""
    memory = UuidMemory(10)
    memory.keep("ops", "u", 5.0, 1)
    assert memory.recall("ops", "u", 5.0, 0.0) is None


@given(st.lists(st.integers(0, 20), min_size=20, max_size=60), st.integers(1, 8))
def test_the_memory_keeps_the_newest_of_its_size(uuids, size):
    """However often they come."""
    memory = UuidMemory(size)
    for index, uuid in enumerate(uuids):
        memory.keep("ops", str(uuid), 0.0, index)
    newest = list(dict.fromkeys(str(uuid) for uuid in reversed(uuids)))[:size]
    assert [uuid for uuid in map(str, range(21)) if memory.recall("ops", uuid, 0.0, 1.0) is not None] == sorted(newest, key=int)


def test_an_address_over_its_limit_is_blocked_for_its_time_and_others_are_not():
    """The call over the limit is turned away already."""
    gate = EgressGate(3)

    def admit(address: str, now: float) -> bool:
        return gate.admit(address, now, width=20.0, block=300.0)

    assert [admit("192.0.2.1", 0.0) for _ in range(4)] == [True, True, True, False]
    assert admit("192.0.2.2", 0.0)
    assert not admit("192.0.2.1", 299.0)
    assert admit("192.0.2.1", 300.0)
    gate.block("192.0.2.2", 300.0)
    assert not admit("192.0.2.2", 301.0)
    gate.clear()
    assert admit("192.0.2.2", 301.0)


def test_callers_that_are_unheard_of_for_long_are_forgotten():
    """A scanner with many addresses fills no memory."""
    gate = EgressGate(1)
    assert gate.admit("first", 0.0, width=20.0, block=300.0)
    for number in range(1024):
        assert gate.admit(str(number), 0.0, width=20.0, block=300.0)
    assert gate.admit("first", 0.0, width=20.0, block=300.0)
