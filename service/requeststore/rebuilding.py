"""Pure: the event of an inference, made again from its span, or from its log record when the span is not to be had.

From the span nothing is lost but the captured text, the distances of all GPU samples but the first, and what is finer than
a nanosecond. From the log record there are neither stages, exception, devices nor the three probabilities, which are not
numbers then.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from service.errors import ErrorType, Outcome
from service.requeststore.otlp_json import array_of
from service.telemetry import names
from service.telemetry.event import AddressFacts, Answer, ExceptionFacts, GpuFacts, InferenceEvent, Stage, StageTiming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.requeststore.base import SpanRecord

_ERROR_TYPES = {error.value: error for error in ErrorType}

Values = Any  # attributes and fields are checked by what is made of them


def event_of_span(span: SpanRecord) -> InferenceEvent:
    """The inverse of `service.telemetry.span_attributes.inference_attributes`.

    Raises:
        LookupError, TypeError, ValueError: the span is of a version that knows more, or is none of ours.
    """
    attributes: Values = span.attributes
    error_type = attributes.get(names.ERROR_TYPE)
    return InferenceEvent(
        request_id=attributes[names.REQUEST_ID],
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        function=attributes[names.FUNCTION],
        started_unix_ns=span.started_unix_ns,
        duration=span.duration,
        outcome=Outcome(attributes[names.SPAN_STATUS]),
        error_type=None if error_type is None else _ERROR_TYPES[error_type],
        exception=_exception(attributes),
        stages=tuple(_stages(attributes)),
        address1=_address(attributes, names.ADDRESS1_LENGTH, names.ADDRESS1_HASH),
        address2=_address(attributes, names.ADDRESS2_LENGTH, names.ADDRESS2_HASH),
        truncated=attributes.get(names.TRUNCATED),
        queue_depth=attributes.get(names.QUEUE_DEPTH),
        batch_id=attributes.get(names.BATCH_ID),
        batch_size=attributes.get(names.BATCH_SIZE),
        model_name=attributes.get(names.MODEL_NAME),
        model_version=attributes.get(names.MODEL_VERSION),
        answer=_answer(attributes),
        output_length=attributes.get(names.OUTPUT_LENGTH),
        gpu=tuple(_devices(attributes)),
    )


def event_of_log(fields: Mapping[str, object], unix_ns: int) -> InferenceEvent:
    """What the fields of a log line tell of the event; `unix_ns` is the record's own timestamp.

    Raises:
        LookupError, TypeError, ValueError: the record is of a version that knows more, or is of no inference.
    """
    known: Values = {name: value for name, value in fields.items() if value is not None}
    error_type = known.get("error_type")
    model_name, at, model_version = known.get("model", "").rpartition("@")
    return InferenceEvent(
        request_id=known["request_id"],
        trace_id=known["trace_id"],
        span_id=known["span_id"],
        parent_span_id=None,
        function=known["function"],
        started_unix_ns=unix_ns,
        duration=float(known["latency_ms"]) / 1000,
        outcome=Outcome(known["status"]),
        error_type=None if error_type is None else _ERROR_TYPES[error_type],
        address1=_address(known, "address1_length", "address1_hash"),
        address2=_address(known, "address2_length", "address2_hash"),
        truncated=known.get("truncated"),
        batch_id=known.get("batch_id"),
        batch_size=known.get("batch_size"),
        model_name=model_name if at else None,
        model_version=model_version if at else None,
        answer=_label(known),
        output_length=known.get("output_length"),
    )


def _label(known: Values) -> Answer | None:
    if "label" not in known:
        return None
    similarity = float(known.get("similarity", math.nan))
    return Answer(label=known["label"], similarity=similarity, not_match=math.nan, partial_match=math.nan, exact_match=math.nan)


def _exception(attributes: Values) -> ExceptionFacts | None:
    if names.EXCEPTION_TYPE not in attributes:
        return None
    frames = attributes.get(names.EXCEPTION_STACKTRACE, "")
    return ExceptionFacts(type=attributes[names.EXCEPTION_TYPE], frames=tuple(frames.split("\n")) if frames else ())


def _stages(attributes: Values) -> Iterator[StageTiming]:
    for stage in Stage:
        if names.stage_duration(stage) in attributes:
            offset, duration = attributes[names.stage_offset(stage)], attributes[names.stage_duration(stage)]
            yield StageTiming(stage=stage, offset=float(offset), duration=float(duration))


def _address(values: Values, length: str, digest: str) -> AddressFacts | None:
    return AddressFacts(length=int(values[length]), hash=values.get(digest)) if length in values else None


def _answer(attributes: Values) -> Answer | None:
    if names.LABEL not in attributes:
        return None
    return Answer(
        label=attributes[names.LABEL],
        similarity=float(attributes[names.SIMILARITY]),
        not_match=float(attributes[names.PROBABILITY_NOT_MATCH]),
        partial_match=float(attributes[names.PROBABILITY_PARTIAL_MATCH]),
        exact_match=float(attributes[names.PROBABILITY_EXACT_MATCH]),
    )


def _devices(attributes: Values) -> Iterator[GpuFacts]:
    if names.GPU_ID not in attributes:
        return
    columns = (names.GPU_ID, names.GPU_UTILIZATION, names.GPU_MEMORY_USAGE, names.GPU_MEMORY_LIMIT)
    age = float(attributes[names.GPU_SAMPLE_AGE])
    for device, utilization, usage, limit in zip(*(array_of(attributes[name]) for name in columns), strict=True):
        yield GpuFacts(
            id=str(device),
            utilization=None if utilization < 0 else float(utilization),
            memory_usage=None if usage < 0 else int(usage),
            memory_limit=None if limit < 0 else int(limit),
            age=age,
        )
