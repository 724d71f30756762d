"""Fire drills: how long each step from a fault to its message takes, in a stack of their own; `mgeo drill all --apart` runs them.

The report with its picture is docs/drills/drills.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.figure import Figure, Report, Table
from benchmarks.native_stack import ROOT
from cli.drill.report import AIMS, STEPS, seconds_text
from prometheus.alerting import limits
from prometheus.alerting.file import alerts
from prometheus.alerting.rule import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.effort import Effort

NUMBERS = range(500, 600)
REPORT = ROOT / "docs" / "drills"
LONGEST = 3600.0
QUICK_DRILLS = ("failing-model", "service-killed")
WAITS = {Severity.CRITICAL: limits.WAIT_CRITICAL, Severity.WARNING: limits.WAIT, Severity.INFO: limits.WAIT}


class DrillsFailedError(Exception):
    """No drill could be run."""


def run(effort: Effort) -> Report:
    """Run every drill once, or two of them when little effort is asked for.

    Raises:
        DrillsFailedError: the stack did not come up.
    """
    quick = effort.rounds < 2
    command = [sys.executable, "-m", "cli.main", "drill", *(QUICK_DRILLS if quick else ("all",)), "--apart", "--json"]
    done = subprocess.run(
        [*command, *(() if quick else (f"--report={REPORT}",))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if not done.stdout.strip():
        raise DrillsFailedError(f"mgeo drill ended with {done.returncode} and no report")
    return report(json.loads(done.stdout))


def report(drills: Sequence[dict[str, Any]]) -> Report:
    """The figures of what `mgeo drill --json` printed."""
    scale = drills[0]["scale"]
    rows = tuple(_row(drill, name, steps) for drill in drills for name, steps in drill["alerts"].items())
    passed = sum(drill["passed"] for drill in drills)
    figures = [
        Figure(
            number=NUMBERS.start,
            name="drills.passed_ratio",
            value=passed / len(drills),
            goal="1",
            met=passed == len(drills),
        ),
        *_slowest(drills),
    ]
    lengths = (
        f"One run of each. A minute of the rules was {60 * scale:g} s long, so what rules and Alertmanager wait for is {scale:g} of "
        f"what it otherwise is: on the way of a critical alert {limits.WAIT_CRITICAL.seconds:g} s, of another {limits.WAIT.seconds:g} s. "
        "The rest is as long as it always is: collections, evaluations, three HTTP calls, two fsyncs."
    )
    remarks = (lengths, "What the drills do, and their timeline: [drills/drills.md](drills/drills.md).")
    header = ("drill", "alert", *(f"{title}, s" for title in STEPS.values()), "")
    return Report(
        figures=tuple(figures), tables=(Table(title="Seconds from a fault to its messages", header=header, rows=rows),), remarks=remarks
    )


def _row(drill: dict[str, Any], name: str, steps: dict[str, Any]) -> tuple[str, ...]:
    cells = (seconds_text(steps[step]) for step in STEPS)
    return drill["name"], name, *cells, "as it must be" if drill["passed"] else "wrong"


def _slowest(drills: Sequence[dict[str, Any]]) -> Iterator[Figure]:
    """What Alertmanager waits for at scale 1, and what delivery took beyond that here, in the slowest drill of each severity."""
    known = alerts()
    for number, severity in enumerate((Severity.CRITICAL, Severity.WARNING), start=NUMBERS.start + 1):
        wait = WAITS[severity].seconds
        beyond = [
            max(steps["firing_to_delivered"] - wait * drill["scale"], 0.0)
            for drill in drills
            # The ban, and an absence, are what keeps the message back there.
            if drill["name"] not in {"dingtalk-banning", "notifier-killed"}
            for name, steps in drill["alerts"].items()
            if name in known and known[name].severity is severity and steps["firing_to_delivered"] is not None
        ]
        if beyond:
            yield Figure(
                number=number,
                name=f"drills.{severity}.slowest_firing_to_delivered_seconds",
                value=wait + max(beyond),
                goal=f"≤ {AIMS[severity]:g} s",
                met=wait + max(beyond) <= AIMS[severity],
            )
