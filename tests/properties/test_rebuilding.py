"""An event made again from what telemetry kept of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.requeststore.base import SpanRecord
from service.requeststore.loki import fields_of
from service.requeststore.rebuilding import event_of_log, event_of_span
from service.telemetry.event import ExceptionFacts, InferenceEvent
from service.telemetry.log_record import inference_record
from service.telemetry.names import INFERENCE_SPAN, SERVICE_NAME
from service.telemetry.span_attributes import inference_attributes
from tests.strategies import events


def span_of(event: InferenceEvent, attributes: dict[str, object]) -> SpanRecord:
    return SpanRecord(
        name=INFERENCE_SPAN,
        trace_id=event.trace_id,
        span_id=event.span_id,
        parent_span_id=event.parent_span_id,
        started_unix_ns=event.started_unix_ns,
        duration=event.duration,
        attributes=attributes,
    )


def in_a_span(event: InferenceEvent) -> InferenceEvent:
    """The event without what a span does not say: text, the ages of all devices but the first, line breaks inside frames."""
    exception = event.exception and ExceptionFacts(
        type=event.exception.type, frames=tuple(frame for frame in event.exception.frames if frame and "\n" not in frame)
    )
    gpu = tuple(replace(device, age=event.gpu[0].age) for device in event.gpu)
    both = event.model_name is not None and event.model_version is not None
    return replace(
        event,
        text=None,
        exception=exception,
        gpu=gpu,
        stages=tuple(sorted(event.stages, key=lambda timing: list(type(timing.stage)).index(timing.stage))),
        model_name=event.model_name if both else None,
        model_version=event.model_version if both else None,
    )


@given(events().map(in_a_span))
def test_an_event_is_rebuilt_from_its_span(event: InferenceEvent) -> None:
    """The inverse of what the recorder writes."""
    assert event_of_span(span_of(event, inference_attributes(event))) == event


@given(events().map(in_a_span))
def test_arrays_that_a_store_made_text_of_are_read_too(event: InferenceEvent) -> None:
    """So Jaeger's older storage model keeps them."""
    kept = {key: json.dumps(value) if isinstance(value, list) else value for key, value in inference_attributes(event).items()}
    assert event_of_span(span_of(event, kept)) == event


def as_loki_keeps(record: dict[str, object]) -> dict[str, str]:
    """Text of every field that is not null, as Loki makes it of OTLP's values."""
    names = {"level": "severity_text", "service": "service_name", "instance": "service_instance_id"}
    return {
        names.get(name, name): json.dumps(value) if isinstance(value, bool) else str(value)
        for name, value in record.items()
        if value is not None
    }


@given(events().filter(lambda event: event.duration < 1e6), st.sampled_from(["one", "西湖"]))
def test_a_log_line_is_rebuilt_from_structured_metadata(event: InferenceEvent, instance: str) -> None:
    """All fields with their types."""
    record = inference_record(event, service=SERVICE_NAME, instance=instance)
    assert fields_of(as_loki_keeps(record), unix_ns=event.started_unix_ns) == record


@given(events().filter(lambda event: event.duration < 1e6))
def test_an_event_rebuilt_from_its_log_line_says_nothing_that_is_not_so(event: InferenceEvent) -> None:
    """What the line does not tell is absent, and a probability is no number."""
    rebuilt = event_of_log(inference_record(event, service=SERVICE_NAME, instance="one"), event.started_unix_ns)
    assert abs(rebuilt.duration - event.duration) <= 0.000_001
    for name in ("request_id", "trace_id", "span_id", "function", "started_unix_ns", "outcome", "error_type", "address1", "address2"):
        assert getattr(rebuilt, name) == getattr(event, name)
    for name in ("truncated", "batch_id", "batch_size", "output_length"):
        assert getattr(rebuilt, name) == getattr(event, name)
    assert (rebuilt.stages, rebuilt.exception, rebuilt.gpu, rebuilt.text, rebuilt.queue_depth) == ((), None, (), None, None)
    if event.answer is not None:
        assert rebuilt.answer is not None
        assert (rebuilt.answer.label, rebuilt.answer.similarity) == (event.answer.label, event.answer.similarity)
        assert math.isnan(rebuilt.answer.exact_match)
