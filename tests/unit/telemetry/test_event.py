"""The inference event: opened once, closed once, without any address."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorType, InferenceRefused, InvalidInput, ModelError, Outcome
from service.telemetry.event import (
    AddressFacts,
    Answer,
    BatchEvent,
    BatchMember,
    CapturedText,
    Clock,
    EventDraft,
    ExceptionFacts,
    GpuFacts,
    InferenceEvent,
    Stage,
    StageTiming,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "浙江省杭州市余杭区五常街道文一西路969号"
ANSWER = Answer(label="exact_match", similarity=0.95, not_match=0.0, partial_match=0.1, exact_match=0.9)


def draft_of(ticking: Any) -> EventDraft:
    return EventDraft.open(request_id="request-1", function="match", clock=ticking.as_clock())


def raised(error: BaseException) -> BaseException:
    """The exception with a traceback of its own."""
    with pytest.raises(type(error)):
        fail_with(lambda: error)
    return error


# --- opening and closing ----------------------------------------------------------------------------------------------


def test_a_draft_is_stamped_with_both_clocks(ticking: Any) -> None:
    """The wall clock tells when, the monotonic clock begins to count; ids are for the recorder to fill."""
    ticking.tick(2.5)

    draft = draft_of(ticking)

    assert (draft.started_unix_ns, draft.started_monotonic) == (1_770_000_002_500_000_000, 1002.5)
    assert (draft.trace_id, draft.span_id, draft.parent_span_id, draft.closed) == ("", "", None, False)


def test_closing_without_a_failure_is_success_with_everything_the_draft_had(ticking: Any) -> None:
    """Every fact of the draft stands in the event; the duration is that of the monotonic clock."""
    draft = draft_of(ticking)
    draft.trace_id, draft.span_id, draft.parent_span_id = "a" * 32, "b" * 16, "c" * 16
    draft.address1, draft.address2 = AddressFacts(length=5, hash="1" * 32), AddressFacts(length=6, hash="2" * 32)
    draft.truncated, draft.queue_depth, draft.batch_id, draft.batch_size = True, 3, "batch-1", 8
    draft.model_name, draft.model_version, draft.answer, draft.output_length = "mgeo", "1", ANSWER, 11
    draft.gpu = (GpuFacts(id="GPU-1", memory_usage=1, memory_limit=2, utilization=0.5, age=0.25),)
    draft.text = CapturedText("a", "b")
    draft.spent(Stage.READ, 1000.0, 1000.25)
    ticking.tick(0.5)

    event = draft.close()

    assert event == InferenceEvent(
        request_id="request-1",
        trace_id="a" * 32,
        span_id="b" * 16,
        parent_span_id="c" * 16,
        function="match",
        started_unix_ns=1_770_000_000_000_000_000,
        duration=0.5,
        outcome=Outcome.SUCCESS,
        error_type=None,
        exception=None,
        stages=(StageTiming(stage=Stage.READ, offset=0.0, duration=0.25),),
        address1=AddressFacts(length=5, hash="1" * 32),
        address2=AddressFacts(length=6, hash="2" * 32),
        truncated=True,
        queue_depth=3,
        batch_id="batch-1",
        batch_size=8,
        model_name="mgeo",
        model_version="1",
        answer=ANSWER,
        output_length=11,
        gpu=(GpuFacts(id="GPU-1", memory_usage=1, memory_limit=2, utilization=0.5, age=0.25),),
        text=CapturedText("a", "b"),
    )


def test_draft_and_event_have_the_same_facts() -> None:
    """No fact of the draft is forgotten at closing, and no fact of the event comes from nowhere."""
    draft = {field.name for field in dataclasses.fields(EventDraft)} - {"clock", "started_monotonic", "closed"}
    event = {field.name for field in dataclasses.fields(InferenceEvent)} - {"duration", "outcome", "error_type", "exception"}

    assert draft == event


def test_a_draft_can_be_closed_once_only(ticking: Any) -> None:
    """The second close raises, whatever it says."""
    draft = draft_of(ticking)
    draft.close()

    with pytest.raises(RuntimeError, match=r"^an inference event can be closed once only$"):
        draft.close(error_type=ErrorType.INTERNAL)


def test_an_event_cannot_be_changed(ticking: Any) -> None:
    """What was said once stands."""
    event = draft_of(ticking).close()

    with pytest.raises(dataclasses.FrozenInstanceError):
        event.duration = 0.0  # type: ignore[misc]


def test_a_clock_that_runs_backwards_makes_no_negative_duration() -> None:
    """A monotonic clock does not; a broken one must not spoil the histograms."""
    readings = iter((5.0, 4.0))
    draft = EventDraft.open(request_id="r", function="f", clock=Clock(monotonic=lambda: next(readings), unix_ns=lambda: 0))

    assert draft.close().duration == 0.0


def test_the_clocks_are_those_of_the_machine_unless_others_are_given() -> None:
    """Seconds that do not go back, and nanoseconds since 1970."""
    clock = Clock()

    assert clock.monotonic() <= clock.monotonic()
    assert clock.unix_ns() > 1_700_000_000_000_000_000


# --- outcomes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_type", list(ErrorType))
def test_the_error_type_decides_the_outcome(ticking: Any, error_type: ErrorType) -> None:
    """One table only, and an inference that did not succeed has no answer and no length of one."""
    draft = draft_of(ticking)
    draft.answer, draft.output_length = ANSWER, 11

    event = draft.close(error_type=error_type)

    assert (event.outcome, event.error_type, event.answer, event.output_length) == (error_type.outcome, error_type, None, None)


def test_a_refusal_brings_its_own_error_type(ticking: Any) -> None:
    """Even when the caller of `close` has another one ready, and it leaves no exception: it is no fault of the code."""
    event = draft_of(ticking).close(raised(InvalidInput(ErrorType.EMPTY_ADDRESS, field="address1")), error_type=ErrorType.INTERNAL)

    assert (event.outcome, event.error_type, event.exception) == (Outcome.INVALID, ErrorType.EMPTY_ADDRESS, None)


def test_a_refusal_leaves_the_exception_that_caused_it(ticking: Any) -> None:
    """A model error tells what the model raised."""
    error = ModelError(ErrorType.MODEL_FAILED)
    error.__cause__ = raised(ZeroDivisionError("division"))

    event = draft_of(ticking).close(error)

    assert event.error_type is ErrorType.MODEL_FAILED
    assert event.exception is not None
    assert event.exception.type == "ZeroDivisionError"


@pytest.mark.parametrize("error_type", [ErrorType.FUNCTION_FAILED, ErrorType.MODEL_FAILED])
def test_any_other_exception_is_what_the_caller_says(ticking: Any, error_type: ErrorType) -> None:
    """With its type and its frames."""
    event = draft_of(ticking).close(raised(KeyError("k")), error_type=error_type)

    assert (event.outcome, event.error_type) == (Outcome.ERROR, error_type)
    assert event.exception is not None
    assert event.exception.type == "KeyError"


def test_an_exception_nobody_expected_is_internal(ticking: Any) -> None:
    """Without a word from the caller of `close`, the fault is ours."""
    assert draft_of(ticking).close(raised(KeyError("k"))).error_type is ErrorType.INTERNAL


def test_a_cancelled_call_is_what_the_caller_says(ticking: Any) -> None:
    """Exceptions that are no `Exception` are taken too."""
    event = draft_of(ticking).close(raised(asyncio.CancelledError()), error_type=ErrorType.CALLER_CANCELLED)

    assert event.outcome is Outcome.CANCELLED
    assert event.exception is not None
    assert event.exception.type == "asyncio.exceptions.CancelledError"


# --- no address -------------------------------------------------------------------------------------------------------


class AddressError(Exception):
    """An exception that carries an address in every way it can."""

    def __init__(self) -> None:
        super().__init__(ADDRESS)
        self.address = ADDRESS
        self.add_note(ADDRESS)

    def __str__(self) -> str:
        """Print the address."""
        return ADDRESS

    def __repr__(self) -> str:
        """Print the address."""
        return ADDRESS


def fail_with(error: Callable[[], BaseException]) -> None:
    address = ADDRESS
    if address:
        raise error()


@pytest.mark.parametrize(
    "make",
    [
        AddressError,
        lambda: InvalidInput(ErrorType.EMPTY_ADDRESS, ADDRESS, field=ADDRESS),
        lambda: InferenceRefused(ErrorType.INTERNAL, ADDRESS),
        lambda: ExceptionGroup(ADDRESS, [AddressError()]),
        lambda: UnicodeEncodeError("utf-8", ADDRESS, 0, 1, ADDRESS),
    ],
)
@pytest.mark.parametrize("chained", [False, True])
def test_no_address_of_an_exception_enters_the_event(ticking: Any, make: Callable[[], Exception], chained: bool) -> None:
    """Neither its message nor its notes, locals, source lines or causes: the event's whole repr has no character of it."""
    try:
        try:
            fail_with(make)
        except Exception as error:
            if not chained:
                raise
            raise ModelError(ErrorType.MODEL_FAILED, ADDRESS) from error
    except Exception as error:
        event = draft_of(ticking).close(error, error_type=ErrorType.FUNCTION_FAILED)

    assert [character for character in ADDRESS if character in repr(event) and not character.isascii()] == []
    assert "969" not in repr(event)


