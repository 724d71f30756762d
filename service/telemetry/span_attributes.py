"""Pure: what a closed event says on its span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import Outcome
from service.telemetry import names
from service.telemetry.event import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.telemetry.event import BatchEvent, ExceptionFacts, InferenceEvent

    Value = str | bool | int | float | Sequence[str] | Sequence[int] | Sequence[float]

COUNTS_AGAINST_US = frozenset({Outcome.OVERLOADED, Outcome.TIMEOUT, Outcome.ERROR})


def inference_attributes(event: InferenceEvent) -> dict[str, Value]:
    """The attributes of span `mgeo.inference`; what is unknown is left out."""
    return {key: value for key, value in _inference(event) if value is not None}


def batch_attributes(event: BatchEvent) -> dict[str, Value]:
    """The attributes of span `mgeo.batch`."""
    attributes: dict[str, Value | None] = {
        names.BATCH_ID: event.batch_id,
        names.BATCH_SIZE: len(event.members),
        names.MODEL_NAME: event.model_name,
        names.MODEL_VERSION: event.model_version,
        names.ERROR_TYPE: event.error_type.value if event.error_type else None,
        names.stage_duration(Stage.TOKENIZE): event.tokenize_duration,
        names.stage_duration(Stage.INFERENCE): event.forward_duration,
        **dict(_exception(event.exception)),
    }
    return {key: value for key, value in attributes.items() if value is not None}


def _exception(facts: ExceptionFacts | None) -> Iterator[tuple[str, Value | None]]:
    if facts is not None:
        yield names.EXCEPTION_TYPE, facts.type
        yield names.EXCEPTION_STACKTRACE, "\n".join(facts.frames)


def _inference(event: InferenceEvent) -> Iterator[tuple[str, Value | None]]:
    yield names.REQUEST_ID, event.request_id
    yield names.FUNCTION, event.function
    yield names.SPAN_STATUS, event.outcome.value
    yield names.ERROR_TYPE, event.error_type.value if event.error_type else None
    yield from _exception(event.exception)
    if event.address1 is not None:
        yield names.ADDRESS1_LENGTH, event.address1.length
        yield names.ADDRESS1_HASH, event.address1.hash
    if event.address2 is not None:
        yield names.ADDRESS2_LENGTH, event.address2.length
        yield names.ADDRESS2_HASH, event.address2.hash
    yield names.TRUNCATED, event.truncated
    yield names.QUEUE_DEPTH, event.queue_depth
    yield names.BATCH_ID, event.batch_id
    yield names.BATCH_SIZE, event.batch_size
    yield names.MODEL_NAME, event.model_name
    yield names.MODEL_VERSION, event.model_version
    if event.answer is not None:
        yield names.LABEL, event.answer.label
        yield names.SIMILARITY, event.answer.similarity
        yield names.PROBABILITY_NOT_MATCH, event.answer.not_match
        yield names.PROBABILITY_PARTIAL_MATCH, event.answer.partial_match
        yield names.PROBABILITY_EXACT_MATCH, event.answer.exact_match
    yield names.OUTPUT_LENGTH, event.output_length
    for timing in event.stages:
        yield names.stage_offset(timing.stage), timing.offset
        yield names.stage_duration(timing.stage), timing.duration
    if event.gpu:
        yield names.GPU_ID, [device.id for device in event.gpu]
        yield names.GPU_UTILIZATION, [-1.0 if device.utilization is None else device.utilization for device in event.gpu]
        yield names.GPU_MEMORY_USAGE, [-1 if device.memory_usage is None else device.memory_usage for device in event.gpu]
        yield names.GPU_MEMORY_LIMIT, [-1 if device.memory_limit is None else device.memory_limit for device in event.gpu]
        yield names.GPU_SAMPLE_AGE, event.gpu[0].age
