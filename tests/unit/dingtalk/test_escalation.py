"""Who is asked next when nobody takes a critical alert."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.escalation import Ask, Case, Rota

ROTA = Rota(people=("张三", "李四"), phone=True, after=300.0)


def run(rota, until, *, step=1.0, taken_at=None, away=()):
    """Who was asked, and when, in seconds since the case was opened."""
    case = Case.opened("critical", "g", 0.0)
    asked = []
    now = 0.0
    while now <= until:
        if taken_at is not None and now >= taken_at:
            case = case.taken("王五", now)
        if not any(begin <= now < end for begin, end in away) and (found := rota.next(case, now)) is not None:
            ask, case = found
            asked.append((now, ask.person))
        now += step
    return asked


def test_one_after_the_other_then_the_phone_then_nobody():
    """Five minutes each."""
    assert run(ROTA, 5000) == [(300.0, "张三"), (600.0, "李四"), (900.0, None)]


def test_without_a_phone_it_ends_with_the_last():
    """And without a rota it begins with the phone."""
    assert run(Rota(people=("张三",), phone=False, after=300.0), 5000) == [(300.0, "张三")]
    assert run(Rota(people=(), phone=True, after=300.0), 5000) == [(300.0, None)]
    assert run(Rota(people=(), phone=False, after=300.0), 5000) == []


@pytest.mark.parametrize(("at", "asked"), [(0, []), (299, []), (301, [(300.0, "张三")]), (900, [(300.0, "张三"), (600.0, "李四")])])
def test_who_takes_it_ends_it(at, asked):
    """At any moment before the next is asked."""
    assert run(ROTA, 5000, taken_at=at) == asked


def test_whoever_took_it_first_keeps_it():
    """A second click says who has it."""
    case = Case.opened("critical", "g", 0.0).taken("张三", 10.0)
    assert case.taken("李四", 20.0) == case
    assert (case.taken_by, case.taken_at) == ("张三", 10.0)


def test_after_an_absence_they_are_not_all_asked_at_once():
    """Each has the time to take it."""
    assert run(ROTA, 9000, away=[(100.0, 4000.0)]) == [(4000.0, "张三"), (4300.0, "李四"), (4600.0, None)]


@given(st.lists(st.floats(0, 500), max_size=40), st.integers(0, 4), st.booleans())
def test_nobody_is_asked_twice_and_each_has_his_time(waits, people, phone):
    """Whenever it is looked at."""
    rota = Rota(people=tuple(f"p{number}" for number in range(people)), phone=phone, after=300.0)
    case, now, asked = Case.opened("critical", "g", 0.0), 0.0, []
    for wait in waits:
        now += wait
        if (found := rota.next(case, now)) is not None:
            ask, case = found
            asked.append((now, ask))
    assert [ask for _, ask in asked] == [*(Ask(person=name) for name in rota.people), *([Ask(person=None)] if phone else [])][: len(asked)]
    times = [0.0, *(at for at, _ in asked)]
    assert all(later - earlier >= 300.0 for earlier, later in itertools.pairwise(times))
