"""Events as Hypothesis makes them up: any that the service can leave, and many that it cannot."""

from __future__ import annotations

from hypothesis import strategies as st

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
from service.telemetry.ids import trace_id_of

_text = st.text(st.characters(), max_size=20)
_hex = st.sampled_from("0123456789abcdef")
_seconds = st.floats(min_value=0, max_value=1e9) | st.integers(0, 1 << 45).map(lambda ticks: ticks / (1 << 38))
_count = st.integers(0, 1 << 40)
_ratio = st.floats(0, 1) | st.floats(0, 1, width=32)


def hex_text(pairs: int) -> st.SearchStrategy[str]:
    """So many bytes in lower-case hex."""
    return st.text(_hex, min_size=2 * pairs, max_size=2 * pairs)


def request_ids() -> st.SearchStrategy[str]:
    """Ids of inferences, as the service makes them and as callers send them."""
    calls = st.uuids().map(str) | st.from_regex(r"[A-Za-z0-9._~-]{1,128}", fullmatch=True)
    return calls | st.builds("{}:{}".format, calls, st.integers(0, 255))


_stages = st.lists(st.sampled_from(Stage), unique=True).flatmap(
    lambda stages: st.tuples(*(st.builds(StageTiming, stage=st.just(stage), offset=_seconds, duration=_seconds) for stage in stages)),
)
_addresses = st.none() | st.builds(AddressFacts, length=_count, hash=st.none() | hex_text(16))
_exceptions = st.none() | st.builds(ExceptionFacts, type=_text, frames=st.lists(_text, max_size=5).map(tuple))
_devices = st.builds(
    GpuFacts,
    id=_text,
    memory_usage=st.none() | _count,
    memory_limit=st.none() | _count,
    utilization=st.none() | _ratio,
    age=_seconds,
)
_answers = st.none() | st.builds(
    Answer,
    label=st.sampled_from(["not_match", "partial_match", "exact_match"]),
    similarity=_ratio,
    not_match=_ratio,
    partial_match=_ratio,
    exact_match=_ratio,
)


def events() -> st.SearchStrategy[InferenceEvent]:
    """Any event that a draft can become, and many that it cannot."""
    return st.builds(
        lambda error_type, own_trace, **facts: InferenceEvent(
            **{**facts, "trace_id": own_trace or trace_id_of(facts["request_id"])},
            error_type=error_type,
            outcome=error_type.outcome if error_type else Outcome.SUCCESS,
        ),
        error_type=st.none() | st.sampled_from(ErrorType),
        own_trace=st.none() | hex_text(16),
        request_id=request_ids(),
        span_id=hex_text(8),
        parent_span_id=st.none() | hex_text(8),
        function=_text,
        started_unix_ns=st.integers(0, 1 << 62),
        duration=_seconds,
        exception=_exceptions,
        stages=_stages,
        address1=_addresses,
        address2=_addresses,
        truncated=st.none() | st.booleans(),
        queue_depth=st.none() | _count,
        batch_id=st.none() | request_ids(),
        batch_size=st.none() | st.integers(1, 4096),
        model_name=st.none() | _text,
        model_version=st.none() | _text,
        answer=_answers,
        output_length=st.none() | _count,
        gpu=st.lists(_devices, max_size=3).map(tuple),
        text=st.none() | st.builds(CapturedText, _text, _text),
    )


def batch_events() -> st.SearchStrategy[BatchEvent]:
    """Any batch."""
    ours = st.builds(lambda id_, span: BatchMember(request_id=id_, trace_id=trace_id_of(id_), span_id=span), request_ids(), hex_text(8))
    callers = st.builds(BatchMember, request_id=request_ids(), trace_id=hex_text(16), span_id=hex_text(8))
    return st.builds(
        BatchEvent,
        batch_id=request_ids(),
        members=st.lists(ours | callers, max_size=5).map(tuple),
        started_unix_ns=st.integers(0, 1 << 62),
        duration=_seconds,
        tokenize_duration=st.none() | _seconds,
        forward_duration=st.none() | _seconds,
        model_name=_text,
        model_version=_text,
        error_type=st.none() | st.sampled_from(ErrorType),
        exception=_exceptions,
    )
