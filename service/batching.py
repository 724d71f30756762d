"""Dynamic micro-batches: a bounded queue that asyncio tasks fill and a model thread empties.

Callers live on one event loop. A worker thread takes batches straight from the queue under its lock, so between two
batches it never waits for the loop; one call into the loop delivers all answers of a batch. A free worker takes what
is there at once: batches form by themselves while it is busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Generic

from service.batch import Batch, BatchRun
from service.errors import DeadlineExceeded, ErrorType, InferenceRefused, ModelError, ModelPoisoned, Overloaded
from service.length_queue import LengthQueue
from service.ticket import Answered, Dispatch, ItemT, OutputT, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Answered", "Batch", "BatchRun", "Dispatch", "MicroBatcher", "Ticket"]

RETRY_AFTER = 1.0
"""Seconds until a retry makes sense when nothing better is known."""

MIN_RETRY_AFTER = 0.1
MAX_RETRY_AFTER = 60.0


class _State(Enum):
    NEW = "new"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class MicroBatcher(Generic[ItemT, OutputT]):
    """The queue between callers and the worker.

    Args:
        process: called with a batch's id and items on the worker's thread; returns one output per item, in order.
        max_batch_size: most items in a batch.
        max_queue_delay: seconds a free worker waits for a fuller batch, from the arrival of its oldest entry; 0 never waits.
        max_queue_size: entries that may wait; one more is refused.
        new_batch_id: makes the id of a batch.
        clock: monotonic seconds.
        on_end: told of the end of every batch, exactly once each and before any of its tickets ends, on whichever thread ended it.
    """

    def __init__(
        self,
        process: Callable[[str, Sequence[ItemT]], Sequence[OutputT]],
        *,
        max_batch_size: int,
        max_queue_delay: float,
        max_queue_size: int,
        new_batch_id: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
        on_end: Callable[[BatchRun[ItemT, OutputT]], None] = lambda _: None,
    ) -> None:
        self._process = process
        self._max_batch_size = max_batch_size
        self._max_queue_delay = max_queue_delay
        self._max_queue_size = max_queue_size
        self._new_batch_id = new_batch_id
        self._clock = clock
        self._on_end = on_end
        # Guards what both sides touch: the state, the queue, and which batch is running.
        self._changed = threading.Condition(threading.Lock())
        self._state = _State.NEW
        self._waiting: LengthQueue[ItemT, OutputT] = LengthQueue()
        self._running: Batch[ItemT, OutputT] | None = None
        self._run_seconds: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # Touched on the loop's thread alone.
        self._open_tickets = 0
        self._drained: asyncio.Future[None] | None = None

    @property
    def depth(self) -> int:
        """How many are waiting."""
        return len(self._waiting)

    @property
    def accepting(self) -> bool:
        """Whether `submit` takes anything at all."""
        return self._state is _State.OPEN

    @property
    def running(self) -> Batch[ItemT, OutputT] | None:
        """The batch that was taken and has not ended."""
        return self._running

    # For callers, on the loop's thread.

    def submit(self, item: ItemT, *, size: int, deadline: float) -> Ticket[ItemT, OutputT]:
        """Join the queue. To be called on the loop that `open` was given.

        Args:
            item: goes to `process`.
            size: its length; entries of like length run together.
            deadline: monotonic moment at which the ticket fails.

        Raises:
            Overloaded: the queue is full, not open yet, or closed.
            DeadlineExceeded: the deadline has passed already.
        """
        now = self._clock()
        if deadline <= now:
            raise DeadlineExceeded(ErrorType.DEADLINE_EXCEEDED)
        with self._changed:
            if self._state is not _State.OPEN or self._loop is None:
                raise Overloaded(ErrorType.NOT_READY if self._state is _State.NEW else ErrorType.SHUTTING_DOWN, retry_after=RETRY_AFTER)
            depth = len(self._waiting)
            if depth >= self._max_queue_size:
                raise Overloaded(ErrorType.QUEUE_FULL, retry_after=self._time_to_empty(depth))
            ticket: Ticket[ItemT, OutputT] = Ticket(
                item, size=size, deadline=deadline, enqueued_at=now, loop=self._loop, depart=self._depart
            )
            self._waiting.add(ticket)
            # A worker waits only for a first entry or for a full batch.
            if depth == 0 or depth + 1 == self._max_batch_size:
                self._changed.notify()
        self._open_tickets += 1
        return ticket

    def drain(self) -> None:
        """Refuse what is new from now on; what is here goes on."""
        with self._changed:
            if self._state is not _State.CLOSED:
                self._state = _State.DRAINING
                self._changed.notify_all()

    async def close(self, drain_timeout: float) -> None:
        """Refuse what is new, give what is here `drain_timeout` seconds to finish, then end the rest as shutting down."""
        self.drain()
        if self._open_tickets and self._loop is not None:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.wait([self._drained], timeout=drain_timeout)
        self.shut(Overloaded(ErrorType.SHUTTING_DOWN, retry_after=RETRY_AFTER))

    # For the worker, on any thread.

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let callers of `loop` in. Does nothing when the queue was closed meanwhile."""
        with self._changed:
            if self._state is _State.NEW:
                self._loop = loop
                self._state = _State.OPEN

    def take(self) -> Batch[ItemT, OutputT] | None:
        """Wait for the next batch; None when the queue is closed for good."""
        with self._changed:
            while self._state is not _State.CLOSED:
                wait = self._time_to_cut()
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                elif (batch := self._cut()) is not None:
                    self._running = batch
                    return batch
        return None

    def run(self, batch: Batch[ItemT, OutputT]) -> bool:
        """Process a batch and end it.

        Returns:
            Whether it was still ours to end. False: it was given up meanwhile, what came of it is dropped, and the
            caller has been replaced.

        Raises:
            ModelPoisoned: the batch has ended as `device_failed`.
            BaseException: what no worker survives (any that is no `Exception`, and `MemoryError`); the batch has ended as `worker_died`.
        """
        outputs: Sequence[OutputT] = ()
        failure: ModelError | None = None
        fatal: BaseException | None = None
        try:
            outputs = self._process(batch.dispatch.batch_id, batch.items)
            if len(outputs) != len(batch.tickets):
                failure = ModelError(ErrorType.INVALID_OUTPUT)
        except BaseException as error:  # noqa: BLE001 -- whatever the model raises, its batch ends
            failure = _failure(error)
            fatal = None if failure.error_type in {ErrorType.MODEL_FAILED, ErrorType.INVALID_OUTPUT} else error
        try:
            if not self._end(batch, outputs, failure):
                return False
            if fatal is not None:
                raise fatal
            return True
        finally:
            # The traceback holds this frame, and with it the addresses of the batch.
            failure = fatal = None

    def give_up(self, batch: Batch[ItemT, OutputT], failure: InferenceRefused) -> bool:
        """End a running batch without its worker; False when it has ended already."""
        return self._end(batch, (), failure)

    def shut(self, failure: InferenceRefused) -> None:
        """Close for good and at once: everything waiting or running ends with `failure`, `take` returns None."""
        with self._changed:
            self._state = _State.CLOSED
            waiting = self._waiting.clear()
            running = self._running
            self._changed.notify_all()
        for ticket in waiting:
            self._on_loop(ticket.fail, failure)
        if running is not None:
            self._end(running, (), failure)

    def _end(self, batch: Batch[ItemT, OutputT], outputs: Sequence[OutputT], failure: InferenceRefused | None) -> bool:
        with self._changed:
            if self._running is not batch:
                return False
            self._running = None
        dispatch, completed_at = batch.dispatch, self._clock()
        seconds = completed_at - dispatch.dispatched_at
        self._run_seconds = seconds if self._run_seconds is None else 0.8 * self._run_seconds + 0.2 * seconds
        try:
            self._on_end(
                BatchRun(
                    batch_id=dispatch.batch_id,
                    items=batch.items,
                    dispatched_at=dispatch.dispatched_at,
                    completed_at=completed_at,
                    outputs=() if failure else outputs,
                    failure=failure,
                ),
            )
        finally:
            if failure is None:
                self._on_loop(batch.succeed, outputs, completed_at)
            else:
                self._on_loop(batch.fail, failure)
        return True

    def _on_loop(self, deliver: Callable[..., None], *args: object) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                self._loop.call_soon_threadsafe(deliver, *args)

    def _depart(self, ticket: Ticket[ItemT, OutputT]) -> None:
        if ticket.dispatch is None:
            with self._changed:
                self._waiting.discard(ticket)
        self._open_tickets -= 1
        if self._open_tickets == 0 and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # Under the lock.

    def _time_to_cut(self) -> float | None:
        oldest = self._waiting.oldest
        if oldest is None:
            return None
        if self._max_queue_delay == 0 or len(self._waiting) >= self._max_batch_size or self._state is _State.DRAINING:
            return 0.0
        return oldest.enqueued_at + self._max_queue_delay - self._clock()

    def _cut(self) -> Batch[ItemT, OutputT] | None:
        now, batch_id = self._clock(), self._new_batch_id()  # Before any ticket leaves the queue, since it may raise.
        tickets = self._waiting.take(self._max_batch_size, now)
        if not tickets:
            return None
        dispatch = Dispatch(batch_id=batch_id, batch_size=len(tickets), dispatched_at=now)
        for ticket in tickets:
            ticket.dispatch = dispatch
        return Batch(dispatch=dispatch, tickets=tickets)

    def _time_to_empty(self, depth: int) -> float:
        if self._run_seconds is None:
            return RETRY_AFTER
        return min(max(self._run_seconds * depth / self._max_batch_size, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _failure(error: BaseException) -> ModelError:
    """What the callers of a batch are told of what its model raised."""
    failure: ModelError
    if isinstance(error, ModelPoisoned):
        failure = ModelPoisoned(ErrorType.DEVICE_FAILED)
        failure.__cause__ = error.__cause__ or error
    elif isinstance(error, ModelError):
        failure = ModelError(ErrorType.INVALID_OUTPUT if error.error_type is ErrorType.INVALID_OUTPUT else ErrorType.MODEL_FAILED)
        failure.__cause__ = error.__cause__
    else:
        survives = isinstance(error, Exception) and not isinstance(error, MemoryError)
        failure = ModelError(ErrorType.MODEL_FAILED if survives else ErrorType.WORKER_DIED)
        failure.__cause__ = error
    return failure
