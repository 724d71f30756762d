"""Pure: what came of the drills, as JSON, as a table for a terminal, and as a page with a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus.alerting.rule import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.drill.running import Result

STEPS = {
    "fault_to_true": "fault → true",
    "true_to_firing": "true → firing",
    "firing_to_delivered": "firing → delivered",
    "cleared_to_resolved": "cleared → resolved",
}
AIMS = {Severity.CRITICAL: 15.0, Severity.WARNING: 45.0, Severity.INFO: 45.0}
"""Seconds from firing to delivered, at scale 1."""


def document(result: Result) -> dict[str, Any]:
    """One drill for JSON; durations in seconds, of the alert that took longest, and apart for each."""
    verdict = result.verdict
    return {
        "name": result.drill.name,
        "passed": result.passed,
        "expected": list(result.drill.expects),
        "delivered": list(verdict.delivered),
        "unexpected": list(verdict.unexpected),
        "faults": list(verdict.faults),
        "seconds_to_message": result.longest("fault_to_delivered"),
        "seconds_to_resolved": result.longest("cleared_to_resolved"),
        "scale": result.scale,
        "alerts": {name: {**timing.document(), **timing.steps()} for name, timing in result.timings.items()},
    }


def table(results: Sequence[Result]) -> str:
    """All drills for a terminal, an alert in a line."""
    head = ("DRILL", "ALERT", *(title.upper() for title in STEPS.values()), "")
    rows = [head, *(row for result in results for row in _rows(result))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    wrong = [f"{result.drill.name}: {fault}" for result in results for fault in result.verdict.faults]
    passed = sum(result.passed for result in results)
    return "\n".join([*lines, "", *wrong, f"{passed} of {len(results)} as they must be"]) + "\n"


def page(results: Sequence[Result], *, when: str, machine: str, picture: str) -> str:
    """All drills as Markdown.

    Args:
        results: in the order in which they ran.
        when: the day.
        machine: where.
        picture: the file of the timeline, relative to the page.
    """
    scale = results[0].scale if results else 1.0
    passed = sum(result.passed for result in results)
    said = (
        f"`mgeo drill`, {when}, {machine}: {passed} of {len(results)} as they must be. One minute of the rules was {60 * scale:g} s long "
        f"(`MGEO_DRILL_SCALE = {scale:g}`). All figures are real seconds."
    )
    lines = [
        "# What the drills showed",
        "",
        said,
        "",
        f"![What happened when, a drill in a line]({picture})",
        "",
        "| drill | alert | " + " | ".join(f"{title}, s" for title in STEPS.values()) + " | |",
        "| --- | --- |" + " ---: |" * len(STEPS) + " --- |",
        *("| " + " | ".join(row) + " |" for result in results for row in _rows(result)),
        "",
        *(f"- {result.drill.name}: {result.drill.says}." for result in results),
        "",
    ]
    also = [
        f"- {result.drill.name}: {name} ({reason})."
        for result in results
        for name, reason in result.drill.permits.items()
        if name in result.verdict.delivered
    ]
    if also:
        lines += ["Also told, as it may be:", "", *also, ""]
    wrong = [f"- {result.drill.name}: {fault}." for result in results for fault in result.verdict.faults]
    if wrong:
        lines += ["Wrong:", "", *wrong, ""]
    return "\n".join(lines)


def _rows(result: Result) -> list[tuple[str, ...]]:
    rows = []
    for name, timing in result.timings.items():
        steps = timing.steps()
        figures = [seconds_text(steps[step]) for step in STEPS]
        rows.append((result.drill.name, name, *figures, "as it must be" if result.passed else "WRONG"))
    return rows


def seconds_text(value: float | None) -> str:
    """For a cell of a table."""
    return "–" if value is None else f"{value:.1f}"
