"""Events for tests of whatever takes them: one typical of each kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.errors import ErrorType, Outcome
from service.telemetry.event import (
    AddressFacts,
    Answer,
    BatchEvent,
    BatchMember,
    InferenceEvent,
    Stage,
    StageTiming,
)
from service.telemetry.ids import trace_id_of

# 2026-11-21T09:08:07.654321987Z
STARTED = 1_795_252_087_654_321_987
SECOND = 1_000_000_000
HASH1 = "0123456789abcdef0123456789abcdef"
HASH2 = "fedcba9876543210fedcba9876543210"


def success(request_id: str = "0193f2a0-0000-7000-8000-000000000001", **changes: Any) -> InferenceEvent:
    """A typical inference that succeeded, in 12.5 ms."""
    event = InferenceEvent(
        request_id=request_id,
        trace_id=trace_id_of(request_id),
        span_id="00f067aa0ba902b7",
        parent_span_id="b7ad6b7169203331",
        function="match",
        started_unix_ns=STARTED,
        duration=0.0125,
        outcome=Outcome.SUCCESS,
        stages=(
            StageTiming(stage=Stage.READ, offset=0.0, duration=0.0005),
            StageTiming(stage=Stage.CLEAN, offset=0.0005, duration=0.00025),
            StageTiming(stage=Stage.QUEUE, offset=0.00075, duration=0.0012344),
            StageTiming(stage=Stage.TOKENIZE, offset=0.002, duration=0.0005),
            StageTiming(stage=Stage.INFERENCE, offset=0.0025, duration=0.0087656),
            StageTiming(stage=Stage.DELIVER, offset=0.0115, duration=0.001),
        ),
        address1=AddressFacts(length=17, hash=HASH1),
        address2=AddressFacts(length=19, hash=HASH2),
        truncated=False,
        queue_depth=3,
        batch_id="0193f2a0-0000-7000-8000-00000000ba7c",
        batch_size=2,
        model_name="mgeo-embedded",
        model_version="1.0",
        answer=Answer(label="exact_match", similarity=0.9375, not_match=0.0, partial_match=0.125, exact_match=0.875),
        output_length=11,
    )
    return replace(event, **changes)


def refused(error_type: ErrorType, request_id: str = "0193f2a0-0000-7000-8000-000000000002", **changes: Any) -> InferenceEvent:
    """An inference that ended before it had an answer, in 1.5 ms."""
    event = InferenceEvent(
        request_id=request_id,
        trace_id=trace_id_of(request_id),
        span_id="53995c3f42cd8ad8",
        parent_span_id=None,
        function="match",
        started_unix_ns=STARTED,
        duration=0.0015,
        outcome=error_type.outcome,
        error_type=error_type,
    )
    return replace(event, **changes)


def batch_of(*events: InferenceEvent, **changes: Any) -> BatchEvent:
    """The batch these inferences ran in, 2 ms after the first began."""
    event = BatchEvent(
        batch_id=events[0].batch_id or "",
        members=tuple(BatchMember(request_id=e.request_id, trace_id=e.trace_id, span_id=e.span_id) for e in events),
        started_unix_ns=events[0].started_unix_ns + 2_000_000,
        duration=0.0095,
        tokenize_duration=0.0005,
        forward_duration=0.00875,
        model_name="mgeo-embedded",
        model_version="1.0",
    )
    return replace(event, **changes)
