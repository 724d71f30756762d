"""Results of drills as tests make them up: literal moments, and a drill that never ran."""

from __future__ import annotations

from cli.drill.catalogue import Drill, no_fault
from cli.drill.judging import Verdict
from cli.drill.running import Result
from cli.drill.timing import Timing

START = 1_770_000_000.0


def drill(name="slow-model", *, expects=("HighLatency",), says="each run of the model takes longer", **more):
    """One whose fault is none."""
    return Drill(name=name, says=says, expects=expects, begin=no_fault, end=no_fault, **more)


def timing(**at):
    """Seconds after the fault by moment, `true=15`."""
    return Timing(fault_at=START, **{f"{name}_at": START + seconds for name, seconds in at.items()})


def verdict(*faults, delivered=("HighLatency",), unexpected=()):
    return Verdict(delivered=delivered, unexpected=unexpected, told_at={}, ended_at={}, faults=faults)


def result(one=None, said=None, timings=None, *, scale=0.05):
    """A drill that passed, unless `said` has faults."""
    whole = timing(true=15.5, firing=30.5, told=33, cleared=33.25, over=45, ended=50.75)
    return Result(
        drill=one or drill(), scale=scale, verdict=said or verdict(), timings={"HighLatency": whole} if timings is None else timings
    )