def test_captured_text_does_not_print_itself(ticking: Any) -> None:
    """An event with captured text can be logged by accident without harm."""
    draft = draft_of(ticking)
    draft.text = CapturedText(ADDRESS, ADDRESS)

    event = draft.close()

    assert (repr(event.text), ADDRESS in repr(event), ADDRESS in repr(draft)) == ("CapturedText()", False, False)
    assert event.text == CapturedText(ADDRESS, ADDRESS)


@pytest.mark.parametrize(
    ("addresses", "kept"),
    [
        (("甲", "乙"), CapturedText("甲", "乙")),
        (("甲",), CapturedText("甲", "")),
        ((None, "乙"), CapturedText("", "乙")),
        (("路" * 1001, "x"), CapturedText("路" * 1000, "x")),
        (("a\ud800b", "x"), CapturedText("a\\ud800b", "x")),
        ((), None),
        (("", ""), None),
        ((1, b"x"), None),
    ],
)
def test_of_two_addresses_what_is_text_is_captured_up_to_a_thousand_characters(
    addresses: tuple[object, ...], kept: CapturedText | None
) -> None:
    """Half a surrogate pair is shown by its number, and where there is no text there is nothing to keep."""
    assert CapturedText.of(*addresses) == kept


# --- exceptions -------------------------------------------------------------------------------------------------------


