"""The one place an inference passes through on its way into telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.telemetry.ids import trace_id_of

if TYPE_CHECKING:
    from service.telemetry.event import BatchEvent, EventDraft, InferenceEvent


class Recorder(Protocol):
    """Turns events into signals. Never blocks, never raises outside tests; called from any thread."""

    def open(self, draft: EventDraft) -> None:
        """Begin the draft's span under the current span and fill the draft's trace, span and parent ids.

        From here on the inference is noted where it outlives the process, until it is recorded.
        """
        ...

    def record(self, event: InferenceEvent) -> None:
        """End the span of a closed draft; add its metric points, its log line and its row in the store."""
        ...

    def record_batch(self, event: BatchEvent) -> None:
        """Record one run of the model: a span with a link to each member, and its size."""
        ...


class NullRecorder:
    """Records nothing, but still gives each draft its ids; for benchmarks without telemetry."""

    def open(self, draft: EventDraft) -> None:
        """Give the draft the trace id of its request id."""
        draft.trace_id = trace_id_of(draft.request_id)

    def record(self, event: InferenceEvent) -> None:
        """Forget the event."""

    def record_batch(self, event: BatchEvent) -> None:
        """Forget the batch."""


class ListRecorder:
    """Keeps what it is given, for tests: `opened` drafts, closed `events`, and `batches`."""

    def __init__(self) -> None:
        self.opened: list[EventDraft] = []
        self.events: list[InferenceEvent] = []
        self.batches: list[BatchEvent] = []

    def open(self, draft: EventDraft) -> None:
        """Keep the draft; give it the trace id of its request id and a span id that counts up."""
        draft.trace_id = trace_id_of(draft.request_id)
        self.opened.append(draft)
        draft.span_id = f"{len(self.opened):016x}"

    def record(self, event: InferenceEvent) -> None:
        """Keep the event."""
        self.events.append(event)

    def record_batch(self, event: BatchEvent) -> None:
        """Keep the batch."""
        self.batches.append(event)
