"""Waits until every process of the stack is really ready, and says which one is not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.duration import duration_text
from cli.stack.marked import SUPERVISOR
from cli.stack.supervisor import SupervisorGone
from service.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cli.stack.process import Process
    from cli.stack.supervisor import Control, Supervised

PAUSE = 0.2
SUPERVISOR_DEADLINE = 20.0
"""Seconds within which supervisord itself must answer."""


class NotReady(StartupError):
    """A process did not become ready; the message has its last words and what to do."""

    exit_code = 69  # EX_UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a process printed since its start: where, and the last lines."""

    log: Path
    lines: list[str]

    def text(self) -> str:
        """For a reader."""
        words = ["its last lines:", *(f"  {line}" for line in self.lines)] if self.lines else ["it printed nothing"]
        return "\n".join([*words, f"the log: {self.log}"])


def wait_until_ready(
    processes: Sequence[Process],
    control: Control,
    *,
    said: Callable[[str], Said],
    alive: Callable[[], bool],
    monotonic: Callable[[], float],
    pause: Callable[[float], object],
    say: Callable[[str], object],
) -> None:
    """Return when all are ready.

    Args:
        processes: whom to wait for.
        control: of their supervisord.
        said: what a process printed.
        alive: whether supervisord runs; asked only while it does not answer.
        monotonic: a clock, in seconds.
        pause: waits so many seconds.
        say: told of each process that is ready.

    Raises:
        NotReady: one ended, or was not ready in time; or supervisord ended.
    """
    begun = monotonic()
    waiting = list(processes)
    while waiting:
        now = monotonic() - begun
        try:
            known = control.processes()
        except SupervisorGone as error:
            if not alive():
                raise NotReady(f"supervisord ended; {said(SUPERVISOR).text()}") from error
            if now > SUPERVISOR_DEADLINE:
                raise NotReady(f"supervisord does not answer ({error}); {said(SUPERVISOR).text()}") from error
            pause(PAUSE)
            continue
        for process in list(waiting):
            reason = unready_reason(process, known.get(process.name))
            if reason is None:
                waiting.remove(process)
                say(f"{process.name} is ready after {duration_text(monotonic() - begun)}")
            elif process.name in known and known[process.name].ended:
                raise _not_ready(process, "it ended as soon as it was started", said(process.name))
            elif now > process.start_deadline:
                raise _not_ready(process, f"after {duration_text(now)}, {reason}", said(process.name))
        if waiting:
            pause(PAUSE)


def unready_reason(process: Process, known: Supervised | None) -> str | None:
    """None when a process runs and answers all its probes well; else why not."""
    if known is None:
        return "nobody supervises it; `mgeo down` ends what is left, `mgeo up` starts anew"
    if known.pid is None:
        return f"it does not run ({known.state.lower()})"
    return next((reason for probe in process.probes if (reason := probe.ask()) is not None), None)


def _not_ready(process: Process, reason: str, said: Said) -> NotReady:
    return NotReady(
        f"{process.name} did not come up: {reason}\n{said.text()}\nthe program: {process.argv[0]}\nwhat to do: {process.advice}"
    )
