"""Events made by hand, so that what is rendered of them can be foretold to the letter."""

from __future__ import annotations

from dataclasses import replace

from service.errors import ErrorType, Outcome
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

START = 1_795_334_400_000_000_000  # 2026-11-22T08:00:00Z
MS = 1_000_000
TRACE = "1d7de73684aaa96330ed117943d9ea04"

SUCCESS = InferenceEvent(
    request_id="shop-42",
    trace_id=TRACE,
    span_id="00000000000000a1",
    parent_span_id="00000000000000a0",
    function="match",
    started_unix_ns=START,
    duration=0.0125,
    outcome=Outcome.SUCCESS,
    stages=(
        StageTiming(stage=Stage.READ, offset=0.0, duration=0.0005),
        StageTiming(stage=Stage.CLEAN, offset=0.0005, duration=0.0001),
        StageTiming(stage=Stage.QUEUE, offset=0.001, duration=0.001),
        StageTiming(stage=Stage.TOKENIZE, offset=0.002, duration=0.001),
        StageTiming(stage=Stage.INFERENCE, offset=0.003, duration=0.009),
        StageTiming(stage=Stage.DELIVER, offset=0.012, duration=0.0005),
    ),
    address1=AddressFacts(length=18, hash="0" * 31 + "1"),
    address2=AddressFacts(length=16, hash="0" * 31 + "2"),
    truncated=False,
    queue_depth=3,
    batch_id="batch-1",
    batch_size=2,
    model_name="mgeo-embedded",
    model_version="1",
    answer=Answer(label="exact_match", similarity=0.97, not_match=0.01, partial_match=0.04, exact_match=0.95),
    output_length=11,
    gpu=(GpuFacts(id="0", memory_usage=2_147_483_648, memory_limit=8_589_934_592, utilization=0.42, age=0.3),),
)
FAILED = replace(
    SUCCESS,
    request_id="other-7",
    span_id="00000000000000b1",
    started_unix_ns=START + 2 * MS,
    duration=0.02,
    outcome=Outcome.ERROR,
    error_type=ErrorType.MODEL_FAILED,
    exception=ExceptionFacts(type="ValueError", frames=("/srv/model.py:12 predict", "/srv/model.py:40 encode")),
    answer=None,
    output_length=None,
    gpu=(GpuFacts(id="0", memory_usage=None, memory_limit=None, utilization=None, age=0.1),),
)
REFUSED = InferenceEvent(
    request_id="third",
    trace_id=TRACE,
    span_id="00000000000000c1",
    parent_span_id=None,
    function="match",
    started_unix_ns=START + 90_000 * MS,
    duration=0.001,
    outcome=Outcome.INVALID,
    error_type=ErrorType.MALFORMED_JSON,
)
BATCH = BatchEvent(
    batch_id="batch-1",
    members=(
        BatchMember(request_id="shop-42", trace_id=TRACE, span_id="00000000000000a1"),
        BatchMember(request_id="other-7", trace_id=TRACE, span_id="00000000000000b1"),
    ),
    started_unix_ns=START + 2 * MS,
    duration=0.01,
    tokenize_duration=0.001,
    forward_duration=0.009,
    model_name="mgeo-embedded",
    model_version="1",
)


def with_text(event: InferenceEvent, address1: str, address2: str) -> InferenceEvent:
    """The event with its text captured."""
    return replace(event, text=CapturedText(address1, address2))
