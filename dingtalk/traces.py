"""One trace from Alertmanager's group to DingTalk's answer: what was received, each message of it, each attempt.

The span of a message may last for days and over restarts. So its ids are not the tracer's: they follow from the message (`trace_ids`),
each attempt names it as its parent, and it is written when it ends.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, format_span_id, format_trace_id
from opentelemetry.trace import set_span_in_context as in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dingtalk import names
from dingtalk.answer import Outcome
from dingtalk.outbox.rows import MessageState
from dingtalk.trace_ids import TraceIds, delivery_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, TracerProvider

    from dingtalk.answer import Answer
    from dingtalk.clock import Clock
    from dingtalk.outbox.rows import StoredMessage

MAX_LINKS = 32
"""Receipts that the span of a message links to; a digest may tell thousands."""
_SERVER_FAILED = 500

PRESCRIBED: ContextVar[TraceIds | None] = ContextVar("prescribed span", default=None)
"""The ids of the span that is being made, for the generator of ids; None lets it choose."""


class Receiving:
    """One notification that is being received."""

    ids: TraceIds | None = None

    def duplicate(self) -> None:
        """It was known already, and nothing follows."""

    def answered(self, status: int) -> None:
        """How the call is answered."""


class Traces(Protocol):
    """Writes spans; never raises and never waits.

    `on` says whether it writes any; `receipts` are always the spans of what a message tells, in the order it came.
    """

    on: bool

    def receiving(self, traceparent: str, receiver: str) -> AbstractContextManager[Receiving]:
        """A notification is received; in the caller's trace when `traceparent` names one."""

    def attempted(
        self, message: StoredMessage, receipts: Sequence[TraceIds], *, robot: str, answer: Answer, began: float, ended: float
    ) -> None:
        """An attempt was made, between two moments in seconds since 1970."""

    def ended(
        self, message: StoredMessage, receipts: Sequence[TraceIds], *, state: MessageState, robot: str = "", attempts: int = 0
    ) -> None:
        """A message has come to its end."""


class NoTraces:
    """Where no traces are wanted."""

    on = False

    @contextmanager
    def receiving(self, traceparent: str, receiver: str) -> Iterator[Receiving]:  # noqa: ARG002 -- of the Protocol
        """See `Traces`."""
        yield Receiving()

    def attempted(
        self, message: StoredMessage, receipts: Sequence[TraceIds], *, robot: str, answer: Answer, began: float, ended: float
    ) -> None:
        """See `Traces`."""

    def ended(
        self, message: StoredMessage, receipts: Sequence[TraceIds], *, state: MessageState, robot: str = "", attempts: int = 0
    ) -> None:
        """See `Traces`."""


class OtelTraces:
    """Writes OpenTelemetry spans. Never the text of an alert, nor a token: only names of the configuration, numbers and closed sets.

    Args:
        provider: its generator of ids heeds `PRESCRIBED`.
        clock: for their times.
    """

    on = True

    def __init__(self, provider: TracerProvider, *, clock: Clock) -> None:
        self._tracer = provider.get_tracer(names.SCOPE)
        self._clock = clock
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def receiving(self, traceparent: str, receiver: str) -> Iterator[Receiving]:
        """See `Traces`."""
        parent = self._propagator.extract({"traceparent": traceparent}, Context()) if traceparent else Context()
        span = self._tracer.start_span(
            names.RECEIVE_SPAN,
            context=parent,
            kind=SpanKind.SERVER,
            attributes={names.RECEIVER: receiver},
            start_time=_nanoseconds(self._clock.unix()),
        )
        try:
            yield _OtelReceiving(span)
        finally:
            span.end(_nanoseconds(self._clock.unix()))

    def attempted(
        self, message: StoredMessage, receipts: Sequence[TraceIds], *, robot: str, answer: Answer, began: float, ended: float
    ) -> None:
        """See `Traces`."""
        parent = delivery_ids(message.msg_uuid, message.received_at, receipts)
        attributes: dict[str, str | int] = {
            names.ROBOT: robot,
            names.OUTCOME: answer.outcome.value,
            names.ATTEMPT: message.attempts + 1,
        }
        if answer.code is not None:
            attributes[names.ERRCODE] = answer.code
        span = self._tracer.start_span(
            names.ATTEMPT_SPAN,
            context=_below(parent),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=_nanoseconds(began),
        )
        if answer.outcome is not Outcome.DELIVERED:
            span.set_status(StatusCode.ERROR)
        span.end(_nanoseconds(ended))

    def ended(
        self, message: StoredMessage, receipts: Sequence[TraceIds], *, state: MessageState, robot: str = "", attempts: int = 0
    ) -> None:
        """See `Traces`."""
        attributes: dict[str, str | int] = {
            names.MESSAGE: message.id,
            names.RECEIVER: message.receiver,
            names.FORM: message.form.value,
            names.LANE: message.lane.value,
            names.STATE: state.value,
            names.ATTEMPTS: attempts,
        }
        if robot:
            attributes[names.ROBOT] = robot
        prescribed = PRESCRIBED.set(delivery_ids(message.msg_uuid, message.received_at, receipts))
        try:
            span = self._tracer.start_span(
                names.DELIVER_SPAN,
                context=_below(receipts[0]) if receipts else Context(),
                kind=SpanKind.INTERNAL,
                attributes=attributes,
                links=[Link(_context(receipt)) for receipt in receipts[1:MAX_LINKS]],
                # One that somebody sent again begins when they did.
                start_time=_nanoseconds(max(message.created_at, message.received_at)),
            )
        finally:
            PRESCRIBED.reset(prescribed)
        if state is MessageState.DEAD:
            span.set_status(StatusCode.ERROR)
        span.end(_nanoseconds(self._clock.unix()))


class _OtelReceiving(Receiving):
    def __init__(self, span: Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.ids = TraceIds(trace_id=format_trace_id(context.trace_id), span_id=format_span_id(context.span_id))

    def duplicate(self) -> None:
        self._span.set_attribute(names.DUPLICATE, True)

    def answered(self, status: int) -> None:
        self._span.set_attribute(names.STATUS_CODE, status)
        if status >= _SERVER_FAILED:
            self._span.set_status(StatusCode.ERROR)


def _context(ids: TraceIds) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id=int(ids.trace_id, 16), span_id=int(ids.span_id, 16), is_remote=True, trace_flags=flags)


def _below(ids: TraceIds) -> Context:
    return in_context(NonRecordingSpan(_context(ids)), Context())


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
