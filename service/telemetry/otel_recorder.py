"""The recorder that ships: one closed event becomes one span, its metric points, one log line and one row.

Nothing here waits: spans and OTLP records go to the SDK's bounded queues, lines and rows to the bounded queues of their
writers. A part that fails is counted and leaves the others alone; under test (`strict`) it raises.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from service.telemetry import names
from service.telemetry.context import bind_batch_id, bind_request_id, bind_span_id
from service.telemetry.event import Stage
from service.telemetry.ids import batch_span_id_of, new_span_id, trace_id_of
from service.telemetry.log_record import inference_record
from service.telemetry.span_attributes import COUNTS_AGAINST_US, batch_attributes, inference_attributes

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from opentelemetry.trace import Span, TracerProvider

    from service.telemetry.event import BatchEvent, EventDraft, InferenceEvent
    from service.telemetry.log_pipeline import LogPipeline
    from service.telemetry.metrics import Instruments

_NS = 1_000_000_000


class EventStore(Protocol):
    """Takes events for a store; never blocks, never raises."""

    def add(self, event: InferenceEvent, seq: int) -> None:
        """Queue one inference with its number in the life of this process."""
        ...

    def add_batch(self, event: BatchEvent) -> None:
        """Queue one batch."""
        ...


class OpenInferences(Protocol):
    """Holds what is open where it outlives the process; never blocks, never raises."""

    def open(self, draft: EventDraft) -> None:
        """Note an inference that begins, with its ids."""
        ...

    def close(self, event: InferenceEvent) -> None:
        """Note that it has ended, and how."""
        ...


class OtelRecorder:
    """Spans by OpenTelemetry, points by the instruments, lines by the log pipeline, rows by the store."""

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider,
        instruments: Instruments,
        log: LogPipeline,
        store: EventStore,
        losses: Counter[tuple[str, str]],
        table: OpenInferences | None = None,
        strict: bool = False,
    ) -> None:
        self._tracer = tracer_provider.get_tracer(names.SCOPE)
        self._instruments = instruments
        self._log = log
        self._store = store
        self._losses = losses
        self._table = table
        self._strict = strict
        self._open: dict[str, Span] = {}
        self._status_labels = {labels[names.STATUS]: {names.STATUS: labels[names.STATUS]} for labels in names.REQUEST_LABEL_SETS}
        self._stage_labels = {stage: {names.STAGE: stage.value} for stage in Stage}

    @property
    def active(self) -> int:
        """Inferences that are open now."""
        return len(self._open)

    def open(self, draft: EventDraft) -> None:
        """Start the span under the current one, or as the root of the request id's own trace."""
        parent = trace.get_current_span().get_span_context()
        span: Span = trace.INVALID_SPAN
        try:
            # The ids of a root span are made from the bound request id.
            with bind_request_id(draft.request_id):
                span = self._tracer.start_span(names.INFERENCE_SPAN, start_time=draft.started_unix_ns)
        except Exception:
            self._losses["recorder", "exception"] += 1
            if self._strict:
                raise
        own = span.get_span_context()
        if own.is_valid and own.span_id != parent.span_id:
            draft.trace_id = trace.format_trace_id(own.trace_id)
            draft.span_id = trace.format_span_id(own.span_id)
        else:
            # A disabled SDK makes no ids, but the line and the row still need them.
            draft.trace_id = trace.format_trace_id(parent.trace_id) if parent.is_valid else trace_id_of(draft.request_id)
            draft.span_id = new_span_id()
        draft.parent_span_id = trace.format_span_id(parent.span_id) if parent.is_valid else None
        self._open[draft.span_id] = span
        if self._table is not None:
            table = self._table
            self._guarded(lambda: table.open(draft))

    @contextmanager
    def running(self, draft: EventDraft) -> Iterator[None]:
        """Make an open draft's span the current one inside, so that what is opened there becomes its child."""
        span = self._open.get(draft.span_id, trace.INVALID_SPAN)
        # Without a span of its own, what is opened inside stays the child of what was current outside.
        token = attach(trace.set_span_in_context(span)) if span.get_span_context().is_valid else None
        try:
            yield
        finally:
            if token is not None:
                detach(token)

    def record(self, event: InferenceEvent) -> None:
        """End the span; count, observe, log and store the event."""
        if self._table is not None:
            # First, so that a process that dies over the rest is not followed by one that ends this inference once more.
            table = self._table
            self._guarded(lambda: table.close(event))
        span = self._open.pop(event.span_id, trace.INVALID_SPAN)
        context = trace.set_span_in_context(span, Context())
        self._guarded(lambda: self._end(span, event))
        self._guarded(lambda: self._measure(event, context))
        self._guarded(lambda: self._emit(event, context))
        # The last, so that what a collection of the metrics has counted is on its way in every other signal. The store gets
        # it under the lock of the count: its queue is in the order of the numbers.
        self._guarded(lambda: self._instruments.requests.add(event.error_type, lambda seq: self._store.add(event, seq)))

    def adopt(self, event: InferenceEvent, *, again: bool = False) -> None:
        """Record an inference that a process left open when it died: its span is made here, with the ids and the start it had.

        With `again` it was adopted before, by a process that died too: its count, line and row stand, and only what leaves by
        OTLP, of which nobody knows whether it left, is sent once more.
        """
        span: Span = trace.INVALID_SPAN
        try:
            span = self._span_of(event)
        except Exception:
            self._losses["recorder", "exception"] += 1
            if self._strict:
                raise
        if again:
            self._guarded(lambda: self._end(span, event))
            self._guarded(lambda: self._emit(event, trace.set_span_in_context(span, Context()), again=True))
        else:
            self._open[event.span_id] = span
            self.record(event)

    def record_batch(self, event: BatchEvent) -> None:
        """Make the batch's span, in a trace of its own with a link to each member, and observe its size."""
        self._guarded(lambda: self._batch_span(event))
        self._guarded(lambda: self._instruments.batch_size.record(len(event.members)))
        self._guarded(lambda: self._store.add_batch(event))

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except Exception:
            self._losses["recorder", "exception"] += 1
            if self._strict:
                raise

    def _end(self, span: Span, event: InferenceEvent) -> None:
        try:
            if span.is_recording():
                span.set_attributes(inference_attributes(event))
                if event.error_type is not None and event.outcome in COUNTS_AGAINST_US:
                    span.set_status(Status(StatusCode.ERROR, event.error_type.message))
                if event.batch_id is not None:
                    span.add_link(_context(trace_id_of(event.batch_id), batch_span_id_of(event.batch_id)))
        finally:
            span.end(end_time=event.started_unix_ns + round(event.duration * _NS))

    def _measure(self, event: InferenceEvent, context: Context) -> None:
        instruments = self._instruments
        status = self._status_labels[event.outcome.value]
        instruments.inference_duration.record(event.duration, status, context)
        for timing in event.stages:
            instruments.stage_duration.record(timing.duration, self._stage_labels[timing.stage], context)
            if timing.stage is Stage.QUEUE:
                instruments.queue_wait.record(timing.duration, None, context)

    def _emit(self, event: InferenceEvent, context: Context, *, again: bool = False) -> None:
        record = inference_record(event, service=self._log.service, instance=self._log.instance)
        self._log.emit(record, unix_ns=event.started_unix_ns, context=context, again=again)

    def _span_of(self, event: InferenceEvent) -> Span:
        context = Context()
        if event.parent_span_id is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(_context(event.trace_id, event.parent_span_id)), context)
        with bind_request_id(event.request_id), bind_span_id(event.span_id):
            return self._tracer.start_span(names.INFERENCE_SPAN, context=context, start_time=event.started_unix_ns)

    def _batch_span(self, event: BatchEvent) -> None:
        with bind_batch_id(event.batch_id):
            span = self._tracer.start_span(
                names.BATCH_SPAN,
                context=Context(),
                start_time=event.started_unix_ns,
                links=[Link(_context(member.trace_id, member.span_id)) for member in event.members],
                attributes=batch_attributes(event),
            )
        if event.error_type is not None:
            span.set_status(Status(StatusCode.ERROR, event.error_type.message))
        span.end(end_time=event.started_unix_ns + round(event.duration * _NS))


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