def test_an_exception_is_its_qualified_type_and_its_frames(ticking: Any) -> None:
    """Frames as `file:line function`, innermost last, without source lines."""
    try:
        fail_with(AddressError)
    except AddressError as error:
        facts = ExceptionFacts.of(error)

    assert facts.type == f"{AddressError.__module__}.AddressError"
    outer, inner = facts.frames
    assert outer.startswith(f"{__file__}:")
    assert outer.endswith(" test_an_exception_is_its_qualified_type_and_its_frames")
    line = fail_with.__code__.co_firstlineno + 3
    assert inner == f"{__file__}:{line} fail_with"


def test_a_builtin_exception_has_no_module_before_its_name() -> None:
    """`ValueError`, as people write it."""
    assert ExceptionFacts.of(ValueError("x")) == ExceptionFacts(type="ValueError", frames=())


def test_of_a_deep_recursion_the_innermost_twenty_frames_are_kept() -> None:
    """A stack overflow neither fills the span nor is cut where it matters."""

    def descend(depth: int) -> None:
        if depth == 0:
            raise ValueError
        descend(depth - 1)

    try:
        descend(500)
    except ValueError as error:
        facts = ExceptionFacts.of(error)

    assert len(facts.frames) == 20
    raise_line, call_line = descend.__code__.co_firstlineno + 2, descend.__code__.co_firstlineno + 3
    assert facts.frames[-1] == f"{__file__}:{raise_line} descend"
    assert set(facts.frames[:-1]) == {f"{__file__}:{call_line} descend"}


