"""Whether today is a working day in mainland China, weekends that are worked and weekdays that are not included."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# Asia/Shanghai: the same the whole year, so no table of time zones need be installed.
CHINA: Final = timezone(timedelta(hours=8))
_SATURDAY: Final = 5


class Calendar(Protocol):
    """Knows the working days of some years."""

    def __call__(self, day: date, /) -> bool:
        """Whether a day is a working day.

        Raises:
            NotImplementedError: the year is not known (yet): the State Council announces the next one each autumn.
        """
        ...


class Workdays:
    """Tells of today. In a year that the calendar does not know, Monday to Friday are worked, and that is told once.

    Args:
        unix_ns: the wall clock.
        uncovered: told of such a year.
        calendar: None takes the library's.
    """

    def __init__(self, unix_ns: Callable[[], int], *, uncovered: Callable[[int], object], calendar: Calendar | None = None) -> None:
        self._unix_ns = unix_ns
        self._uncovered = uncovered
        self._calendar = calendar or _library_calendar()
        self._told: set[int] = set()

    def is_workday(self) -> bool:
        """Whether today, in China, is one."""
        today = datetime.fromtimestamp(self._unix_ns() // 1_000_000_000, CHINA).date()
        try:
            return self._calendar(today)
        except NotImplementedError:
            if today.year not in self._told:
                self._told.add(today.year)
                self._uncovered(today.year)
            return today.weekday() < _SATURDAY


def _library_calendar() -> Calendar:
    from chinese_calendar import is_workday

    calendar: Calendar = is_workday
    return calendar
