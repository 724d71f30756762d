"""Waits until every process of the stack is really ready, and says which one is not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.duration import duration_text
from cli.stack.log_tail import log_tail
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


def not_ready(process: Process, reason: str, log: Path) -> Exception:
    """The error for a process that did not come up."""
    lines = log_tail(log)
    said = ["its last lines:", *(f"  {line}" for line in lines)] if lines else ["it printed nothing"]
    program = process.argv[0]
    return NotReady("\n".join([f"{process.name} did not come up: {reason}", *said, f"the program: {program}", f"the log: {log}", f"what to do: {process.advice}"]))


def wait_until_ready(
    processes: Sequence[Process],
    control: Control,
    *,
    log: Callable[[str], Path],
    monotonic: Callable[[], float],
    pause: Callable[[float], object],
    say: Callable[[str], object],
) -> None:
    """Return when all are ready; `say` is told of each.

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
            if now > SUPERVISOR_DEADLINE:
                raise _gone(error, log("supervisord")) from error
            pause(PAUSE)
            continue
        for process in list(waiting):
            reason = _reason(process, known.get(process.name))
            if reason is None:
                waiting.remove(process)
                say(f"{process.name} is ready after {duration_text(monotonic() - begun)}")
            elif process.name in known and known[process.name].ended:
                raise not_ready(process, "it ended as soon as it was started", log(process.name))
            elif now > process.start_deadline:
                raise not_ready(process, f"after {duration_text(now)}, {reason}", log(process.name))
        if waiting:
            pause(PAUSE)


def unready_reason(process: Process, known: Supervised | None) -> str | None:
    """None when a process runs and answers all its probes well; else why not."""
    return _reason(process, known)


def _reason(process: Process, known: Supervised | None) -> str | None:
    if known is None or known.pid is None:
        return f"it does not run ({known.state.lower() if known else 'unknown'})"
    return next((reason for probe in process.probes if (reason := probe.ask()) is not None), None)


def _gone(error: SupervisorGone, log: Path) -> NotReady:
    lines = [*log_tail(log.with_suffix(".out")), *log_tail(log)]
    return NotReady("\n".join([f"supervisord does not answer: {error}", *(f"  {line}" for line in lines), f"the log: {log}"]))