# --- stages -----------------------------------------------------------------------------------------------------------


def test_the_stages_are_a_closed_list_in_order() -> None:
    """Dashboards stack them so."""
    assert [stage.value for stage in Stage] == ["read", "clean", "queue", "tokenize", "inference", "deliver"]


def test_a_stage_has_its_offset_from_the_start_and_its_duration(ticking: Any) -> None:
    """Both in seconds; they can be asked for by stage."""
    draft = draft_of(ticking)
    draft.spent(Stage.QUEUE, 1000.25, 1001.0)
    draft.spent(Stage.INFERENCE, 1001.0, 1001.5)

    event = draft.close()

    assert event.stages == (
        StageTiming(stage=Stage.QUEUE, offset=0.25, duration=0.75),
        StageTiming(stage=Stage.INFERENCE, offset=1.0, duration=0.5),
    )
    assert (event.stage(Stage.QUEUE), event.stage(Stage.INFERENCE), event.stage(Stage.READ)) == (0.75, 0.5, None)


@given(
    opened=st.floats(-1e9, 1e9),
    moments=st.lists(st.tuples(st.sampled_from(Stage), st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))),
    closed=st.floats(-1e9, 1e9),
)
def test_no_moments_make_a_negative_offset_or_duration(opened: float, moments: list[tuple[Stage, float, float]], closed: float) -> None:
    """Whatever clocks said, and in whatever order: nothing below 0, every stage kept, and none longer than it was said to be."""
    readings = iter((opened, closed))
    draft = EventDraft.open(request_id="r", function="f", clock=Clock(monotonic=lambda: next(readings), unix_ns=lambda: 0))
    for stage, started, ended in moments:
        draft.spent(stage, started, ended)

    event = draft.close()

    assert event.duration >= 0
    assert [timing.stage for timing in event.stages] == [stage for stage, _, _ in moments]
    for timing, (_, started, ended) in zip(event.stages, moments, strict=True):
        assert timing.offset >= 0
        assert 0 <= timing.duration <= max(ended - started, 0)


@given(cuts=st.lists(st.floats(0, 1e6), min_size=2, max_size=7).map(sorted))
def test_stages_one_after_another_are_no_longer_than_the_whole(cuts: list[float]) -> None:
    """Between opening and closing, consecutive stages sum up to the duration, but for rounding."""
    readings = iter((cuts[0], cuts[-1]))
    draft = EventDraft.open(request_id="r", function="f", clock=Clock(monotonic=lambda: next(readings), unix_ns=lambda: 0))
    for stage, started, ended in zip(Stage, cuts, cuts[1:], strict=False):
        draft.spent(stage, started, ended)

    event = draft.close()

    assert sum(timing.duration for timing in event.stages) == pytest.approx(event.duration)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_event_tells_its_members_by_the_ids_of_their_spans() -> None:
    """What is not known of a batch that failed early is None."""
    member = BatchMember(request_id="request-1", trace_id="a" * 32, span_id="b" * 16)
    batch = BatchEvent(batch_id="batch-1", members=(member,), started_unix_ns=1, duration=0.5, model_name="mgeo", model_version="1")

    assert (batch.tokenize_duration, batch.forward_duration, batch.error_type, batch.exception) == (None, None, None, None)
