"""Ends a stack: who sends before who receives, with grace, and whatever is left without; nothing stays."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.stack.marked import SUPERVISOR, marked_processes
from cli.stack.profile import stop_tiers
from cli.stack.state import read_state
from cli.stack.supervisor import Control, SupervisorGone
from service.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.stack.layout import Layout
    from cli.stack.marked import MarkedProcess

DEFAULT_GRACE = 15.0
"""Seconds for a process of which no state is left."""
SUPERVISOR_GRACE = 10.0
KILLED_WITHIN = 10.0
PAUSE = 0.05


class StillRunning(ServiceError):
    """A process outlived SIGKILL: the kernel holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What was ended, by name: by SIGTERM, and by SIGKILL because it did not end in time."""

    stopped: tuple[str, ...] = ()
    killed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there was anything to end."""
        return bool(self.stopped or self.killed)

    def text(self) -> str:
        """For a reader."""
        if not self:
            return "nothing was running"
        killed = f"; killed, since they did not end in time: {', '.join(self.killed)}" if self.killed else ""
        return f"stopped: {', '.join(self.stopped) or 'none'}{killed}"


class Ending:
    """Ends the stack of a data folder; made for one use of `end`."""

    def __init__(self, layout: Layout, *, monotonic: Callable[[], float], pause: Callable[[float], object]) -> None:
        self._layout = layout
        self._monotonic = monotonic
        self._pause = pause
        self._state = read_state(layout)
        self._stopped: list[str] = []
        self._killed: list[str] = []

    def end(self) -> Ended:
        """End every process that bears the stack's mark. Safe to call when nothing runs.

        Raises:
            StillRunning: the kernel does not let one go.
        """
        control = self._control()
        if control is None:
            # A supervisor that does not listen would start again what is ended here.
            self._kill(self._of(SUPERVISOR))
        for tier in stop_tiers(self._names()):
            self._end_tier(tier, control)
        # Before supervisord ends, so that a `mgeo up` that watches it knows that it was meant to.
        for leftover in (self._layout.state, self._layout.conf, *self._layout.tokens):
            leftover.unlink(missing_ok=True)
        if control is not None:
            with contextlib.suppress(SupervisorGone):
                control.shut_down()
            self._wait(lambda: self._of(SUPERVISOR), SUPERVISOR_GRACE)
        self._kill(self._marked())
        self._layout.control_socket().unlink(missing_ok=True)
        return Ended(stopped=tuple(self._stopped), killed=tuple(self._killed))

    def _end_tier(self, tier: tuple[str, ...], control: Control | None) -> None:
        running = {process.program for process in self._of(*tier)}
        for name in tier:
            if control is not None:
                # Also one that waits to be started again.
                with contextlib.suppress(SupervisorGone):
                    control.stop(name)
            else:
                for process in self._of(name):
                    process.signal(signal.SIGTERM)
        self._wait(lambda: self._of(*tier), max((self._grace(name) for name in running), default=0.0))
        late = self._of(*tier)
        self._stopped += [name for name in tier if name in running and name not in {process.program for process in late}]
        self._kill(late)

    def _kill(self, processes: list[MarkedProcess]) -> None:
        for process in processes:
            process.signal(signal.SIGKILL)
            name = process.program or f"process {process.pid}"
            if name not in self._killed:
                self._killed.append(name)
        pids = {process.pid for process in processes}
        if not self._wait(lambda: [process for process in self._marked() if process.pid in pids], KILLED_WITHIN):
            raise StillRunning(
                f"process {', '.join(map(str, sorted(pids)))} does not end, even by SIGKILL: a disk or a driver holds it; see `dmesg`"
            )

    def _wait(self, running: Callable[[], list[MarkedProcess]], seconds: float) -> bool:
        deadline = self._monotonic() + seconds
        while running():
            if self._monotonic() >= deadline:
                return False
            self._pause(PAUSE)
        return True

    def _control(self) -> Control | None:
        if self._state is None:
            return None
        control = Control(socket=self._state.socket, password=self._state.password)
        try:
            control.processes()
        except SupervisorGone:
            return None
        return control

    def _names(self) -> tuple[str, ...]:
        known = self._state.names if self._state else ()
        return (*known, *sorted({process.program for process in self._marked()} - {*known, SUPERVISOR, ""}))

    def _grace(self, name: str) -> float:
        return next(
            (process.stop_grace for process in (self._state.processes if self._state else ()) if process.name == name), DEFAULT_GRACE
        )

    def _of(self, *names: str) -> list[MarkedProcess]:
        return [process for process in self._marked() if process.program in names]

    def _marked(self) -> list[MarkedProcess]:
        return marked_processes(self._layout.run)
