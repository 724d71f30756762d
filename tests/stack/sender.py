"""Sends events to a real stack as the service does: by its own recorder, over OTLP, with the ids the events have."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from service.telemetry.event import BatchEvent, Clock, EventDraft, InferenceEvent
from service.telemetry.log_pipeline import LogPipeline
from service.telemetry.metrics import Instruments
from service.telemetry.otel_recorder import OtelRecorder
from service.telemetry.sdk import RequestIdGenerator, setup

INSTANCE = "one"
_NEVER = 3_600_000
_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StackUrls:
    """Where a running stack takes OTLP, signal by signal, and where its stores answer.

    An endpoint for spans that has a path is asked over HTTP, one without over gRPC.
    """

    spans: str
    logs: str
    metrics: str
    jaeger: str
    loki: str
    prometheus: str


class GivenIds(RequestIdGenerator):
    """Gives the next span the ids that are set; those of a batch are derived, as ever."""

    given: tuple[str, str] | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.given is None else int(self.given[0], 16)

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.given is None else int(self.given[1], 16)


class Nothing:
    """A log file and a store that keep nothing."""

    def write(self, record) -> None:
        pass

    def add(self, event: object, seq: int | None = None) -> None:
        pass

    def add_batch(self, event) -> None:
        pass


class Sender:
    """A process called `service`, as far as the stack can see. One may be opened after another under the same name."""

    def __init__(self, urls: StackUrls, service: str, *, instance: str = INSTANCE) -> None:
        spans = OTLPSpanExporter(urls.spans) if urls.spans.count("/") > 2 else GrpcSpanExporter(urls.spans, insecure=True)
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(urls.metrics), _NEVER)
        with mock.patch.dict(os.environ, OTEL_SERVICE_NAME=service):
            self.telemetry = setup(
                instance_id=instance,
                instance_name=f"host/test/{instance}",
                version="1.2.3",
                span_processors=[BatchSpanProcessor(spans)],
                log_processors=[BatchLogRecordProcessor(OTLPLogExporter(urls.logs))],
                metric_readers=[reader],
            )
        self._ids = GivenIds()
        self.telemetry.tracer_provider.id_generator = self._ids
        self.meter = self.telemetry.meter_provider.get_meter("mgeo")
        instruments = Instruments.of(self.meter)
        log = LogPipeline(
            writer=Nothing(),
            provider=self.telemetry.logger_provider,
            counter=instruments.log_records,
            service=service,
            instance=instance,
            unix_ns=Clock().unix_ns,
        )
        self.recorder = OtelRecorder(
            tracer_provider=self.telemetry.tracer_provider,
            instruments=instruments,
            log=log,
            store=Nothing(),
            losses=Counter(),
            strict=True,
        )

    def send(self, *events: InferenceEvent, batches: list[BatchEvent] | None = None) -> None:
        """Record the events, and return when the stores have acknowledged them."""
        for event in events:
            self._record(event)
        for batch in batches or []:
            self.recorder.record_batch(batch)
        self.flush()

    def serve(self, event: InferenceEvent) -> None:
        """Make the HTTP server span around an event, a millisecond longer at both ends."""
        started = event.started_unix_ns - _MS
        with self._as(event.trace_id, str(event.parent_span_id)):
            span = self.telemetry.tracer_provider.get_tracer("http").start_span(
                "POST /v1/match", Context(), SpanKind.SERVER, {"http.route": "/v1/match"}, start_time=started
            )
        span.end(started + round(event.duration * 1000 * _MS) + 2 * _MS)

    def flush(self) -> None:
        """Send what waits, and collect and send the metrics."""
        assert self.telemetry.tracer_provider.force_flush()
        assert self.telemetry.logger_provider.force_flush()
        assert self.telemetry.meter_provider.force_flush()

    def close(self) -> None:
        """End the process."""
        assert self.telemetry.shutdown()

    def _record(self, event: InferenceEvent) -> None:
        draft = EventDraft(
            request_id=event.request_id,
            function=event.function,
            clock=Clock(),
            started_unix_ns=event.started_unix_ns,
            started_monotonic=0.0,
        )
        with self._as(event.trace_id, event.span_id), _child_of(event):
            self.recorder.open(draft)
        assert (draft.trace_id, draft.span_id, draft.parent_span_id) == (event.trace_id, event.span_id, event.parent_span_id)
        self.recorder.record(event)

    @contextmanager
    def _as(self, trace_id: str, span_id: str):
        self._ids.given = (trace_id, span_id)
        yield
        self._ids.given = None


@contextmanager
def _child_of(event: InferenceEvent):
    if event.parent_span_id is None:
        yield
        return
    parent = SpanContext(int(event.trace_id, 16), int(event.parent_span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with trace.use_span(NonRecordingSpan(parent)):
        yield
