"""One run of the model: from queued pairs to checked scores, and what it leaves in telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import ErrorType, ModelError
from service.telemetry.event import BatchEvent, BatchMember, ExceptionFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.batch import BatchRun
    from service.breaker import CircuitBreaker
    from service.model.base import AddressPair, Model, Scores
    from service.telemetry.event import Clock
    from service.telemetry.recorder import Recorder

SUM_TOLERANCE = 0.01
"""How far from 1 three probabilities may add up to; half precision is that rough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A pair on its way to the model, and the ids of its span."""

    pair: AddressPair
    member: BatchMember


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What the model made of a pair.

    Attributes:
        scores: None when they are no three probabilities.
        truncated: whether the tokenizer cut the pair.
        tokenize_duration: seconds, of the whole batch.
        forward_duration: seconds, of the whole batch.
    """

    scores: Scores | None
    truncated: bool
    tokenize_duration: float
    forward_duration: float


class Scorer:
    """Runs the model on batches; records each run once, and tells the breaker how it went."""

    def __init__(self, model: Model, recorder: Recorder, *, breaker: CircuitBreaker, clock: Clock) -> None:
        self._model = model
        self._recorder = recorder
        self._breaker = breaker
        self._clock = clock

    def score(self, _batch_id: str, queued: Sequence[Queued]) -> list[Scored]:
        """Score a batch; on the worker's thread.

        Raises:
            ModelError: the model's answer does not fit the batch, or has no valid scores at all.
            BaseException: whatever the model raises.
        """
        prediction = self._model.predict([entry.pair for entry in queued])
        if not len(prediction.scores) == len(prediction.truncated) == len(queued):
            raise ModelError(ErrorType.INVALID_OUTPUT)
        scored = [
            Scored(
                scores=scores if _are_probabilities(scores) else None,
                truncated=truncated,
                tokenize_duration=prediction.tokenize_duration,
                forward_duration=prediction.forward_duration,
            )
            for scores, truncated in zip(prediction.scores, prediction.truncated, strict=True)
        ]
        if all(each.scores is None for each in scored):
            raise ModelError(ErrorType.INVALID_OUTPUT)
        return scored

    def ended(self, run: BatchRun[Queued, Scored]) -> None:
        """Record a run that has ended, however and on whichever thread."""
        failure = run.failure
        cause = failure.__cause__ if failure is not None else None
        info, first = self._model.info, run.outputs[0] if run.outputs else None
        since = self._clock.monotonic() - run.dispatched_at
        self._recorder.record_batch(
            BatchEvent(
                batch_id=run.batch_id,
                members=tuple(queued.member for queued in run.items),
                started_unix_ns=self._clock.unix_ns() - round(since * 1e9),
                duration=max(run.completed_at - run.dispatched_at, 0.0),
                tokenize_duration=first.tokenize_duration if first is not None else None,
                forward_duration=first.forward_duration if first is not None else None,
                model_name=info.name,
                model_version=info.version,
                error_type=failure.error_type if failure is not None else None,
                exception=ExceptionFacts.of(cause) if cause is not None else None,
            ),
        )
        if failure is None:
            self._breaker.succeeded()
        elif isinstance(failure, ModelError):
            self._breaker.failed()


def _are_probabilities(scores: Scores) -> bool:
    first, second, third = scores.not_match, scores.partial_match, scores.exact_match
    # Not a number compares false with everything.
    return 0 <= first <= 1 and 0 <= second <= 1 and 0 <= third <= 1 and abs(first + second + third - 1) <= SUM_TOLERANCE
