"""A batch: the tickets that run together, and how their run ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from service.ticket import Dispatch, ItemT, OutputT, Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.errors import InferenceRefused


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch(Generic[ItemT, OutputT]):
    """The tickets that run together, the oldest first."""

    dispatch: Dispatch
    tickets: tuple[Ticket[ItemT, OutputT], ...]

    @property
    def items(self) -> tuple[ItemT, ...]:
        """What was submitted, in the order of the tickets."""
        return tuple(ticket.item for ticket in self.tickets)

    def succeed(self, outputs: Sequence[OutputT], completed_at: float) -> None:
        """End every ticket with its output; on the loop's thread."""
        for ticket, output in zip(self.tickets, outputs, strict=True):
            ticket.succeed(output, self.dispatch, completed_at)

    def fail(self, failure: InferenceRefused) -> None:
        """End every ticket with the failure; on the loop's thread."""
        for ticket in self.tickets:
            ticket.fail(failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRun(Generic[ItemT, OutputT]):
    """How a batch ended. Either `outputs` has one per item, or `failure` says why there are none. Moments are monotonic."""

    batch_id: str
    items: tuple[ItemT, ...]
    dispatched_at: float
    completed_at: float
    outputs: Sequence[OutputT] = ()
    failure: InferenceRefused | None = None
