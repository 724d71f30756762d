"""Pure: which inferences of a request id stand in the spans and log records that were found, and which spans belong to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.requeststore.base import BatchRecord
from service.requeststore.rebuilding import event_of_log, event_of_span
from service.requeststore.rows import summary
from service.telemetry.ids import batch_span_id_of, call_id, trace_id_of
from service.telemetry.names import BATCH_SPAN, ERROR_TYPE, INFERENCE_SPAN, REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from service.requeststore.base import RequestSummary, SpanRecord
    from service.requeststore.loki import LogRecord
    from service.requeststore.otlp_json import SeenSpan
    from service.telemetry.event import InferenceEvent

SpanKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAttempt:
    """One inference, made again from its span, or from its log record when there is no span."""

    event: InferenceEvent
    instance: str
    from_span: bool

    @property
    def key(self) -> SpanKey:
        """Trace id and span id."""
        return self.event.trace_id, self.event.span_id


def attempts_of(request_id: str, spans: Iterable[SeenSpan], records: Iterable[LogRecord]) -> tuple[FoundAttempt, ...]:
    """The inferences under a request id, oldest first, the pairs of a call by their index."""
    found: dict[SpanKey, FoundAttempt] = {}
    for attempt in (*_from_spans(request_id, spans), *_from_records(request_id, records)):
        found.setdefault(attempt.key, attempt)
    return tuple(sorted(found.values(), key=_place))


def _from_spans(request_id: str, spans: Iterable[SeenSpan]) -> Iterator[FoundAttempt]:
    for seen in spans:
        if seen.span.name == INFERENCE_SPAN and _is_of(request_id, seen.span.attributes.get(REQUEST_ID)):
            event = known_event(seen.span)
            if event is not None:
                yield FoundAttempt(event=event, instance=seen.instance, from_span=True)


def _from_records(request_id: str, records: Iterable[LogRecord]) -> Iterator[FoundAttempt]:
    for record in records:
        if _is_of(request_id, record.fields["request_id"]):
            event = recorded_event(record)
            if event is not None:
                yield FoundAttempt(event=event, instance=str(record.fields["instance"] or ""), from_span=False)


def known_event(span: SpanRecord) -> InferenceEvent | None:
    """The event of a span; None of one by a version that knows more."""
    try:
        return event_of_span(span)
    except (LookupError, TypeError, ValueError):
        return None


def recorded_event(record: LogRecord) -> InferenceEvent | None:
    """The event of a log record; None of one by a version that knows more."""
    try:
        return event_of_log(record.fields, record.unix_ns)
    except (LookupError, TypeError, ValueError):
        return None


def _is_of(request_id: str, other: object) -> bool:
    return isinstance(other, str) and request_id in {other, call_id(other)}


def _place(attempt: FoundAttempt) -> tuple[int, int, str]:
    index = attempt.event.request_id.partition(":")[2]
    return attempt.event.started_unix_ns, int(index or 0), attempt.event.span_id


def inferences_of(spans: Iterable[SeenSpan]) -> dict[SpanKey, InferenceEvent]:
    """The events of the inferences among the spans."""
    events = (known_event(seen.span) for seen in spans if seen.span.name == INFERENCE_SPAN)
    return {(event.trace_id, event.span_id): event for event in events if event is not None}


class SpanTree:
    """The spans of one trace by their parents."""

    def __init__(self, trace: Iterable[SpanRecord]) -> None:
        self._by_id = {span.span_id: span for span in trace}
        self._inside: dict[str, list[SpanRecord]] = {}
        for span in self._by_id.values():
            self._inside.setdefault(span.parent_span_id or "", []).append(span)

    def around(self, event: InferenceEvent) -> tuple[SpanRecord, ...]:
        """The spans an inference is inside of, outermost first, then its own and those inside it; each once."""
        outer: dict[str, SpanRecord] = {}
        parent = self._by_id.get(event.parent_span_id or "")
        while parent is not None and parent.span_id not in outer:
            outer[parent.span_id] = parent
            parent = self._by_id.get(parent.parent_span_id or "")
        inner = [self._by_id[event.span_id]] if event.span_id in self._by_id and event.span_id not in outer else []
        seen = {event.span_id, *outer}
        for member in inner:
            children = [span for span in self._inside.get(member.span_id, ()) if span.span_id not in seen]
            seen |= {span.span_id for span in children}
            inner += children
        return (*reversed(outer.values()), *inner)


def batch_span(batch_id: str, trace: Iterable[SeenSpan]) -> SpanRecord | None:
    """The span of a batch in the batch's own trace."""
    key = (trace_id_of(batch_id), batch_span_id_of(batch_id))
    return next((seen.span for seen in trace if seen.span.name == BATCH_SPAN and (seen.span.trace_id, seen.span.span_id) == key), None)


def batch_record(batch_id: str, span: SpanRecord, members: Mapping[SpanKey, InferenceEvent]) -> BatchRecord:
    """The batch of a span, with those of its members that are known, in their order."""
    known: tuple[RequestSummary, ...] = tuple(summary(members[link]) for link in span.links if link in members)
    error_type = span.attributes.get(ERROR_TYPE)
    return BatchRecord(
        batch_id=batch_id,
        started_unix_ns=span.started_unix_ns,
        duration=span.duration,
        error_type=None if error_type is None else str(error_type),
        members=known,
    )
