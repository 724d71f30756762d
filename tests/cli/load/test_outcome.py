"""What became of a request."""

from __future__ import annotations

import json

import pytest

from cli.load.mix import Kind
from cli.load.outcome import BY_ERROR_TYPE, BY_STATUS, FAILURES, Answer, LoadOutcome, Verdict, judge, verdict_without_answer
from cli.load.request import LoadRequest
from service.api.problem import STATUSES
from service.errors import ErrorType, Outcome
from service.telemetry.span_attributes import COUNTS_AGAINST_US


def request(kind: Kind = Kind.VALID, inferences: int = 1) -> LoadRequest:
    return LoadRequest(request_id="x", kind=kind, path="/", content_type="application/json", body=b"", inferences=inferences)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "success"),
        (400, "invalid"),
        (413, "invalid"),
        (415, "invalid"),
        (422, "invalid"),
        (500, "error"),
        (503, "overloaded"),
        (504, "timeout"),
        (401, "unexpected"),
        (404, "unexpected"),
        (302, "unexpected"),
    ],
)
def test_a_status_is_an_outcome(status, outcome):
    """By the table of the contract; what is no inference is unexpected."""
    assert judge(request(), Answer(status, b"{}")) == Verdict(outcome=LoadOutcome(outcome), inferences={LoadOutcome(outcome): 1})


def test_the_outcomes_are_the_service_s_and_two_more():
    """The ledgers of both sides can be laid beside each other."""
    assert [*LoadOutcome] == [*(outcome.value for outcome in Outcome), "unreachable", "unexpected"]


def test_statuses_agree_with_the_service_s_own_table():
    """Every error type a caller can receive has its outcome's status here."""
    for error, status in STATUSES.items():
        if isinstance(error, ErrorType) and error.outcome is not Outcome.CANCELLED:
            assert BY_STATUS[status] == error.outcome.value
    assert set(BY_ERROR_TYPE) == {error.value for error in ErrorType}


def test_what_counts_against_the_service_counts_here():
    """And so does what did not reach it."""
    assert {outcome.value for outcome in FAILURES} == {outcome.value for outcome in COUNTS_AGAINST_US} | {"unreachable", "unexpected"}


def test_a_connection_this_side_closed_is_cancelled():
    """Whatever the service makes of it."""
    assert judge(request(), None) == Verdict(outcome=LoadOutcome.CANCELLED, inferences={LoadOutcome.CANCELLED: 1})


def test_a_batch_has_an_outcome_for_each_pair():
    """The call itself succeeded."""
    body = json.dumps(
        {"results": [{"label": "exact_match"}, {"error": {"error_type": "empty_address"}}, {"error": {"error_type": "model_failed"}}]}
    )
    verdict = judge(request(Kind.BATCH, 3), Answer(200, body.encode()))
    assert verdict.outcome is LoadOutcome.SUCCESS
    assert verdict.inferences == {LoadOutcome.SUCCESS: 1, LoadOutcome.INVALID: 1, LoadOutcome.ERROR: 1}


def test_a_batch_of_one_is_counted_by_its_pair():
    """Not by the status of the call."""
    body = b'{"results": [{"error": {"error_type": "deadline_exceeded"}}]}'
    assert judge(request(Kind.BATCH, 1), Answer(200, body)).inferences == {LoadOutcome.TIMEOUT: 1}


def test_a_batch_that_was_refused_whole_is_one_inference():
    """By the contract: one event with the bare id."""
    assert judge(request(Kind.BATCH, 3), Answer(413, b"")).inferences == {LoadOutcome.INVALID: 1}


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}", b'{"results": [1]}', b'{"results": [{"error": {"error_type": "new"}}]}'])
def test_a_batch_answer_that_cannot_be_understood_is_unexpected(body):
    """A proxy may answer 200 with anything."""
    verdict = judge(request(Kind.BATCH, 3), Answer(200, body))
    assert verdict == Verdict(outcome=LoadOutcome.UNEXPECTED, inferences={LoadOutcome.UNEXPECTED: 3})


def test_without_an_answer_all_pairs_share_the_outcome():
    """Nobody knows better."""
    verdict = verdict_without_answer(request(Kind.BATCH, 3), LoadOutcome.UNREACHABLE)
    assert verdict.inferences == {LoadOutcome.UNREACHABLE: 3}
