"""What string features alone achieve: the yardstick a small network must beat to be worth its weight."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

import torch
from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler, LCSseq, Levenshtein
from sklearn.ensemble import HistGradientBoostingClassifier

from model.dataset import LABELS
from service.model.normalization import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.build_pairs import LabelledPair

_RUN = re.compile("[0-9a-z]+")


def features(address1: str, address2: str) -> list[float]:
    """Twenty numbers: edit and set similarities, common beginnings and ends, and how the runs of digits agree."""
    first, second = normalize(address1), normalize(address2)
    shorter, longer = sorted((first, second), key=len)
    runs1, runs2 = _RUN.findall(first), _RUN.findall(second)
    pairs1, pairs2 = _bigrams(first), _bigrams(second)
    prefix = _common_beginning(first, second)
    suffix = _common_beginning(first[::-1], second[::-1])
    return [
        fuzz.ratio(first, second),
        fuzz.partial_ratio(first, second),
        JaroWinkler.similarity(first, second),
        Levenshtein.distance(first, second),
        LCSseq.similarity(first, second) / max(len(shorter), 1),
        _overlap(pairs1, pairs2),
        _overlap(set(first), set(second)),
        len(set(shorter) - set(longer)),
        prefix,
        suffix,
        len(shorter),
        len(longer),
        len(runs1),
        len(runs2),
        _overlap(set(runs1), set(runs2)),
        len(set(runs1) ^ set(runs2)),
        float(runs1[:1] == runs2[:1]),
        float(runs1[-1:] == runs2[-1:]),
        float(shorter in longer),
        float(first == second),
    ]


def baseline_scores(training: Sequence[LabelledPair], test: Sequence[LabelledPair], seed: int) -> torch.Tensor:
    """Fit gradient boosting on the training pairs; probabilities of the test pairs, in the order of `LABELS`."""
    classifier = HistGradientBoostingClassifier(max_iter=300, random_state=seed, class_weight="balanced")
    classifier.fit([features(pair.address1, pair.address2) for pair in training], [LABELS.index(pair.label) for pair in training])
    return torch.tensor(classifier.predict_proba([features(pair.address1, pair.address2) for pair in test]))


def _common_beginning(first: str, second: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _bigrams(text: str) -> set[str]:
    return {text[start : start + 2] for start in range(len(text) - 1)}


def _overlap(first: set[str], second: set[str]) -> float:
    """Jaccard similarity; 1 for two empty sets."""
    union = first | second
    return len(first & second) / len(union) if union else 1.0
