"""The model without weights."""

from __future__ import annotations

import math

import pytest

from service.model.base import AddressPair, Label, ModelInfo, Scores
from service.model.fake import BAD_OUTPUT, FakeModel


def pair(address1: str, address2: str) -> AddressPair:
    return AddressPair(address1=address1, address2=address2)


@pytest.mark.parametrize(
    ("address1", "address2", "label", "similarity"),
    [
        ("文一路23号", "文一路23号", Label.EXACT_MATCH, 0.97),
        ("文一路23号", "文二路", Label.PARTIAL_MATCH, 0.5),
        ("文一路23号", "建设路", Label.NOT_MATCH, 0.06),
    ],
)
def test_the_answer_follows_from_the_texts(address1: str, address2: str, label: Label, similarity: float) -> None:
    """Equal texts match exactly, the same first character partially, others not."""
    scores = FakeModel().predict([pair(address1, address2)]).scores[0]
    assert scores.label is label
    assert scores.similarity == pytest.approx(similarity)


def test_it_reports_fixed_durations_whatever_it_took() -> None:
    """Literal durations make literal expectations possible elsewhere."""
    prediction = FakeModel().predict([pair("a", "b")])
    assert (prediction.tokenize_duration, prediction.forward_duration) == (0.001, 0.002)


def test_it_says_who_it_is() -> None:
    """Name, version and the device it was given."""
    assert FakeModel(device="cuda:0").info == ModelInfo(name="fake", version="1", device="cuda:0")


def test_it_waits_before_it_answers_and_before_it_raises() -> None:
    """The passed-in wait runs once in every prediction, failing ones included."""
    waits = []
    model = FakeModel(wait=lambda: waits.append(1))
    model.predict([pair("a", "b")])
    model.error = ValueError("broken")
    with pytest.raises(ValueError, match="broken"):
        model.predict([pair("a", "b")])
    assert len(waits) == 2


def test_it_can_be_broken_and_mended_in_use() -> None:
    """Clearing `error` brings the answers back."""
    model = FakeModel(error=RuntimeError("broken"))
    with pytest.raises(RuntimeError):
        model.predict([pair("a", "a")])
    model.error = None
    assert model.predict([pair("a", "a")]).scores[0].label is Label.EXACT_MATCH


def test_it_keeps_every_batch_it_was_asked_for() -> None:
    """Tests can see how pairs were put together."""
    model = FakeModel()
    model.predict([pair("a", "b"), pair("c", "d")])
    assert list(model.batches) == [(pair("a", "b"), pair("c", "d"))]


def test_it_can_answer_with_what_is_no_probability() -> None:
    """Bad output goes through as it is; judging it is the caller's part."""
    scores = FakeModel(answer=lambda _: BAD_OUTPUT).predict([pair("a", "a")]).scores[0]
    assert math.isnan(scores.not_match)


def test_it_gives_the_answers_it_is_told() -> None:
    """A replaced answer is used for every pair."""
    told = Scores(not_match=0.2, partial_match=0.3, exact_match=0.5)
    assert FakeModel(answer=lambda _: told).predict([pair("a", "b"), pair("c", "c")]).scores == (told, told)


def test_long_addresses_are_reported_as_truncated() -> None:
    """A pair counts as cut when one of its addresses is over the limit."""
    model = FakeModel(truncate_over=5)
    assert model.predict([pair("12345", "12345"), pair("1", "123456")]).truncated == (False, True)


def test_a_failing_warmup_raises_and_is_counted() -> None:
    """A start-up with a broken model can be tested."""
    model = FakeModel(warmup_error=OSError("no device"))
    with pytest.raises(OSError, match="no device"):
        model.warmup()
    assert model.warmups == 1


def test_a_good_warmup_is_counted() -> None:
    """One call, one count."""
    model = FakeModel()
    model.warmup()
    assert model.warmups == 1
