"""One run of the model, and what it leaves."""

from __future__ import annotations

import pytest

from service.batch import BatchRun
from service.breaker import CircuitBreaker
from service.errors import ErrorType, ModelError, Overloaded
from service.model.base import AddressPair, BatchPrediction, Scores
from service.model.fake import BAD_OUTPUT, EXACT, NOT, FakeModel
from service.scoring import Queued, Scored, Scorer
from service.telemetry.event import BatchEvent, BatchMember, Clock
from service.telemetry.recorder import ListRecorder

MEMBERS = tuple(BatchMember(request_id=f"r{number}", trace_id=f"t{number}", span_id=f"s{number}") for number in range(2))
QUEUED = (
    Queued(pair=AddressPair(address1="甲", address2="甲"), member=MEMBERS[0]),
    Queued(pair=AddressPair(address1="甲", address2="乙"), member=MEMBERS[1]),
)


class Scene:
    """A scorer whose clocks stand at 20 s and 1,000 s, with a breaker that opens at the first failure."""

    def __init__(self, model=None) -> None:
        self.recorder = ListRecorder()
        self.breaker = CircuitBreaker(failures=1, cooldown=5.0, clock=lambda: 20.0)
        clock = Clock(monotonic=lambda: 20.0, unix_ns=lambda: 1_000_000_000_000)
        self.scorer = Scorer(model or FakeModel(), self.recorder, breaker=self.breaker, clock=clock)


class Fixed:
    """A model that always gives the same prediction."""

    info = FakeModel().info

    def __init__(self, *scores: Scores, truncated: tuple[bool, ...] | None = None) -> None:
        self._scores = scores
        self._truncated = truncated if truncated is not None else (False,) * len(scores)

    def warmup(self) -> None:
        """Nothing to warm up."""

    def predict(self, pairs):
        return BatchPrediction(scores=self._scores, truncated=self._truncated, tokenize_duration=0.5, forward_duration=0.25)


def test_every_pair_gets_its_scores_and_the_run_its_durations():
    """In the order of the pairs."""
    scored = Scene(FakeModel(truncate_over=0)).scorer.score("b1", QUEUED)
    assert [
        Scored(scores=EXACT, truncated=True, tokenize_duration=0.001, forward_duration=0.002),
        Scored(scores=NOT, truncated=True, tokenize_duration=0.001, forward_duration=0.002),
    ] == scored


def test_one_bad_answer_is_one_pairs_trouble():
    """The other keeps its own."""
    scored = Scene(Fixed(BAD_OUTPUT, EXACT)).scorer.score("b1", QUEUED)
    assert [each.scores for each in scored] == [None, EXACT]


def test_nothing_but_bad_answers_is_a_failed_run():
    """So that the breaker hears of a model whose numerics are broken."""
    with pytest.raises(ModelError) as caught:
        Scene(Fixed(BAD_OUTPUT, BAD_OUTPUT)).scorer.score("b1", QUEUED)
    assert ErrorType.INVALID_OUTPUT is caught.value.error_type


@pytest.mark.parametrize("model", [Fixed(EXACT), Fixed(EXACT, EXACT, EXACT), Fixed(), Fixed(EXACT, EXACT, truncated=(False,))])
def test_an_answer_that_does_not_fit_the_batch_is_refused(model):
    """Too few or too many scores, or a missing flag."""
    with pytest.raises(ModelError) as caught:
        Scene(model).scorer.score("b1", QUEUED)
    assert ErrorType.INVALID_OUTPUT is caught.value.error_type


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        ((0.2, 0.3, 0.5), True),
        ((0.0, 0.0, 1.0), True),
        ((0.2, 0.3, 0.509), True),
        ((0.2, 0.3, 0.52), False),
        ((0.2, 0.3, 0.48), False),
        ((-0.1, 0.6, 0.5), False),
        ((0.5, 0.6, -0.1), False),
        ((1.1, -0.05, -0.05), False),
        ((float("nan"), 0.5, 0.5), False),
        ((0.5, 0.5, float("nan")), False),
        ((float("inf"), 0.0, 0.0), False),
        ((0.0, 0.0, 0.0), False),
    ],
)
def test_what_counts_as_three_probabilities(values, valid):
    """Each between 0 and 1, together 1 but for the roughness of half precision."""
    scores = Scores(not_match=values[0], partial_match=values[1], exact_match=values[2])
    scored = Scene(Fixed(scores, EXACT)).scorer.score("b1", QUEUED)
    assert (scores if valid else None) == scored[0].scores


def test_a_run_that_succeeded_is_recorded_with_its_members():
    """It began 3 s before now on the wall clock, by the monotonic clock's account."""
    scene = Scene()
    outputs = scene.scorer.score("b1", QUEUED)
    scene.scorer.ended(BatchRun(batch_id="b1", items=QUEUED, dispatched_at=17.0, completed_at=19.5, outputs=outputs))
    expected = BatchEvent(
        batch_id="b1",
        members=MEMBERS,
        started_unix_ns=997_000_000_000,
        duration=2.5,
        tokenize_duration=0.001,
        forward_duration=0.002,
        model_name="fake",
        model_version="1",
    )
    assert [expected] == scene.recorder.batches
    assert scene.breaker.state == "closed"


def test_a_run_that_failed_is_recorded_without_the_exceptions_message():
    """Type and frames only, since messages carry addresses; the breaker counts it."""
    scene = Scene()
    failure = ModelError(ErrorType.MODEL_FAILED)
    with pytest.raises(ValueError, match="浙江") as caught:
        int("浙江省杭州市")
    failure.__cause__ = caught.value
    scene.scorer.ended(BatchRun(batch_id="b1", items=QUEUED, dispatched_at=17.0, completed_at=18.0, failure=failure))
    event = scene.recorder.batches[0]
    assert (event.error_type, event.exception.type, event.duration) == (ErrorType.MODEL_FAILED, "ValueError", 1.0)
    assert (event.tokenize_duration, event.forward_duration, len(event.exception.frames)) == (None, None, 1)
    assert "浙江" not in repr(event)
    assert scene.breaker.state == "open"


def test_a_failure_without_a_cause_has_no_exception():
    """A worker that is stuck has raised nothing."""
    scene = Scene()
    scene.scorer.ended(
        BatchRun(batch_id="b", items=QUEUED, dispatched_at=17.0, completed_at=18.0, failure=ModelError(ErrorType.WORKER_STUCK))
    )
    assert (scene.recorder.batches[0].error_type, scene.recorder.batches[0].exception) == (ErrorType.WORKER_STUCK, None)
    assert scene.breaker.state == "open"


def test_a_run_that_was_ended_by_the_shutdown_does_not_count_against_the_model():
    """It is recorded all the same."""
    scene = Scene()
    scene.scorer.ended(
        BatchRun(batch_id="b", items=QUEUED, dispatched_at=17.0, completed_at=18.0, failure=Overloaded(ErrorType.SHUTTING_DOWN))
    )
    assert ErrorType.SHUTTING_DOWN is scene.recorder.batches[0].error_type
    assert scene.breaker.state == "closed"
