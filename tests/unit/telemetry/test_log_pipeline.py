"""Where a log record goes: the counter, the file's queue, and OTLP."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from service.errors import ErrorType, Outcome
from service.telemetry import names
from service.telemetry.event import AddressFacts, InferenceEvent
from service.telemetry.log_pipeline import LogPipeline
from service.telemetry.log_record import inference_record
from service.telemetry.metrics import Instruments

EVENT = InferenceEvent(
    request_id="request-1",
    trace_id="77a85bff5dd350f1d6d66f116fe042a9",
    span_id="00f067aa0ba902b7",
    parent_span_id=None,
    function="match",
    started_unix_ns=1_770_000_000_000_000_000,
    duration=0.5,
    outcome=Outcome.OVERLOADED,
    error_type=ErrorType.QUEUE_FULL,
    address1=AddressFacts(length=5, hash="1" * 32),
    truncated=False,
)
SPAN_CONTEXT = SpanContext(0x77A85BFF5DD350F1D6D66F116FE042A9, 0x00F067AA0BA902B7, is_remote=False, trace_flags=TraceFlags(1))


class ListWriter:
    """Keeps the records."""

    def __init__(self) -> None:
        self.records: list[dict[str, object]] = []

    def write(self, record: dict[str, object]) -> None:
        """Keep the record."""
        self.records.append(record)


@pytest.fixture
def writer() -> ListWriter:
    return ListWriter()


def pipeline_of(signals: Any, writer: ListWriter, *, exporting: bool = True) -> LogPipeline:
    return LogPipeline(
        writer=writer,
        provider=signals.telemetry.logger_provider,
        counter=Instruments.of(signals.meter).log_records,
        service="mgeo",
        instance="instance-1",
        unix_ns=lambda: 1_770_000_001_000_000_000,
        exporting=exporting,
    )


def emit(pipeline: LogPipeline) -> dict[str, object]:
    record = inference_record(EVENT, service=pipeline.service, instance=pipeline.instance)
    context = trace.set_span_in_context(NonRecordingSpan(SPAN_CONTEXT), Context())
    pipeline.emit(record, unix_ns=EVENT.started_unix_ns, context=context)
    return record


def counts(signals: Any) -> dict[str, int]:
    return {labels[0][1]: point.value for labels, point in signals.points()["mgeo.log.records"].items() if point.value}


def test_the_writer_gets_the_very_record(signals: Any, writer: ListWriter) -> None:
    """Nothing is added on the way to the file."""
    record = emit(pipeline_of(signals, writer))

    assert writer.records == [record]
    assert writer.records[0] is record


def test_the_otlp_record_has_the_same_content_in_its_own_places(signals: Any, writer: ListWriter) -> None:
    """Time, severity, body, event name and trace context by the logs data model; the rest as attributes, what is null left out."""
    emit(pipeline_of(signals, writer))

    (record,) = signals.logs()
    assert (record.timestamp, record.observed_timestamp) == (1_770_000_000_000_000_000, 1_770_000_000_000_000_000)
    assert (record.severity_number, record.severity_text) == (SeverityNumber.WARN, "WARNING")
    assert (record.body, record.event_name) == ("mgeo.inference", "mgeo.inference")
    assert (record.trace_id, record.span_id, record.trace_flags) == (SPAN_CONTEXT.trace_id, SPAN_CONTEXT.span_id, 1)
    assert dict(record.attributes) == {
        "request_id": "request-1",
        "function": "match",
        "status": "overloaded",
        "latency_ms": 500.0,
        "error_type": "queue_full",
        "error_message": "the inference queue is full",
        "address1_length": 5,
        "address1_hash": "11111111111111111111111111111111",
        "truncated": False,
    }


def test_attributes_and_places_together_are_the_fields_of_the_log() -> None:
    """Only what the names table lists can leave by OTLP too."""
    fields = {field.name for field in names.LOG_FIELDS}

    assert set(inference_record(EVENT, service="mgeo", instance="i")) == fields


@pytest.mark.parametrize(
    ("level", "number"),
    [("DEBUG", 5), ("INFO", 9), ("WARNING", 13), ("ERROR", 17), ("CRITICAL", 21)],
)
def test_every_level_has_its_severity_and_is_counted(signals: Any, writer: ListWriter, level: str, number: int) -> None:
    """By the numbers of the OpenTelemetry logs data model."""
    pipeline_of(signals, writer).event(names.EventName.WORKER_STUCK, level=level)

    assert [record.severity_number.value for record in signals.logs()] == [number]
    assert counts(signals) == {level: 1}


def test_an_event_that_is_no_inference_has_the_same_fields(signals: Any, writer: ListWriter) -> None:
    """Those that do not apply are null; it belongs to no trace, even inside one."""
    tracer = signals.telemetry.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("somebody else"):
        pipeline_of(signals, writer).event(
            names.EventName.WORKER_RESTARTED, level="ERROR", function="worker", error_type=ErrorType.WORKER_DIED
        )

    expected = dict.fromkeys((field.name for field in names.LOG_FIELDS), None) | {
        "timestamp": "2026-02-02T02:40:01.000000Z",
        "level": "ERROR",
        "event": "mgeo.worker.restarted",
        "service": "mgeo",
        "instance": "instance-1",
        "function": "worker",
        "error_type": "worker_died",
        "error_message": "the model worker died",
    }
    assert writer.records == [expected]
    (record,) = signals.logs()
    assert (record.trace_id, record.span_id) == (0, 0)
    assert dict(record.attributes) == {"function": "worker", "error_type": "worker_died", "error_message": "the model worker died"}


def test_without_an_exporter_nothing_goes_to_the_sdk(signals: Any, writer: ListWriter) -> None:
    """The file and the counter have it all the same, and the cost is saved."""
    emit(pipeline_of(signals, writer, exporting=False))

    assert (len(writer.records), signals.logs(), counts(signals)) == (1, [], {"WARNING": 1})


def test_a_record_of_a_library_goes_the_same_way(signals: Any, writer: ListWriter) -> None:
    """Counted and written."""
    pipeline = pipeline_of(signals, writer)
    record = inference_record(EVENT, service="mgeo", instance="i") | {"event": "mgeo.library"}

    pipeline.library(record)

    assert writer.records == [record]
    assert [entry.timestamp for entry in signals.logs()] == [1_770_000_001_000_000_000]


def test_an_unknown_level_is_a_mistake_of_the_code(signals: Any, writer: ListWriter) -> None:
    """The levels are closed; nothing is half recorded."""
    with pytest.raises(KeyError, match="TRACE"):
        pipeline_of(signals, writer).emit({"level": "TRACE", "event": "x"}, unix_ns=0)

    assert (writer.records, signals.logs()) == ([], [])
