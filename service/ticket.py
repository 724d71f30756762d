"""What a caller holds while it waits in the queue: a ticket, and what comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from service.errors import DeadlineExceeded, ErrorType, InferenceRefused

if TYPE_CHECKING:
    from collections.abc import Callable

ItemT = TypeVar("ItemT")
OutputT = TypeVar("OutputT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """The batch a ticket went into: its id, its size, and the monotonic moment it was cut."""

    batch_id: str
    batch_size: int
    dispatched_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Generic[OutputT]):
    """The output for one item, its batch, and the monotonic moments of its way."""

    output: OutputT
    batch_id: str
    batch_size: int
    enqueued_at: float
    dispatched_at: float
    completed_at: float


class Ticket(Generic[ItemT, OutputT]):
    """One item on its way. Ends exactly once: with an answer, a failure, its deadline, or abandoned.

    Lives on the event loop's thread; the worker's thread reads `item`, `size` and `deadline` and sets `dispatch`.

    Attributes:
        item: what was submitted.
        size: its length, by which batches are grouped.
        deadline: monotonic moment at which it fails.
        enqueued_at: monotonic moment at which it joined the queue.
        dispatch: its batch; None while it waits, and for ever when it left early. Stays readable after any failure.
    """

    __slots__ = ("_depart", "_ended", "_future", "_timer", "deadline", "dispatch", "enqueued_at", "item", "size")

    def __init__(
        self,
        item: ItemT,
        *,
        size: int,
        deadline: float,
        enqueued_at: float,
        loop: asyncio.AbstractEventLoop,
        depart: Callable[[Ticket[ItemT, OutputT]], None],
    ) -> None:
        self.item = item
        self.size = size
        self.deadline = deadline
        self.enqueued_at = enqueued_at
        self.dispatch: Dispatch | None = None
        self._depart = depart
        self._ended = False
        self._future: asyncio.Future[Answered[OutputT]] = loop.create_future()
        self._timer = loop.call_at(loop.time() + deadline - enqueued_at, self._expire)

    async def answer(self) -> Answered[OutputT]:
        """Wait for the end. May be awaited once; a caller that is cancelled meanwhile abandons the ticket.

        Raises:
            DeadlineExceeded: at the deadline, whether it waited still or ran.
            ModelError: its batch failed, by its `error_type`.
            Overloaded: the queue was shut.
        """
        try:
            return await self._future
        except asyncio.CancelledError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Give up: it leaves the queue, and an answer that comes anyway is dropped. Nothing happens when it has ended."""
        if self._end():
            self._future.cancel()
        elif not self._future.cancelled():
            self._future.exception()  # A failure nobody came for is no fault of the caller's: keeps asyncio from saying so.

    def succeed(self, output: OutputT, dispatch: Dispatch, completed_at: float) -> None:
        """End with an answer."""
        if self._end():
            self._future.set_result(
                Answered(
                    output=output,
                    batch_id=dispatch.batch_id,
                    batch_size=dispatch.batch_size,
                    enqueued_at=self.enqueued_at,
                    dispatched_at=dispatch.dispatched_at,
                    completed_at=completed_at,
                ),
            )

    def fail(self, failure: InferenceRefused) -> None:
        """End with a failure of its own: a shared exception would gather the traceback of every caller."""
        if self._end():
            own = type(failure)(failure.error_type, failure.detail, retry_after=failure.retry_after)
            own.__cause__ = failure.__cause__
            self._future.set_exception(own)

    def _expire(self) -> None:
        self.fail(DeadlineExceeded(ErrorType.DEADLINE_EXCEEDED))

    def _end(self) -> bool:
        if self._ended:
            return False
        self._ended = True
        self._timer.cancel()
        self._depart(self)
        return not self._future.done()
