"""The open loop: every request leaves when it is due, however slow the answers to earlier ones are.

A closed loop waits for answers and so spares a server exactly when it is slow. Here each latency is measured from the
moment the request was due, so time a request lost on this side is in its latency as well.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from cli.load.arrivals import arrivals
from cli.load.connection import ConnectionFailed
from cli.load.outcome import LoadOutcome, judge, verdict_without_answer
from cli.load.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from cli.load.arrivals import Phase
    from cli.load.outcome import Answer
    from cli.load.request import LoadRequest, RequestFactory
    from cli.load.transport import Transport
    from cli.progress import Progress

LONGEST_SLEEP = 0.25
"""Seconds; bounds how long a stop takes and how old the progress is."""


class LoadGenerator:
    """Sends requests by a schedule and counts what becomes of them.

    Args:
        max_in_flight: requests that may be open at once; one more is not sent, and counted as such.
        patience: seconds an answer may take from the moment the request left, then it is `unreachable`.
        monotonic: seconds of a clock that does not jump.

    Attributes:
        stopping: whether `stop` was called.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        factory: RequestFactory,
        progress: Progress,
        max_in_flight: int,
        patience: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._factory = factory
        self._progress = progress
        self._max_in_flight = max_in_flight
        self._patience = patience
        self._monotonic = monotonic
        self._in_flight = 0
        self.stopping = False

    def stop(self) -> None:
        """Send no more; what is in flight is still waited for."""
        self.stopping = True

    async def run(self, phases: Sequence[Phase], random: Random) -> list[Tally]:
        """Send all phases and wait for every answer; one tally for each phase."""
        tallies = [Tally() for _ in phases]
        started = self._monotonic()
        async with asyncio.TaskGroup() as requests:
            for number, arrival in enumerate(arrivals(phases, random)):
                request = self._factory.make(number)
                await self._until(started, arrival.at, tallies)
                if self.stopping:
                    break
                tally = tallies[arrival.phase]
                if self._in_flight >= self._max_in_flight:
                    tally.not_sent += 1
                    continue
                self._in_flight += 1
                requests.create_task(self._send(request, started + arrival.at, tally))
        return tallies

    async def _until(self, started: float, at: float, tallies: Sequence[Tally]) -> None:
        while True:
            elapsed = self._monotonic() - started
            self._progress.update(elapsed, partial(_note, tallies, self._in_flight))
            # At least one turn of the loop for every request, also when this side is late.
            await asyncio.sleep(min(max(at - elapsed, 0.0), LONGEST_SLEEP))
            if self.stopping or self._monotonic() - started >= at:
                return

    async def _send(self, request: LoadRequest, due: float, tally: Tally) -> None:
        tally.lateness.append(max(self._monotonic() - due, 0.0))
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._transport.send(request)
            verdict = judge(request, answer)
        except (ConnectionFailed, TimeoutError):
            verdict = verdict_without_answer(request, LoadOutcome.UNREACHABLE)
        finally:
            self._in_flight -= 1
        tally.add(request, verdict, answer=answer, latency=self._monotonic() - due)


def _note(tallies: Sequence[Tally], in_flight: int) -> str:
    sent = sum(tally.sent for tally in tallies)
    failed = sum(tally.failures for tally in tallies)
    return f"{sent} answered, {in_flight} in flight, {failed} failed"
