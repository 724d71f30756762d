"""The events that are open: each begins with a call, is closed once and recorded once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.telemetry.event import CapturedText, Clock, EventDraft, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.call import Call
    from service.errors import ErrorType
    from service.telemetry.event import GpuFacts, InferenceEvent
    from service.telemetry.recorder import Recorder


class OpenEvents:
    """Opens drafts and closes them. Belongs to the event loop's thread.

    Args:
        recorder: told of every draft and every event.
        clock: both clocks.
        gpu_facts: the GPU samples nearest to a moment of the wall clock.
        capture: whether drafts carry the addresses' text.
    """

    def __init__(self, recorder: Recorder, *, clock: Clock, gpu_facts: Callable[[int], tuple[GpuFacts, ...]], capture: bool) -> None:
        self._recorder = recorder
        self._clock = clock
        self._gpu_facts = gpu_facts
        self._capture = capture
        self._open = 0
        self._idle: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """How many are open."""
        return self._open

    def open(self, call: Call) -> EventDraft:
        """Begin the event of a call, at the moment it arrived."""
        draft = EventDraft(
            request_id=call.request_id,
            function=call.function,
            clock=self._clock,
            started_unix_ns=call.arrived_unix_ns,
            started_monotonic=call.arrived_monotonic,
        )
        self._recorder.open(draft)
        self._open += 1
        if call.read_until is not None:
            draft.spent(Stage.READ, call.arrived_monotonic, call.read_until)
        return draft

    def capture(self, draft: EventDraft, address1: object, address2: object) -> None:
        """Keep what is text of the two addresses, if text is to be kept."""
        if self._capture:
            draft.text = CapturedText.of(address1, address2)

    def close(self, draft: EventDraft, failure: BaseException | None, *, error_type: ErrorType | None = None) -> InferenceEvent:
        """End an event as `EventDraft.close` does, and record it."""
        draft.gpu = self._gpu_facts(draft.started_unix_ns)
        event = draft.close(failure, error_type=error_type)
        self._open -= 1
        if self._open == 0 and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        self._recorder.record(event)
        return event

    async def wait_until_none(self, timeout: float) -> None:  # noqa: ASYNC109 -- a bound, not an error
        """Wait until no event is open, at most `timeout` seconds."""
        if self._open:
            self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._idle], timeout=timeout)
