"""`python -m benchmarks [NAME…]`: run all benchmarks or those named, and write their figures down."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import drills, gc_freeze, notifier, stack, telemetry_cost
from benchmarks.effort import FULL, QUICK
from benchmarks.figure import from_json, merge, to_json
from benchmarks.machine import Machine, usable_cores
from benchmarks.page import put, section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.effort import Effort
    from benchmarks.figure import Report

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"

# Name → how to run it, and its numbers in the results.
BENCHMARKS: dict[str, tuple[Callable[[Effort], Report], range]] = {
    "telemetry_cost": (telemetry_cost.run, telemetry_cost.NUMBERS),
    "gc_freeze": (gc_freeze.run, gc_freeze.NUMBERS),
    "stack": (stack.run, stack.NUMBERS),
    "notifier": (notifier.run, notifier.NUMBERS),
    "drills": (drills.run, drills.NUMBERS),
}


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and, unless quick, write `benchmarks/results.json` and the sections of `docs/benchmarks.md`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see whether it runs; writes nothing")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    machine = Machine.this(cores=len(usable_cores()))
    for name in chosen.names or BENCHMARKS:
        measure, numbers = BENCHMARKS[name]
        sys.stdout.write(f"{name}: measuring\n")
        load_before = os.getloadavg()[0]
        report = measure(QUICK if chosen.quick else FULL)
        sentence = machine.sentence(at=datetime.now(UTC), load_before=load_before, load_after=os.getloadavg()[0])
        content = section(report, machine=sentence)
        sys.stdout.write(f"\n{content}\n\n")
        if not chosen.quick:
            _write(name, numbers, report, content)
    return 0


def _write(name: str, numbers: range, report: Report, content: str) -> None:
    before = from_json(RESULTS.read_text()) if RESULTS.exists() else []
    RESULTS.write_text(to_json(merge(before, report.figures, replaced=[numbers])))
    PAGE.write_text(put(PAGE.read_text(), name, content))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
