"""From noted collections to the figures."""

from __future__ import annotations

from benchmarks.effort import QUICK, Effort
from benchmarks.gc_freeze import FREEZE, NO_FREEZE, report
from benchmarks.pauses import Pause

EFFORT = Effort(warm_up=100, rounds=1, turns=1, requests=1, seconds=20.0, collections=3, stack=QUICK.stack, notifier=QUICK.notifier)


def test_the_worst_pause_is_that_of_any_generation():
    """Full collections have their own figure, with its spread."""
    measured = {
        FREEZE: [Pause(1.0, 0.002, 0), Pause(2.0, 0.001, 2)],
        NO_FREEZE: [Pause(1.0, 0.3, 2), Pause(2.0, 0.1, 2), Pause(3.0, 0.2, 2)],
    }
    found = report(measured, EFFORT)
    assert [(figure.number, figure.name, figure.value, figure.spread) for figure in found.figures] == [
        (200, "gc_freeze.freeze.worst_pause_milliseconds", 2.0, None),
        (201, "gc_freeze.freeze.full_collection_milliseconds", 1.0, (1.0, 1.0)),
        (202, "gc_freeze.freeze.worst_young_collection_milliseconds", 2.0, None),
        (210, "gc_freeze.no_freeze.worst_pause_milliseconds", 300.0, None),
        (211, "gc_freeze.no_freeze.full_collection_milliseconds", 200.0, (100.0, 300.0)),
        (212, "gc_freeze.no_freeze.worst_young_collection_milliseconds", 0.0, None),
    ]
    assert found.tables[0].rows == (
        ("with gc.freeze()", "2.0", "1.0 (1.0 to 1.0)", "1", "2.00", "1"),
        ("without", "300.0", "200.0 (100.0 to 300.0)", "3", "0.00", "0"),
    )
