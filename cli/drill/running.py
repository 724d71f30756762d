"""Runs drills one after the other: puts each fault in, waits for what the groups see, takes it out, waits for the end, judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.drill.catalogue import BEYOND, usual_rate
from cli.drill.heard import heard
from cli.drill.judging import Expected, endings, judge, tellings
from cli.drill.stage import DrillBroken
from cli.drill.timing import Timing, seen
from cli.stack.drilling import ON_CALL
from cli.stack.interrupts import Interrupted
from dingtalk.notice import Notice
from prometheus.alerting.file import alerts
from prometheus.alerting.rule import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from cli.drill.catalogue import Drill
    from cli.drill.heard import Heard
    from cli.drill.judging import Verdict
    from cli.drill.stage import Stage
    from cli.drill.traffic import Traffic

FIRES_WITHIN = (900.0, 90.0)
"""Seconds beyond the rule's own delay: those that shrink with the minutes, and those that do not, such as the start of a process."""
ENDS_WITHIN = (1800.0, 120.0)
SETTLES_AFTER = (90.0, 4.0)
"""After the last message that must come: whatever else Alertmanager would tell has been told then."""
CALM_WITHIN = (1200.0, 60.0)
"""Before a drill, for what the one before left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one drill.

    Attributes:
        drill: which.
        scale: how long its minutes were.
        verdict: what the groups were told.
        timings: of each expected alert.
    """

    drill: Drill
    scale: float
    verdict: Verdict
    timings: dict[str, Timing]

    @property
    def passed(self) -> bool:
        """Whether all was as it must be."""
        return self.verdict.passed

    def longest(self, step: str) -> float | None:
        """Seconds that a step took for the alert that took longest; None when it is not known of any."""
        found = [seconds for timing in self.timings.values() if (seconds := timing.steps()[step]) is not None]
        return max(found, default=None)


class Drills:
    """Runs drills on a stage, under traffic.

    Args:
        stage: the running stack.
        traffic: for its service.
        say: tells whoever watches how far it is.
    """

    def __init__(self, stage: Stage, traffic: Traffic, say: Callable[[str], object]) -> None:
        self._stage = stage
        self._traffic = traffic
        self._say = say
        self._rate = usual_rate(stage.scale)
        self._known = alerts()
        self._steady_since = stage.clock.monotonic()

    def run(self, drills: Iterable[Drill]) -> Generator[Result, None, None]:
        """Run them; each leaves the stack as it found it, also when this generator is closed in the midst of one.

        Raises:
            DrillBroken: the stack does not do what every drill needs.
        """
        self._stage.faults.clear()
        self._traffic.flow(self._rate)
        self._steady_since = self._stage.clock.monotonic()
        try:
            for drill in drills:
                yield self._run(drill)
        finally:
            self._traffic.stop()

    def _run(self, drill: Drill) -> Result:
        stage, clock = self._stage, self._stage.clock
        expected = [self._expected(name) for name in drill.expects]
        self._prepare(drill)
        self._say(f"{drill.name}: {drill.says}")
        since, fault_at = stage.newest_message(), clock.unix()
        said: list[Heard] = []

        def listen() -> list[Heard]:
            said[:] = heard(stage.messages(since))
            return said

        def told() -> bool:
            if drill.mute:
                return set(drill.expects) <= stage.firing()
            return all(tellings(listen(), name) for name in drill.expects)

        try:
            drill.begin(stage, self._traffic, self._rate)
            came = stage.until(told, self._patience(drill, FIRES_WITHIN), lambda: drill.meanwhile(stage, self._traffic, self._rate))
            if came:
                drill.told(stage, self._traffic, self._rate)
        finally:
            cleared_at = clock.unix()
            self._take_out(drill)
        if came:
            stage.until(lambda: all(endings(listen(), name) for name in drill.expects), self._patience(drill, ENDS_WITHIN))
        stage.wait(self._seconds(SETTLES_AFTER))
        verdict = judge(listen(), expected, permitted={*drill.permits, *BEYOND}, known=self._known)
        timings = {one.name: self._timing(one.name, fault_at, cleared_at, verdict) for one in expected}
        result = Result(drill=drill, scale=stage.scale, verdict=verdict, timings=timings)
        self._say(f"{drill.name}: {'as it must be' if result.passed else '; '.join(verdict.faults)}")
        return result

    def _take_out(self, drill: Drill) -> None:
        """End the fault; a signal in the midst of it has it done anew, so that nothing stays away by half."""
        try:
            drill.end(self._stage, self._traffic, self._rate)
        except (KeyboardInterrupt, Interrupted):
            drill.end(self._stage, self._traffic, self._rate)
            raise

    def _prepare(self, drill: Drill) -> None:
        """Wait until nothing of what is expected fires any more, and until the traffic has been usual for long enough."""
        stage = self._stage
        short = stage.scaled(drill.history) - (stage.clock.monotonic() - self._steady_since)
        if short > 0:
            self._say(f"{drill.name}: first {short:.0f} s of usual traffic")
            stage.wait(short)
        if not stage.until(lambda: not (stage.firing() & set(drill.expects)), self._seconds(CALM_WITHIN)):
            fire = ", ".join(sorted(stage.firing() & set(drill.expects)))
            raise DrillBroken(f"{drill.name}: {fire} fires already, so that nobody could tell what the drill causes; mend that first")

    def _expected(self, name: str) -> Expected:
        alert = self._known.get(name)
        # A notice of the watcher's is as urgent as it says of itself.
        severity = alert.severity if alert is not None else Severity(next(one.severity for one in Notice if one.english == name))
        mobile = ON_CALL.get(severity)
        return Expected(name=name, robot=str(severity), mobiles=() if mobile is None else (mobile,))

    def _timing(self, name: str, fault_at: float, cleared_at: float, verdict: Verdict) -> Timing:
        stage = self._stage
        lasted = stage.clock.unix() - fault_at
        true_at = firing_at = over_at = None
        if name in self._known:
            true_at, firing_at, over_at = seen(stage.samples(f'ALERTS{{alertname="{name}"}}', lasted), since=fault_at)
        return Timing(
            fault_at=fault_at,
            true_at=true_at,
            firing_at=firing_at,
            told_at=verdict.told_at.get(name),
            cleared_at=cleared_at,
            over_at=over_at,
            ended_at=verdict.ended_at.get(name),
        )

    def _patience(self, drill: Drill, within: tuple[float, float]) -> float:
        holds = [alert.hold.seconds + alert.keep.seconds for name in drill.expects if (alert := self._known.get(name)) is not None]
        return self._seconds((within[0] + max(holds, default=0.0), within[1]))

    def _seconds(self, span: tuple[float, float]) -> float:
        return self._stage.scaled(span[0]) + span[1]
