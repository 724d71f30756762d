"""A model without weights: its answers follow from the two texts alone, so tests and drills can foretell them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from service.model.base import AddressPair, BatchPrediction, Model, ModelInfo, Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXACT = Scores(not_match=0.01, partial_match=0.04, exact_match=0.95)
"""The answer for two equal texts."""

PARTIAL = Scores(not_match=0.1, partial_match=0.8, exact_match=0.1)
"""The answer for two different texts that begin with the same character."""

NOT = Scores(not_match=0.9, partial_match=0.08, exact_match=0.02)
"""The answer for all other pairs."""

BAD_OUTPUT = Scores(not_match=float("nan"), partial_match=0.5, exact_match=0.5)
"""Not three probabilities: what a model with broken numerics would give."""

TOKENIZE_DURATION = 0.001
"""Seconds reported per batch, whatever it took: literal values make literal expectations possible."""

FORWARD_DURATION = 0.002
"""Seconds reported per batch, whatever it took."""


KEPT_BATCHES = 1024
"""How many a fake model remembers; it also serves, for as long as anybody likes."""


def fake_scores(pair: AddressPair) -> Scores:
    """Equal texts match exactly, texts with the same first character partially, others not at all."""
    if pair.address1 == pair.address2:
        return EXACT
    if pair.address1[:1] == pair.address2[:1]:
        return PARTIAL
    return NOT


class FakeModel(Model):
    """A deterministic model that can be made slow, broken or wrong.

    Args:
        wait: called once in every `predict` before it answers, on the model's thread; blocks as long as the model shall be slow.
        error: raised by every `predict` (after `wait`).
        warmup_error: raised by `warmup`.
        answer: replaces `fake_scores`; return `BAD_OUTPUT` for an answer that is not three probabilities.
        truncate_over: characters of one address above which a pair is reported as truncated.
        device: what `info` says.

    Attributes:
        batches: the last batches `predict` was asked for, in order, failed ones included.
        warmups: how often `warmup` ran.
        error: may be set or cleared while the model is in use, to break or mend it.
    """

    def __init__(
        self,
        *,
        wait: Callable[[], object] | None = None,
        error: Exception | None = None,
        warmup_error: Exception | None = None,
        answer: Callable[[AddressPair], Scores] = fake_scores,
        truncate_over: int = 100,
        device: str = "cpu",
    ) -> None:
        self.error = error
        self.batches: deque[tuple[AddressPair, ...]] = deque(maxlen=KEPT_BATCHES)
        self.warmups = 0
        self._wait = wait
        self._warmup_error = warmup_error
        self._answer = answer
        self._truncate_over = truncate_over
        self._info = ModelInfo(name="fake", version="1", device=device)

    @property
    def info(self) -> ModelInfo:
        """Name `fake`, version `1`."""
        return self._info

    def warmup(self) -> None:
        """Count the call; raise `warmup_error` when there is one."""
        self.warmups += 1
        if self._warmup_error is not None:
            raise self._warmup_error

    def predict(self, pairs: Sequence[AddressPair]) -> BatchPrediction:
        """Answer by `answer`, in the order of the pairs.

        Raises:
            Exception: `error`, when there is one.
        """
        self.batches.append(tuple(pairs))
        if self._wait is not None:
            self._wait()
        if self.error is not None:
            raise self.error
        return BatchPrediction(
            scores=tuple(self._answer(pair) for pair in pairs),
            truncated=tuple(max(len(pair.address1), len(pair.address2)) > self._truncate_over for pair in pairs),
            tokenize_duration=TOKENIZE_DURATION,
            forward_duration=FORWARD_DURATION,
        )
