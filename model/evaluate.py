"""Judge the embedded model and write its card: ``python -m model.evaluate``.

Its answers come through the same code that serves them. The card is generated; do not edit it by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from model.card import Answer, CardFacts, Quality, render_card
from model.dataset import LABELS, invent_pairs
from model.metrics import class_f1, expected_calibration_error, macro_f1
from service.model.base import AddressPair, Label
from service.model.transformer import embedded_model_directory, load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.build_pairs import LabelledPair
    from service.model.base import Model

HANDWRITTEN = Path(__file__).parent / "handwritten_pairs.csv"
TEST_SEED = 8
"""Other pairs than those the temperature was fitted on, from the same held-out names."""

logger = logging.getLogger("model.evaluate")

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class HandwrittenPair:
    """A pair written by a person, with the answer that person expects and why."""

    address1: str
    address2: str
    expected: Label
    why: str


def read_handwritten(path: Path = HANDWRITTEN) -> list[HandwrittenPair]:
    """The pairs of the card, in their order."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            HandwrittenPair(address1=row["address1"], address2=row["address2"], expected=Label(row["expected"]), why=row["why"])
            for row in csv.DictReader(file)
        ]


def main() -> None:
    """Write `README.md` into the model folder."""
    parser = argparse.ArgumentParser(description="Judge the embedded model and write its card.")
    parser.add_argument("--directory", type=Path, default=embedded_model_directory())
    parser.add_argument("--pairs", type=int, default=8_000, help="held-out pairs to judge by")
    parser.add_argument("--baseline-pairs", type=int, default=40_000, help="training pairs the baseline learns from")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    training = json.loads((arguments.directory / "training.json").read_text(encoding="utf-8"))
    model = load_model(arguments.directory, device="cpu", threads=1)
    test = invent_pairs(TEST_SEED, arguments.pairs, held_out=True)
    labels = torch.tensor([LABELS.index(pair.label) for pair in test])
    quality = measure(model_scores(model, test), labels)
    logger.info("model: %s", quality)
    from model.baseline import baseline_scores  # its packages belong to the recipe alone; reading the pairs must do without

    known = invent_pairs(training["recipe"]["seed"] * 1_000, arguments.baseline_pairs, held_out=False)
    baseline = measure(baseline_scores(known, test, training["recipe"]["seed"]), labels)
    logger.info("baseline: %s", baseline)
    facts = CardFacts(
        training=training,
        version=model.info.version,
        size=(arguments.directory / "model.safetensors").stat().st_size,
        quality=quality,
        baseline=baseline,
        baseline_pairs=len(known),
        test_pairs=len(test),
        answers=handwritten_answers(model, read_handwritten()),
    )
    (arguments.directory / "README.md").write_text(render_card(facts), encoding="utf-8")


def model_scores(model: Model, pairs: Sequence[LabelledPair]) -> torch.Tensor:
    """Probabilities in the order of `LABELS`."""
    rows = []
    for start in range(0, len(pairs), _BATCH):
        batch = [AddressPair(address1=pair.address1, address2=pair.address2) for pair in pairs[start : start + _BATCH]]
        rows += [(scores.not_match, scores.partial_match, scores.exact_match) for scores in model.predict(batch).scores]
    return torch.tensor(rows)


def measure(probabilities: torch.Tensor, labels: torch.Tensor) -> Quality:
    """F1 and calibration of one set of probabilities."""
    not_match, partial_match, exact_match = class_f1(probabilities.argmax(dim=-1), labels)
    return Quality(
        macro_f1=macro_f1(probabilities, labels),
        not_match=not_match,
        partial_match=partial_match,
        exact_match=exact_match,
        calibration_error=expected_calibration_error(probabilities, labels),
    )


def handwritten_answers(model: Model, pairs: Sequence[HandwrittenPair]) -> list[Answer]:
    """What the model says to the pairs of the card, one at a time as a caller would ask."""
    return [
        Answer(
            address1=pair.address1,
            address2=pair.address2,
            expected=pair.expected,
            why=pair.why,
            scores=model.predict([AddressPair(address1=pair.address1, address2=pair.address2)]).scores[0],
        )
        for pair in pairs
    ]


if __name__ == "__main__":
    main()
