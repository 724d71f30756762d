"""The event under any order of stages and any clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorType, InferenceRefused, Outcome
from service.telemetry.event import Answer, Clock, EventDraft, Stage

SECONDS = st.floats(0, 1e6, allow_nan=False)
ERRORS = st.one_of(st.none(), st.sampled_from(ErrorType), st.sampled_from([ValueError("浙江省"), KeyboardInterrupt(), MemoryError()]))
ANSWER = Answer(label="exact_match", similarity=1.0, not_match=0.0, partial_match=0.0, exact_match=1.0)


def draft_at(started: float, now: float) -> EventDraft:
    clock = Clock(monotonic=lambda: now, unix_ns=lambda: 0)
    return EventDraft(request_id="r", function="match", clock=clock, started_unix_ns=0, started_monotonic=started)


@given(SECONDS, SECONDS, st.lists(st.tuples(st.sampled_from(Stage), SECONDS, SECONDS), max_size=12))
def test_no_duration_is_ever_negative(started, now, spans):
    """Even if a clock went backwards or a stage began before the inference."""
    draft = draft_at(started, now)
    for stage, begin, end in spans:
        draft.spent(stage, begin, end)
    event = draft.close()
    assert event.duration >= 0
    assert all(timing.offset >= 0 and timing.duration >= 0 for timing in event.stages)
    assert [stage for stage, _, _ in spans] == [timing.stage for timing in event.stages]


@given(st.lists(SECONDS, min_size=8, max_size=8).map(sorted))
def test_stages_that_follow_one_another_fit_into_the_whole(moments):
    """Each begins where the one before it ended: their sum and every end stay within the duration."""
    started, *between, now = moments
    draft = draft_at(started, now)
    for stage, begin, end in zip(Stage, between, between[1:], strict=False):
        draft.spent(stage, begin, end)
    event = draft.close()
    epsilon = 1e-9 * max(now, 1)
    assert sum(timing.duration for timing in event.stages) <= event.duration + epsilon
    assert all(timing.offset + timing.duration <= event.duration + epsilon for timing in event.stages)
    assert all(event.stage(timing.stage) == timing.duration for timing in event.stages)


@given(ERRORS, ERRORS)
def test_an_event_closes_once(first, second):
    """However it ended the first time, a second end is a mistake of ours and says so."""
    draft = draft_at(0, 1)
    close(draft, first)
    with pytest.raises(RuntimeError, match="once only"):
        close(draft, second)


@given(ERRORS)
def test_an_answer_stands_on_success_alone(end):
    """Everything else has an error type, of the outcome it belongs to, and no exception's message."""
    draft = draft_at(0, 1)
    draft.answer, draft.output_length = ANSWER, 11
    event = close(draft, end)
    if end is None:
        assert (event.outcome, event.error_type, event.answer, event.output_length) == (Outcome.SUCCESS, None, ANSWER, 11)
    else:
        assert (event.error_type.outcome, None, None) == (event.outcome, event.answer, event.output_length)
        assert (end if isinstance(end, ErrorType) else ErrorType.INTERNAL) is event.error_type
    assert "浙江" not in repr(event)


def close(draft: EventDraft, end: BaseException | ErrorType | None):
    if isinstance(end, ErrorType):
        return draft.close(InferenceRefused(end))
    return draft.close(end)
