"""Events as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from service.errors import ErrorType, Outcome
from service.requeststore.base import RequestSummary
from service.requeststore.rows import (
    BATCH_COLUMNS,
    FAILED_CODES,
    INFERENCE_COLUMNS,
    OUTCOMES,
    from_batch_row,
    from_row,
    label_cell,
    outcome_code,
    summary,
    to_batch_row,
    to_row,
)
from service.telemetry.event import Answer, CapturedText
from tests.inference_events import batch_of, refused, success
from tests.strategies import batch_events, events


class Numbers:
    """Numbers for names, in the order they come."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def number(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def name(self, number: int) -> str:
        return self.names[number]


def test_the_row_of_a_typical_inference() -> None:
    """The whole row, literally; what repeats is a number, what follows from other columns is NULL."""
    numbers = Numbers()
    row = dict(zip(INFERENCE_COLUMNS, to_row(success(), life="one", number=numbers.number), strict=True))
    assert numbers.names == ["match", "one", "mgeo-embedded", "1.0"]
    assert len(row.pop("stages")) == 2 + 6 * (1 + 2 * 8)
    assert row == {
        "call": bytes.fromhex("0193f2a0000070008000000000000001"),
        "item": None,
        "started": 1_795_252_087_654_321_987,
        "duration": 0.0125,
        "outcome": 0,
        "error_type": None,
        "span": bytes.fromhex("00f067aa0ba902b7"),
        "parent": bytes.fromhex("b7ad6b7169203331"),
        "trace": None,
        "function": 0,
        "instance": 1,
        "length1": 17,
        "length2": 19,
        "hash1": bytes.fromhex("0123456789abcdef0123456789abcdef"),
        "hash2": bytes.fromhex("fedcba9876543210fedcba9876543210"),
        "truncated": False,
        "queue_depth": 3,
        "batch": bytes.fromhex("0193f2a000007000800000000000ba7c"),
        "batch_size": 2,
        "model_name": 2,
        "model_version": 3,
        "label": 2,
        "probabilities": bytes.fromhex("000000000000003e0000603f"),
        "output_length": 11,
        "exception": None,
        "gpu": None,
        "seq": None,
    }


@given(events())
def test_every_event_comes_back_whole_but_for_the_text(event) -> None:
    """Bit by bit, with the instance that wrote it."""
    numbers = Numbers()
    assert from_row(to_row(event, life="one", number=numbers.number), name=numbers.name) == (replace(event, text=None), "one")


@given(batch_events())
def test_every_batch_comes_back_whole(event) -> None:
    """Bit by bit."""
    numbers = Numbers()
    row = to_batch_row(event, instance="one", number=numbers.number)
    assert len(row) == len(BATCH_COLUMNS)
    assert from_batch_row(row, name=numbers.name) == event


def test_the_text_of_addresses_is_in_no_row() -> None:
    """It has a table of its own, written only when it was asked for."""
    event = success(text=CapturedText("杭州市西湖区", "西湖区"))
    numbers = Numbers()
    assert "西湖" not in str(to_row(event, life="one", number=numbers.number)) + str(numbers.names)


def test_a_trace_of_the_callers_own_is_kept() -> None:
    """It does not follow from the request id."""
    event = success(trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    row = dict(zip(INFERENCE_COLUMNS, to_row(event, life="one", number=Numbers().number), strict=True))
    assert row["trace"] == bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")


def test_a_similarity_that_follows_from_the_probabilities_is_not_stored() -> None:
    """Any other is."""
    odd = Answer(label="exact_match", similarity=0.5, not_match=0.0, partial_match=0.125, exact_match=0.875)
    plain, strange = (
        dict(zip(INFERENCE_COLUMNS, to_row(event, life="one", number=Numbers().number), strict=True))["probabilities"]
        for event in (success(), success(answer=odd))
    )
    assert (len(plain), len(strange)) == (12, 16)


def test_a_label_of_a_later_model_is_stored_as_text() -> None:
    """The three of today are numbers."""
    assert [label_cell(label) for label in ("not_match", "partial_match", "exact_match", "unsure")] == [0, 1, 2, "unsure"]
    numbers = Numbers()
    event = success(answer=replace(success().answer, label="unsure"))
    assert from_row(to_row(event, life="one", number=numbers.number), name=numbers.name)[0] == event


def test_the_numbers_of_the_outcomes_never_change() -> None:
    """They stand in stores that later versions read."""
    assert {outcome.value: outcome_code(outcome) for outcome in Outcome} == {
        "success": 0,
        "invalid": 1,
        "overloaded": 2,
        "timeout": 3,
        "cancelled": 4,
        "error": 5,
    }
    assert len(OUTCOMES) == len(Outcome)
    assert FAILED_CODES == (2, 3, 5)


def test_an_error_type_of_a_later_version_is_said_and_not_guessed() -> None:
    """The reader turns it into words."""
    numbers = Numbers()
    row = list(to_row(refused(ErrorType.INTERNAL), life="one", number=numbers.number))
    row[INFERENCE_COLUMNS.index("error_type")] = "of_tomorrow"
    with pytest.raises(LookupError):
        from_row(row, name=numbers.name)
    batch = list(to_batch_row(batch_of(success()), instance="one", number=numbers.number))
    batch[BATCH_COLUMNS.index("error_type")] = "of_tomorrow"
    with pytest.raises(LookupError):
        from_batch_row(batch, name=numbers.name)


def test_a_summary_says_what_a_list_shows() -> None:
    """Of an answer its label and similarity, of a refusal its error type."""
    assert summary(success()) == RequestSummary(
        request_id="0193f2a0-0000-7000-8000-000000000001",
        trace_id="fa9027392d823649ffb11446bf5c93a0",
        span_id="00f067aa0ba902b7",
        started_unix_ns=1_795_252_087_654_321_987,
        duration=0.0125,
        function="match",
        status=Outcome.SUCCESS,
        error_type=None,
        label="exact_match",
        similarity=0.9375,
    )
    refusal = summary(refused(ErrorType.QUEUE_FULL))
    assert (refusal.status, refusal.error_type, refusal.label, refusal.similarity) == ("overloaded", "queue_full", None, None)
