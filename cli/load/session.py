"""Runs a plan against the service it names: connections, progress, Ctrl-C."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, TextIO

from cli.load.arrivals import total_duration
from cli.load.generator import LoadGenerator
from cli.load.report import LoadReport
from cli.load.request import RequestFactory
from cli.load.transport import HttpTransport
from cli.progress import open_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.load.plan import LoadPlan

SPARE_FILES = 64
"""Open files the process needs besides its connections."""


async def run_plan(plan: LoadPlan, stream: TextIO) -> LoadReport:
    """Send what is planned and report; progress goes to `stream`. Ctrl-C ends the sending, not the report.

    Raises:
        ConnectionFailed: nothing listens at the address, so nothing was sent.
    """
    transport = HttpTransport(plan.url, api_key=plan.api_key)
    await transport.probe()
    # Streams of their own: another mix sends at the same moments.
    requests, moments = (Random(f"{use} {plan.seed}") for use in ("requests", "arrivals"))  # noqa: S311 -- load, not secrets
    factory = RequestFactory(run=plan.run, mix=plan.mix, pairs=plan.pairs, batch_size=plan.batch_size, random=requests)
    planned = total_duration(plan.phases)
    with open_progress("load", planned, stream) as progress:
        generator = LoadGenerator(
            transport=transport, factory=factory, progress=progress, max_in_flight=plan.connections, patience=plan.patience
        )
        started = time.monotonic()
        with _interrupt(generator.stop):
            tallies = await generator.run(plan.phases, moments)
    transport.close()
    return LoadReport.of(
        url=str(plan.url),
        run=plan.run,
        seed=plan.seed,
        phases=plan.phases,
        tallies=tallies,
        elapsed=min(time.monotonic() - started, planned) if generator.stopping else planned,
        stopped=generator.stopping,
    )


def allow_open_files(connections: int) -> None:
    """Let this process have that many connections.

    Raises:
        ValueError: the system allows fewer; says how many.
    """
    needed = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise ValueError(f"--connections {connections}: this process may have {hard} open files; use at most {hard - SPARE_FILES}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@contextmanager
def _interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C stops the sending; a second one ends the program as usual."""
    loop = asyncio.get_running_loop()
    previous = signal.getsignal(signal.SIGINT)

    def interrupted() -> None:
        stop()
        restore()

    def restore() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, previous)

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        restore()
