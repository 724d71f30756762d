"""What a load must fulfil, such as `p95<800ms,errors<1%`: read before the first request, judged after the last.

::

    assertions = term, {",", term}
    term       = metric, ("<" | "<=" | ">" | ">=" | "="), number, [unit]
    metric     = [source, "."], ("p50" | "p90" | "p95" | "p99" | "max" | "mean")    a time, with us, ms or s
               | outcome | "errors" | "not_sent"                                    a count, or a share with %
               | "sent" | "rate"                                                    requests; requests a second
    source     = outcome | "all" | "lateness"

Times without a source are those of successful requests: a server that refuses at once must not look fast.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cli.duration import duration_text, parse_duration
from cli.load.outcome import LoadOutcome
from cli.load.percentiles import Percentiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cli.load.report import LoadReport

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
STATISTICS = ("p50", "p90", "p95", "p99", "max", "mean")
SOURCES = ("all", "lateness", *LoadOutcome)
COUNTS = ("errors", "not_sent", *LoadOutcome)
TOTALS = ("sent", "rate")

_TERM = re.compile(r"\s*([a-z_]+(?:\.[a-z0-9]+)?|[a-z]\d\d)\s*(<=|>=|==|<|>|=)\s*([0-9.]+)\s*([a-zµ%/]*)\s*")


class Unit(StrEnum):
    """What the number of a term measures."""

    SECONDS = "seconds"
    PERCENT = "percent"
    COUNT = "count"
    RATE = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One condition: its text, and what it compares."""

    text: str
    metric: str
    comparison: str
    bound: float
    unit: Unit

    def judge(self, report: LoadReport) -> Judgement:
        """Compare with what was measured. A value that does not exist, such as a percentile of nothing, fails."""
        actual = self._actual(report)
        passed = actual is not None and COMPARISONS[self.comparison](actual, self.bound)
        return Judgement(text=self.text, actual=actual, shown=_shown(actual, self.unit), passed=passed)

    def _actual(self, report: LoadReport) -> float | None:
        if self.unit is Unit.SECONDS:
            source, _, statistic = self.metric.rpartition(".")
            return _statistic(report, source or LoadOutcome.SUCCESS.value, statistic)
        if self.unit is Unit.RATE:
            return report.achieved_rate
        count = _count(report, self.metric)
        if self.unit is Unit.COUNT:
            return count
        whole = report.total.sent + (report.total.not_sent if self.metric == "not_sent" else 0)
        return 100 * count / whole if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A term, what was measured in the term's unit, the same for a reader, and whether the term holds."""

    text: str
    actual: float | None
    shown: str
    passed: bool


ALL_SENT = Term(text="not_sent=0", metric="not_sent", comparison="=", bound=0, unit=Unit.COUNT)
"""Stands in every list that does not speak of `not_sent` itself: a load that was not sent proves nothing."""


def parse_assertions(text: str) -> tuple[Term, ...]:
    """Read a list of terms.

    Raises:
        ValueError: a term cannot be understood; the message says what can be written.
    """
    terms = tuple(_term(part) for part in text.split(","))
    return terms if any(term.metric == "not_sent" for term in terms) else (*terms, ALL_SENT)


def _term(text: str) -> Term:
    found = _TERM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text.strip()!r} is not an assertion; write METRIC<NUMBER, such as p95<800ms or errors<1%")
    metric, comparison, number, unit_text = found.groups()
    try:
        bound, unit = _bound(metric, number, unit_text)
    except ValueError as error:
        raise ValueError(f"{text.strip()!r} is not an assertion: {error}") from error
    return Term(text=text.strip(), metric=metric, comparison=comparison.replace("==", "="), bound=bound, unit=unit)


def _bound(metric: str, number: str, unit: str) -> tuple[float, Unit]:
    source, dot, statistic = metric.rpartition(".")
    if statistic in STATISTICS and (not dot or source in SOURCES):
        return parse_duration(number + unit), Unit.SECONDS
    if metric in COUNTS and unit in {"", "%"}:
        return float(number), Unit.PERCENT if unit else Unit.COUNT
    if metric in TOTALS and unit in {"", "/s"}:
        return float(number), Unit.RATE if metric == "rate" else Unit.COUNT
    if metric in COUNTS:
        raise ValueError(f"{metric} is a count, or a share with %")
    if metric in TOTALS:
        raise ValueError(f"{metric} is a plain number")
    raise ValueError(f"there is no {metric!r}; there are {', '.join((*STATISTICS, *COUNTS, *TOTALS))}, and times by source such as all.p95")


def _statistic(report: LoadReport, source: str, statistic: str) -> float | None:
    if source == "lateness":
        samples = Percentiles.of(report.total.lateness)
    elif source == "all":
        samples = Percentiles.of(report.total.all_latencies())
    else:
        samples = Percentiles.of(report.total.latencies.get(LoadOutcome(source), ()))
    return None if samples is None else float(getattr(samples, statistic))


def _count(report: LoadReport, metric: str) -> int:
    totals = {"errors": report.total.failures, "not_sent": report.total.not_sent, "sent": report.total.sent}
    return totals[metric] if metric in totals else report.total.outcomes[LoadOutcome(metric)]


def _shown(actual: float | None, unit: Unit) -> str:
    if actual is None:
        return "nothing to measure"
    if unit is Unit.SECONDS:
        return duration_text(actual)
    return {Unit.PERCENT: f"{actual:.2f}%", Unit.COUNT: f"{actual:.0f}", Unit.RATE: f"{actual:.1f}/s"}[unit]
