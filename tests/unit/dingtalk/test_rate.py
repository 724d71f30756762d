"""How many messages a robot may send now."""

from __future__ import annotations

from dingtalk.rate import Limit, room, used, wait

LIMIT = Limit(per_minute=18, reserve=3)


def test_a_fresh_robot_has_its_minute():
    """All but the reserve for any alert; critical ones begin with the reserve only when the rest is used."""
    assert room(LIMIT, [], critical=False) == 15
    assert room(LIMIT, [], critical=True) == 16


def test_the_reserve_is_for_critical_alerts():
    """After fifteen sends, one at a time of it is free."""
    ages = [1.0] * 15
    assert room(LIMIT, ages, critical=False) == 0
    assert room(LIMIT, ages, critical=True) == 1


def test_the_reserve_is_spaced():
    """A burst cannot use it up: the next critical alert never waits longer than twenty seconds."""
    ages = [2.0] * 15 + [1.0]
    assert room(LIMIT, ages, critical=True) == 0
    assert 18.9 < wait(LIMIT, ages, critical=True) < 19.1
    assert room(LIMIT, [22.0] * 15 + [21.0], critical=True) == 1


def test_a_send_counts_for_its_whole_minute():
    """Also at its very end."""
    assert used(LIMIT, [0.0, 60.0, 60.001]) == 2
    assert 59.9 < wait(LIMIT, [0.0] * 15, critical=False) < 60.1


def test_nothing_waits_while_there_is_room():
    """Zero seconds."""
    assert wait(LIMIT, [], critical=False) == 0.0


def test_without_a_reserve_all_are_equal():
    """Critical alerts have what others have."""
    limit = Limit(per_minute=2, reserve=0)
    assert room(limit, [1.0], critical=True) == room(limit, [1.0], critical=False) == 1
    assert room(limit, [1.0, 1.0], critical=True) == 0
