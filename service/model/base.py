"""What the service asks of a model: its name, a warm-up, and scores for a batch of address pairs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Label(StrEnum):
    """The three answers, in the index order of MGeo's classification head."""

    NOT_MATCH = "not_match"
    PARTIAL_MATCH = "partial_match"
    EXACT_MATCH = "exact_match"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPair:
    """Two cleaned addresses: valid Unicode, stripped, not empty."""

    address1: str
    address2: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Probabilities of the three labels; each in [0, 1], together 1."""

    not_match: float
    partial_match: float
    exact_match: float

    @property
    def label(self) -> Label:
        """The most probable label; on a tie the one that claims less."""
        return max(
            ((self.not_match, Label.NOT_MATCH), (self.partial_match, Label.PARTIAL_MATCH), (self.exact_match, Label.EXACT_MATCH)),
            key=lambda candidate: candidate[0],
        )[1]

    @property
    def similarity(self) -> float:
        """P(exact) + ½ P(partial), in [0, 1]."""
        return self.exact_match + 0.5 * self.partial_match


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPrediction:
    """The answer for one batch.

    Attributes:
        scores: one per pair, in the order of the pairs.
        truncated: per pair, whether the tokenizer had to cut it to the model's maximum length.
        tokenize_duration: seconds spent to turn text into tensors, for the whole batch.
        forward_duration: seconds spent in the model proper, device synchronised, for the whole batch.
    """

    scores: tuple[Scores, ...]
    truncated: tuple[bool, ...]
    tokenize_duration: float
    forward_duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Who answers: a name, a version that changes with the weights, and the device it runs on."""

    name: str
    version: str
    device: str


class Model(Protocol):
    """A loaded model. Used by one thread at a time; `predict` may raise anything, which fails its batch only."""

    @property
    def info(self) -> ModelInfo:
        """Name, version and device."""
        ...

    def warmup(self) -> None:
        """Run once through every code path, so that the first request is not the slow one."""
        ...

    def predict(self, pairs: Sequence[AddressPair]) -> BatchPrediction:
        """Score a non-empty batch, padded to its longest member.

        Raises:
            ModelPoisoned: the device cannot be used by this process again.
        """
        ...
