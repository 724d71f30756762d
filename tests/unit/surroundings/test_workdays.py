"""Whether today is a working day in China."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from service.surroundings.workdays import Calendar, Workdays


def workdays_at(moment: str, *, told: list[int] | None = None, calendar: Calendar | None = None) -> Workdays:
    """At a moment of RFC 3339."""
    unix_ns = round(datetime.fromisoformat(moment).timestamp()) * 1_000_000_000
    return Workdays(lambda: unix_ns, uncovered=(told if told is not None else []).append, calendar=calendar)


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        ("2026-11-27", True),  # an ordinary Friday
        ("2026-11-28", False),  # and the weekend after it
        ("2026-11-29", False),
        ("2026-01-01", False),  # New Year
        ("2026-02-14", True),  # a Saturday, worked for the Spring Festival
        ("2026-02-16", False),  # its eve, a Monday
        ("2026-02-23", False),  # its last day, a Monday
        ("2026-02-24", True),
        ("2026-02-28", True),  # a Saturday, worked too
        ("2026-05-09", True),  # a Saturday, worked for the first of May
        ("2026-06-19", False),  # Dragon Boat
        ("2026-09-25", False),  # Mid-Autumn
        ("2026-10-07", False),  # the last of National Day
        ("2026-10-10", True),  # a Saturday, worked for it
    ],
)
def test_a_day_is_worked_as_the_state_council_says(day: str, worked: bool) -> None:
    """By the notice for 2026, weekends that are worked included."""
    told: list[int] = []

    assert workdays_at(f"{day}T12:00:00+08:00", told=told).is_workday() is worked
    assert told == []


@pytest.mark.parametrize(
    ("moment", "worked"),
    [
        ("2026-11-26T15:59:59Z", True),  # still Thursday
        ("2026-11-27T15:59:59Z", True),  # the last second of Friday in China
        ("2026-11-27T16:00:00Z", False),  # Saturday there
        ("2026-11-29T15:59:59Z", False),
        ("2026-11-29T16:00:00Z", True),  # Monday there
    ],
)
def test_the_day_is_that_of_china(moment: str, worked: bool) -> None:
    """Eight hours before that of Greenwich."""
    assert workdays_at(moment).is_workday() is worked


def no_year(_day: date, /) -> bool:
    raise NotImplementedError


def test_in_a_year_that_is_not_known_monday_to_friday_are_worked_and_that_is_told_once() -> None:
    """For each such year."""
    told: list[int] = []
    moments = [datetime(2031, 12, 29, 4, tzinfo=UTC) + timedelta(days=day) for day in range(7)]  # Monday to Sunday, over the new year
    asked = iter(moments)
    workdays = Workdays(lambda: round(next(asked).timestamp()) * 1_000_000_000, uncovered=told.append, calendar=no_year)

    assert [workdays.is_workday() for _ in moments] == [True, True, True, True, True, False, False]
    assert told == [2031, 2032]


def test_the_library_says_which_years_it_does_not_know() -> None:
    """So that the fallback is ever reached: it does not guess."""
    told: list[int] = []

    assert workdays_at("2099-01-01T12:00:00+08:00", told=told).is_workday() is True
    assert told == [2099]
