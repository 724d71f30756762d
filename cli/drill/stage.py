"""The running stack as a drill sees it: its processes, its faults, what Prometheus says and what the groups see."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from cli.stack.state import read_state
from cli.stack.supervisor import Control, SupervisorGone
from service.drill_faults import FILE, FaultFile
from service.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cli.stack.layout import Layout
    from cli.stack.process import Process

PAUSE = 0.2
TIMEOUT = 10.0
STOP_DEADLINE = 60.0
START_DEADLINE = 240.0
"""Seconds; Loki trusts itself twenty seconds after its start, and after a kill it first reads its log again."""
_UP = frozenset({"STARTING", "RUNNING"})


class DrillImpossible(ServiceError):
    """There is nothing here that can be drilled; the message says what to do."""


class DrillBroken(ServiceError):
    """The stack did not do what every drill needs, such as start a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time, handed in.

    Attributes:
        unix: seconds since 1970.
        monotonic: seconds that only go forward.
        pause: waits.
    """

    unix: Callable[[], float]
    monotonic: Callable[[], float]
    pause: Callable[[float], object]


class Stage:
    """A stack that may be drilled.

    Args:
        layout: its folders.
        processes: what it consists of.
        control: of its supervisor.
        http: without redirects; whoever made it closes it.
        clock: time.
    """

    def __init__(self, layout: Layout, processes: Sequence[Process], control: Control, *, http: httpx.Client, clock: Clock) -> None:
        self._processes = {process.name: process for process in processes}
        self._control = control
        self._http = http
        self.clock = clock
        self.faults = FaultFile(layout.data_dir / FILE, clock=clock.unix)
        self.scale = float(self._asked("simulator", "/control/state")["scale"])

    @classmethod
    def of(cls, layout: Layout, *, http: httpx.Client, clock: Clock) -> Stage:
        """The stack of a data folder.

        Raises:
            DrillImpossible: it is not up, or may not be drilled.
        """
        state = read_state(layout)
        if state is None:
            raise DrillImpossible(
                f"no stack is up in {layout.data_dir}; bring one up that may be drilled with `mgeo up --profile full --drills on`, "
                "or add --apart for one of the drill's own"
            )
        missing = {"watcher", "simulator", "service", "prometheus", "alertmanager", "notifier"} - set(state.names)
        if missing:
            raise DrillImpossible(
                f"the stack in {layout.data_dir} may not be drilled, for it runs without {', '.join(sorted(missing))}; bring it up with "
                "`mgeo up --drills on` and no MGEO_NOTIFIER_CONFIG, or add --apart for a stack of the drill's own"
            )
        return cls(layout, state.processes, Control(socket=state.socket, password=state.password), http=http, clock=clock)

    # What runs

    def has(self, name: str) -> bool:
        """Whether the stack has a process of this name; the smaller profile lacks some."""
        return name in self._processes

    def url(self, name: str) -> str:
        """Where a process is reached."""
        return self._processes[name].address

    def kill(self, *names: str) -> None:
        """Kill processes with -9, all at once, and keep them away.

        Raises:
            DrillBroken: one does not stay away.
        """
        known = self._known()
        for name in names:
            pid = known[name].pid
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        # supervisord starts what died again, unless it is told not to while it knows that it died.
        for name in names:
            self.stop(name)

    def stop(self, name: str) -> None:
        """End a process in good order, and keep it away.

        Raises:
            DrillBroken: it does not end.
        """

        def stopped() -> bool:
            if self._known()[name].state == "STOPPED":
                return True
            with suppress(SupervisorGone):
                self._control.stop(name)
            return False

        self._until(stopped, STOP_DEADLINE, f"{name} does not stay away")

    def start(self, *names: str) -> None:
        """Start processes that were kept away, and wait until all are ready.

        Raises:
            DrillBroken: one does not become ready.
        """
        # One that is still about to stop, as after an interrupted drill, is started when it has: all are asked again and again.
        for name in names:
            self._started(name)
        for name in names:
            self._until(lambda name=name: self._started(name), START_DEADLINE, f"{name} does not become ready")  # type: ignore[misc]

    def names(self) -> tuple[str, ...]:
        """All processes, in the order in which they are started."""
        return tuple(self._processes)

    # What is seen

    def samples(self, selector: str, seconds: float) -> list[tuple[dict[str, str], list[float]]]:
        """The moments of the raw samples of some series, newest `seconds`, with their labels; nothing while Prometheus is away."""
        try:
            answer = self._asked("prometheus", "/api/v1/query", query=f"{selector}[{max(round(seconds * 1000), 1)}ms]")
        except DrillBroken:
            return []
        return [(series["metric"], [float(at) for at, _ in series["values"]]) for series in answer["data"]["result"]]

    def firing(self) -> set[str]:
        """The alerts that fire now, by name; none while Prometheus is away."""
        try:
            found = self._asked("prometheus", "/api/v1/alerts")["data"]["alerts"]
        except DrillBroken:
            return set()
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    def queue_depth(self) -> float:
        """How many inferences wait in the service; 0 while it does not answer."""
        try:
            text = self._http.get(f"{self.url('service')}/metrics", timeout=TIMEOUT).text
        except httpx.HTTPError:
            return 0.0
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("mgeo_queue_depth"))

    def newest_message(self) -> int:
        """The number of the newest message that a group saw."""
        return int(self._asked("simulator", "/control/state")["last_message"])

    def messages(self, since: int) -> list[dict[str, Any]]:
        """What the groups saw after a message, the oldest first."""
        found: list[dict[str, Any]] = []
        while page := self._asked("simulator", "/messages", since=str(since))["messages"]:
            found += page
            since = page[-1]["index"]
        return found

    def ban(self, robot: str) -> None:
        """Have DingTalk refuse a robot for its ten minutes.

        Raises:
            DrillBroken: the simulator refuses.
        """
        answer = self._http.post(f"{self.url('simulator')}/control/ban", json={"robot": robot}, timeout=TIMEOUT)
        if answer.status_code != httpx.codes.OK:
            raise DrillBroken(f"the simulator answers {answer.status_code} to a ban")

    # Time

    def scaled(self, seconds: float) -> float:
        """So long as rules, Alertmanager and notifier mean by so many seconds."""
        return seconds * self.scale

    def wait(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait, doing something again and again."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            meanwhile()
            self.clock.pause(min(PAUSE, max(end - self.clock.monotonic(), 0.0)))

    def until(self, condition: Callable[[], bool], deadline: float, meanwhile: Callable[[], object] = lambda: None) -> bool:
        """Wait until something holds, doing something again and again; whether it came to hold within `deadline` seconds."""
        end = self.clock.monotonic() + deadline
        while not condition():
            if self.clock.monotonic() >= end:
                return False
            meanwhile()
            self.clock.pause(PAUSE)
        return True

    def _until(self, condition: Callable[[], bool], deadline: float, otherwise: str) -> None:
        if not self.until(condition, deadline):
            raise DrillBroken(f"{otherwise} within {deadline:.0f} s; `mgeo status` tells more")

    def _started(self, name: str) -> bool:
        state = self._known()[name].state
        if state == "STOPPED":
            with suppress(SupervisorGone):
                self._control.start(name)
        # Who is about to stop answers well until then.
        return state in _UP and all(probe.ask() is None for probe in self._processes[name].probes)

    def _known(self) -> Any:
        try:
            return self._control.processes()
        except SupervisorGone as error:
            raise DrillBroken(f"supervisord does not answer ({error})") from error

    def _asked(self, name: str, path: str, **parameters: str) -> Any:  # JSON
        try:
            answer = self._http.get(f"{self.url(name)}{path}", params=parameters, timeout=TIMEOUT)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DrillBroken(f"{name} does not answer {path} ({type(error).__name__})") from error
