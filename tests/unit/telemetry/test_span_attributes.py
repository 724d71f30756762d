"""What a closed event says on its span."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import ErrorType, Outcome
from service.telemetry import names
from service.telemetry.event import (
    AddressFacts,
    Answer,
    BatchEvent,
    BatchMember,
    CapturedText,
    ExceptionFacts,
    GpuFacts,
    InferenceEvent,
    Stage,
    StageTiming,
)
from service.telemetry.span_attributes import COUNTS_AGAINST_US, batch_attributes, inference_attributes

FULL = InferenceEvent(
    request_id="request-1:3",
    trace_id="a" * 32,
    span_id="b" * 16,
    parent_span_id="c" * 16,
    function="match_batch",
    started_unix_ns=1,
    duration=0.5,
    outcome=Outcome.SUCCESS,
    stages=tuple(StageTiming(stage=stage, offset=index / 4, duration=0.25) for index, stage in enumerate(Stage)),
    address1=AddressFacts(length=18, hash="1" * 32),
    address2=AddressFacts(length=120, hash="2" * 32),
    truncated=True,
    queue_depth=3,
    batch_id="batch-1",
    batch_size=8,
    model_name="mgeo",
    model_version="1.0",
    answer=Answer(label="exact_match", similarity=0.95, not_match=0.0, partial_match=0.1, exact_match=0.9),
    output_length=11,
    gpu=(
        GpuFacts(id="GPU-1", memory_usage=6_000, memory_limit=24_000, utilization=0.37, age=0.25),
        GpuFacts(id="GPU-2", memory_usage=None, memory_limit=None, utilization=None, age=0.25),
    ),
    text=CapturedText("浙江省杭州市", "杭州市西湖区"),
)
BARE = InferenceEvent(
    request_id="request-1",
    trace_id="a" * 32,
    span_id="b" * 16,
    parent_span_id=None,
    function="match",
    started_unix_ns=1,
    duration=0.5,
    outcome=Outcome.INVALID,
    error_type=ErrorType.MALFORMED_JSON,
)
BATCH = BatchEvent(
    batch_id="batch-1",
    members=(
        BatchMember(request_id="r1", trace_id="a" * 32, span_id="b" * 16),
        BatchMember(request_id="r2", trace_id="c" * 32, span_id="d" * 16),
    ),
    started_unix_ns=1,
    duration=0.5,
    tokenize_duration=0.125,
    forward_duration=0.25,
    model_name="mgeo",
    model_version="1.0",
)


def test_a_full_event_says_all_it_knows() -> None:
    """Every fact but the ids that the span has anyway, and never the text."""
    assert inference_attributes(FULL) == {
        "mgeo.request.id": "request-1:3",
        "code.function.name": "match_batch",
        "mgeo.status": "success",
        "mgeo.address1.length": 18,
        "mgeo.address1.hash": "11111111111111111111111111111111",
        "mgeo.address2.length": 120,
        "mgeo.address2.hash": "22222222222222222222222222222222",
        "mgeo.truncated": True,
        "mgeo.queue.depth": 3,
        "mgeo.batch.id": "batch-1",
        "mgeo.batch.size": 8,
        "mgeo.model.name": "mgeo",
        "mgeo.model.version": "1.0",
        "mgeo.label": "exact_match",
        "mgeo.similarity": 0.95,
        "mgeo.probability.not_match": 0.0,
        "mgeo.probability.partial_match": 0.1,
        "mgeo.probability.exact_match": 0.9,
        "mgeo.output.length": 11,
        "mgeo.stage.read.offset": 0.0,
        "mgeo.stage.read.duration": 0.25,
        "mgeo.stage.clean.offset": 0.25,
        "mgeo.stage.clean.duration": 0.25,
        "mgeo.stage.queue.offset": 0.5,
        "mgeo.stage.queue.duration": 0.25,
        "mgeo.stage.tokenize.offset": 0.75,
        "mgeo.stage.tokenize.duration": 0.25,
        "mgeo.stage.inference.offset": 1.0,
        "mgeo.stage.inference.duration": 0.25,
        "mgeo.stage.deliver.offset": 1.25,
        "mgeo.stage.deliver.duration": 0.25,
        "mgeo.gpu.id": ["GPU-1", "GPU-2"],
        "mgeo.gpu.utilization": [0.37, -1.0],
        "mgeo.gpu.memory.usage": [6_000, -1],
        "mgeo.gpu.memory.limit": [24_000, -1],
        "mgeo.gpu.sample.age": 0.25,
    }


def test_what_is_not_known_is_left_out() -> None:
    """A request that could not even be read has four attributes, and no None among them."""
    assert inference_attributes(BARE) == {
        "mgeo.request.id": "request-1",
        "code.function.name": "match",
        "mgeo.status": "invalid",
        "error.type": "malformed_json",
    }


def test_0_and_false_are_known() -> None:
    """Only None is left out."""
    event = replace(BARE, truncated=False, queue_depth=0, output_length=0)

    assert {name: inference_attributes(event)[name] for name in ("mgeo.truncated", "mgeo.queue.depth", "mgeo.output.length")} == {
        "mgeo.truncated": False,
        "mgeo.queue.depth": 0,
        "mgeo.output.length": 0,
    }


def test_an_address_that_was_never_cleaned_has_a_length_and_no_hash() -> None:
    """One of two may be known."""
    attributes = inference_attributes(replace(BARE, address2=AddressFacts(length=0)))

    assert attributes["mgeo.address2.length"] == 0
    assert [name for name in attributes if "hash" in name or "address1" in name] == []


def test_an_exception_is_its_type_and_a_line_for_each_frame() -> None:
    """Innermost last."""
    attributes = inference_attributes(replace(BARE, exception=ExceptionFacts(type="ValueError", frames=("a.py:1 f", "b.py:2 g"))))

    assert (attributes["exception.type"], attributes["exception.stacktrace"]) == ("ValueError", "a.py:1 f\nb.py:2 g")


def test_a_batch_says_its_size_model_and_times() -> None:
    """Its members are links, not attributes."""
    assert batch_attributes(BATCH) == {
        "mgeo.batch.id": "batch-1",
        "mgeo.batch.size": 2,
        "mgeo.model.name": "mgeo",
        "mgeo.model.version": "1.0",
        "mgeo.stage.tokenize.duration": 0.125,
        "mgeo.stage.inference.duration": 0.25,
    }


def test_a_batch_that_failed_says_why() -> None:
    """And has no times of what was not reached."""
    failed = replace(
        BATCH,
        tokenize_duration=None,
        forward_duration=None,
        error_type=ErrorType.MODEL_FAILED,
        exception=ExceptionFacts(type="RuntimeError", frames=("model.py:1 forward",)),
    )

    assert batch_attributes(failed) == {
        "mgeo.batch.id": "batch-1",
        "mgeo.batch.size": 2,
        "mgeo.model.name": "mgeo",
        "mgeo.model.version": "1.0",
        "error.type": "model_failed",
        "exception.type": "RuntimeError",
        "exception.stacktrace": "model.py:1 forward",
    }


@pytest.mark.parametrize("error_type", [None, *ErrorType])
def test_no_attribute_is_missing_in_the_names_table(error_type: ErrorType | None) -> None:
    """For every way an inference or a batch can end: what is not in the table cannot leave, nor a value out of its closed set."""
    exception = ExceptionFacts(type="ValueError", frames=())
    outcome = Outcome.SUCCESS if error_type is None else error_type.outcome
    spans = (
        (inference_attributes(replace(FULL, error_type=error_type, outcome=outcome, exception=exception)), names.INFERENCE_ATTRIBUTES),
        (batch_attributes(replace(BATCH, error_type=error_type, exception=exception)), names.BATCH_ATTRIBUTES),
    )

    for attributes, table in spans:
        known = {attribute.name: attribute for attribute in table}
        assert set(attributes) - set(known) == set()
        assert [name for name, value in attributes.items() if known[name].values and value not in known[name].values] == []


def test_no_attribute_of_the_names_table_is_never_written() -> None:
    """The table promises nothing that no span has."""
    exception = ExceptionFacts(type="ValueError", frames=())
    written = set(inference_attributes(replace(FULL, error_type=ErrorType.INTERNAL, exception=exception)))
    batch = set(batch_attributes(replace(BATCH, error_type=ErrorType.INTERNAL, exception=exception)))

    assert {attribute.name for attribute in names.INFERENCE_ATTRIBUTES} == written
    assert {attribute.name for attribute in names.BATCH_ATTRIBUTES} == batch


TYPES = {"string": str, "boolean": bool, "int": int, "double": float}


def test_every_value_has_the_type_the_table_gives() -> None:
    """Arrays too, of that type throughout."""
    known = {attribute.name: attribute.type for attribute in names.INFERENCE_ATTRIBUTES}

    for name, value in inference_attributes(FULL).items():
        kind = known[name]
        if kind.endswith("[]"):
            assert {type(item) for item in value} == {TYPES[kind.removesuffix("[]")]}, name  # type: ignore[union-attr]
        else:
            assert type(value) is TYPES[kind], name


def test_three_outcomes_count_against_the_service() -> None:
    """Whoever sends nonsense or goes away is no failure of ours."""
    assert {outcome.value for outcome in COUNTS_AGAINST_US} == {"overloaded", "timeout", "error"}
