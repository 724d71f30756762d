"""What became of a request of a load, in the words of the service's own ledger."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cli.load.mix import Kind
from service.errors import ErrorType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.load.request import LoadRequest


class LoadOutcome(StrEnum):
    """The service's six outcomes, and two it cannot know of."""

    SUCCESS = "success"
    INVALID = "invalid"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    ERROR = "error"
    UNREACHABLE = "unreachable"
    """No HTTP answer: refused, reset, or none within the client's patience."""
    UNEXPECTED = "unexpected"
    """An HTTP status that is no inference, such as 401 or 404."""


FAILURES = (LoadOutcome.OVERLOADED, LoadOutcome.TIMEOUT, LoadOutcome.ERROR, LoadOutcome.UNREACHABLE, LoadOutcome.UNEXPECTED)
"""What counts against the service."""

BY_STATUS = {
    200: LoadOutcome.SUCCESS,
    400: LoadOutcome.INVALID,
    413: LoadOutcome.INVALID,
    415: LoadOutcome.INVALID,
    422: LoadOutcome.INVALID,
    500: LoadOutcome.ERROR,
    503: LoadOutcome.OVERLOADED,
    504: LoadOutcome.TIMEOUT,
}

BY_ERROR_TYPE = {error.value: LoadOutcome(error.outcome.value) for error in ErrorType}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a request ended, and its inferences: a batch that was accepted has one for each pair, anything else has one."""

    outcome: LoadOutcome
    inferences: Mapping[LoadOutcome, int]


def judge(request: LoadRequest, answer: Answer | None) -> Verdict:
    """Name the outcome of an answer; None stands for a connection this side closed before the answer came."""
    if answer is None:
        return verdict_without_answer(request, LoadOutcome.CANCELLED)
    outcome = BY_STATUS.get(answer.status, LoadOutcome.UNEXPECTED)
    if outcome is LoadOutcome.SUCCESS and request.kind is Kind.BATCH:
        try:
            return Verdict(outcome=outcome, inferences=_of_items(answer.body))
        except (ValueError, KeyError, TypeError, AttributeError):
            return verdict_without_answer(request, LoadOutcome.UNEXPECTED)
    return Verdict(outcome=outcome, inferences={outcome: 1})


def verdict_without_answer(request: LoadRequest, outcome: LoadOutcome) -> Verdict:
    """The verdict on a request that got no answer that can be understood: all its inferences share it."""
    return Verdict(outcome=outcome, inferences={outcome: request.inferences})


def _of_items(body: bytes) -> Mapping[LoadOutcome, int]:
    return Counter(_of_item(item.get("error")) for item in json.loads(body)["results"])


def _of_item(problem: Mapping[str, str] | None) -> LoadOutcome:
    return LoadOutcome.SUCCESS if problem is None else BY_ERROR_TYPE[problem["error_type"]]
