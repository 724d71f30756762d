"""What makes a model serve: its queue, its worker and its circuit breaker, started and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal

from service.batching import MicroBatcher
from service.breaker import BreakerState, CircuitBreaker
from service.errors import StartupError
from service.scoring import Queued, Scored, Scorer
from service.worker import ModelWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.model.base import Model
    from service.settings import InferenceSettings
    from service.telemetry.event import Clock
    from service.telemetry.recorder import Recorder
    from service.ticket import Ticket


class Engine:
    """Takes cleaned pairs, gives tickets. Belongs to one event loop; starts once.

    Args:
        model: answers; used by the worker's thread alone.
        recorder: is given every run.
        settings: queue, batches, worker and breaker.
        clock: both clocks.
        new_batch_id: makes batch ids.
        on_fatal: told once, on any thread, why the process must end, and with which exit code.
        on_restart: told, on any thread, that a worker was replaced, and why.
        on_breaker: told, on any thread, that the breaker has opened (again), or closed.
    """

    def __init__(
        self,
        model: Model,
        recorder: Recorder,
        *,
        settings: InferenceSettings,
        clock: Clock,
        new_batch_id: Callable[[], str],
        on_fatal: Callable[[str, int], None],
        on_restart: Callable[[Literal["died", "stuck"]], None],
        on_breaker: Callable[[BreakerState], None],
    ) -> None:
        self._model = model
        self._on_fatal = on_fatal
        self._breaker = CircuitBreaker(
            failures=settings.breaker_failures, cooldown=settings.breaker_cooldown, clock=clock.monotonic, on_change=on_breaker
        )
        scorer = Scorer(model, recorder, breaker=self._breaker, clock=clock)
        self._batcher: MicroBatcher[Queued, Scored] = MicroBatcher(
            scorer.score,
            max_batch_size=settings.max_batch_size,
            max_queue_delay=settings.max_queue_delay,
            max_queue_size=settings.queue_size,
            new_batch_id=new_batch_id,
            clock=clock.monotonic,
            on_end=scorer.ended,
        )
        self._worker = ModelWorker(
            self._batcher,
            prepare=self._warm_up,
            stuck_after=settings.stuck_after,
            on_restart=on_restart,
            on_fatal=self._fatal,
            clock=clock.monotonic,
        )
        self._warm: asyncio.Future[None] | None = None
        self._draining = False
        self._probe: tuple[Ticket[Queued, Scored], int] | None = None

    @property
    def reason(self) -> str:
        """Why it takes no pairs; empty when it does. An open breaker is no reason: its probes need traffic."""
        if self._worker.fatal_reason:
            return self._worker.fatal_reason
        if self._draining:
            return "the service is shutting down"
        if not self._batcher.accepting:
            return "the model is warming up" if self._warm is not None else "the model has not been started"
        return ""

    @property
    def draining(self) -> bool:
        """Whether it takes nothing new because it is to end."""
        return self._draining

    @property
    def depth(self) -> int:
        """Pairs that are waiting."""
        return self._batcher.depth

    @property
    def breaker_state(self) -> BreakerState:
        """State of the circuit breaker."""
        return self._breaker.state

    async def start(self) -> None:
        """Start the worker, and wait until the model is warm. Pairs before that are refused as not ready.

        Raises:
            StartupError: the model failed its warm-up; `exit_code` is the one `on_fatal` was given before.
        """
        self._warm = asyncio.get_running_loop().create_future()
        self._worker.start()
        await self._warm

    def submit(self, queued: Queued, *, deadline: float) -> Ticket[Queued, Scored]:
        """Queue a pair. Whoever takes the ticket calls `ended` with it when it has ended.

        Args:
            queued: the pair.
            deadline: monotonic moment at which the ticket fails.

        Raises:
            Overloaded: the breaker is open, the queue is full, not open yet, or closed.
            DeadlineExceeded: the deadline has passed already.
        """
        probe = self._breaker.admit()
        try:
            ticket = self._batcher.submit(queued, size=len(queued.pair.address1) + len(queued.pair.address2), deadline=deadline)
        except BaseException:
            self._breaker.release(probe)
            raise
        if probe is not None:
            self._probe = (ticket, probe)
        return ticket

    def ended(self, ticket: Ticket[Queued, Scored]) -> None:
        """Let another probe go when this ticket was the breaker's and never reached the model."""
        if self._probe is not None and self._probe[0] is ticket:
            if ticket.dispatch is None:
                self._breaker.release(self._probe[1])
            self._probe = None

    def drain(self) -> None:
        """Refuse every new pair as shutting down; what is queued goes on."""
        self._draining = True
        self._batcher.drain()

    async def close(self, grace: float) -> None:
        """Give what is queued `grace` seconds, then end the rest as shutting down."""
        self.drain()
        await self._batcher.close(grace)

    async def join(self, timeout: float) -> bool:  # noqa: ASYNC109 -- a bound, not an error
        """After `close`, wait for the worker's thread; False when it is still in the model after `timeout` seconds."""
        return await asyncio.to_thread(self._worker.stop, timeout)

    # On the worker's threads.

    def _warm_up(self) -> None:
        self._model.warmup()
        if self._warm is not None:
            self._batcher.open(self._warm.get_loop())
            self._warmed(None)

    def _fatal(self, reason: str, exit_code: int) -> None:
        self._on_fatal(reason, exit_code)
        failure = StartupError(reason)
        failure.exit_code = exit_code
        self._warmed(failure)

    def _warmed(self, failure: StartupError | None) -> None:
        if self._warm is not None:
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits for the model any more.
                self._warm.get_loop().call_soon_threadsafe(_settle, self._warm, failure)


def _settle(warm: asyncio.Future[None], failure: StartupError | None) -> None:
    if warm.done():
        return
    if failure is None:
        warm.set_result(None)
    else:
        warm.set_exception(failure)
