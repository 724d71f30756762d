"""What a load found out: as one JSON object, and as a page for a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cli.duration import duration_text
from cli.load.arrivals import expected_requests, total_duration
from cli.load.outcome import LoadOutcome
from cli.load.percentiles import Percentiles
from cli.load.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cli.load.arrivals import Phase
    from cli.load.assertions import Judgement

LATE_GENERATOR = 0.05
"""Seconds of p99 lateness above which the figures say more of this side than of the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """The result of a load.

    Attributes:
        run: what its request ids have in common; they are `load-<run>-<number>`.
        elapsed: seconds in which requests were sent: as planned, or shorter when it was stopped.
        tallies: one for each phase.
        total: all tallies together.
        stopped: whether someone ended it before its time.
    """

    url: str
    run: str
    seed: int
    phases: tuple[Phase, ...]
    elapsed: float
    tallies: tuple[Tally, ...]
    total: Tally
    stopped: bool = False

    @classmethod
    def of(
        cls, *, url: str, run: str, seed: int, phases: Sequence[Phase], tallies: Sequence[Tally], elapsed: float, stopped: bool
    ) -> LoadReport:
        """Add up the phases."""
        total = Tally()
        for tally in tallies:
            total.merge(tally)
        return cls(url=url, run=run, seed=seed, phases=tuple(phases), elapsed=elapsed, tallies=tuple(tallies), total=total, stopped=stopped)

    @property
    def achieved_rate(self) -> float:
        """Requests sent per second."""
        return self.total.sent / self.elapsed if self.elapsed else 0.0

    @property
    def intended_rate(self) -> float:
        """Requests due per second on average, by the phases."""
        return expected_requests(self.phases) / total_duration(self.phases)


def report_json(report: LoadReport, judgements: Sequence[Judgement]) -> dict[str, object]:
    """The report as JSON values; times in seconds, absent statistics as null."""
    total = report.total
    return {
        "url": report.url,
        "run": report.run,
        "request_ids": f"load-{report.run}-<number>",
        "seed": report.seed,
        "stopped": report.stopped,
        "duration_seconds": round(report.elapsed, 3),
        "rate": {"intended": round(report.intended_rate, 3), "achieved": round(report.achieved_rate, 3)},
        "sent": total.sent,
        "not_sent": total.not_sent,
        "outcomes": _counts(total),
        "unexpected_statuses": {str(status): count for status, count in sorted(total.statuses.items())},
        "kinds": {kind.value: count for kind, count in sorted(total.kinds.items())},
        "inferences": total.inferences.total(),
        "inferences_by_outcome": {outcome.value: total.inferences[outcome] for outcome in LoadOutcome},
        "latency_seconds": _latencies(total),
        "lateness_seconds": _percentiles(total.lateness),
        "phases": [
            {
                "duration_seconds": phase.duration,
                "rate": phase.rate,
                "sent": tally.sent,
                "not_sent": tally.not_sent,
                "outcomes": _counts(tally),
                "latency_seconds": _latencies(tally),
            }
            for phase, tally in zip(report.phases, report.tallies, strict=True)
        ],
        "assertions": [asdict(judgement) for judgement in judgements],
        "passed": all(judgement.passed for judgement in judgements),
    }


def report_text(report: LoadReport, judgements: Sequence[Judgement]) -> str:
    """The report for a reader, ending with what should make one doubt it."""
    return "\n".join(_lines(report, judgements)) + "\n"


def _lines(report: LoadReport, judgements: Sequence[Judgement]) -> Iterator[str]:
    total = report.total
    yield f"{total.sent} requests ({total.inferences.total()} inferences) in {duration_text(report.elapsed)} to {report.url}"
    yield f"  {report.achieved_rate:.1f}/s sent, {report.intended_rate:.1f}/s intended; request ids load-{report.run}-<number>"
    yield ""
    yield f"  {'outcome':<12}{'requests':>10}{'share':>9}{'p50':>10}{'p90':>10}{'p95':>10}{'p99':>10}{'max':>10}"
    for outcome in LoadOutcome:
        if count := total.outcomes[outcome]:
            yield _row(outcome.value, count, total.sent, total.latencies[outcome])
    yield _row("all", total.sent, total.sent, total.all_latencies())
    if len(report.phases) > 1:
        yield ""
        yield "  successful requests by phase"
        for phase, tally in zip(report.phases, report.tallies, strict=True):
            success = tally.outcomes[LoadOutcome.SUCCESS]
            name = f"{duration_text(phase.duration)} @ {phase.rate:g}/s"
            yield _row(name, success, tally.sent, tally.latencies.get(LoadOutcome.SUCCESS, ()))
    if judgements:
        yield ""
        for judgement in judgements:
            yield f"  {'ok  ' if judgement.passed else 'FAIL'} {judgement.text}  ({judgement.shown})"
    yield from _doubts(report)


def _doubts(report: LoadReport) -> Iterator[str]:
    total = report.total
    if report.stopped:
        yield "\nStopped before its time: the figures are of what was sent until then."
    if total.not_sent:
        yield (
            f"\n{total.not_sent} requests were due but NOT SENT, because as many were in flight as --connections allows: "
            "the latencies are better than what callers would have seen."
        )
    late = Percentiles.of(total.lateness)
    if late is not None and late.p99 > LATE_GENERATOR:
        yield (
            f"\nThis side was late itself (p99 {duration_text(late.p99)}): it had too little CPU for this rate, "
            "and the latencies contain that."
        )
    if total.statuses:
        statuses = ", ".join(f"{count} times {status}" for status, count in sorted(total.statuses.items()))
        yield f"\nUnexpected HTTP statuses: {statuses}. 401 asks for an API key (MGEO_API_KEY), 404 means a wrong --url."


def _row(name: str, count: int, whole: int, latencies: Iterable[float]) -> str:
    share = f"{count / whole:.1%}" if whole else "-"
    summary = Percentiles.of(latencies)
    times = (
        ["-"] * 5
        if summary is None
        else [duration_text(value) for value in (summary.p50, summary.p90, summary.p95, summary.p99, summary.max)]
    )
    return f"  {name:<12}{count:>10}{share:>9}" + "".join(f"{text:>10}" for text in times)


def _counts(tally: Tally) -> dict[str, int]:
    return {outcome.value: tally.outcomes[outcome] for outcome in LoadOutcome}


def _latencies(tally: Tally) -> dict[str, object]:
    by_outcome = {outcome.value: _percentiles(tally.latencies.get(outcome, ())) for outcome in LoadOutcome}
    return {"all": _percentiles(tally.all_latencies()), **by_outcome}


def _percentiles(samples: Iterable[float]) -> dict[str, float] | None:
    summary = Percentiles.of(samples)
    return None if summary is None else summary.to_json()
