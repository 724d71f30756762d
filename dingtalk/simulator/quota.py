"""How many calls an organisation made in a calendar month of Shanghai."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003 -- pydantic reads the journal's types when it runs
from datetime import UTC, datetime, timedelta, timezone

# China has had no summer time since 1991, so the offset is the zone, whatever zone files the machine has.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


def month_of(unix: float) -> str:
    """The calendar month in Shanghai, such as `2026-11`."""
    return datetime.fromtimestamp(unix, UTC).astimezone(SHANGHAI).strftime("%Y-%m")


class MonthlyQuota:
    """Counts calls by organisation and month; knows only the newest month of each, for no other can matter again."""

    def __init__(self) -> None:
        self._months: dict[str, str] = {}
        self._used: Counter[str] = Counter()

    def used(self, organisation: str, unix: float) -> int:
        """How many calls are counted in the month of this moment."""
        return self._used[organisation] if self._months.get(organisation) == month_of(unix) else 0

    def count(self, organisation: str, unix: float, calls: int = 1) -> None:
        """Count calls in the month of this moment; one before the newest month known is of no interest."""
        month, newest = month_of(unix), self._months.get(organisation, "")
        if month > newest:
            self._months[organisation] = month
            self._used[organisation] = 0
        if month >= newest:
            self._used[organisation] += calls

    def totals(self) -> Mapping[str, tuple[str, int]]:
        """Month and calls of every organisation."""
        return {organisation: (month, self._used[organisation]) for organisation, month in self._months.items()}
