"""The wire models, for the OpenAPI document. Requests are parsed by hand, so that a refused one leaves its event too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.errors import ErrorType, Outcome
from service.model.base import Label  # noqa: TC001 -- pydantic reads the annotations

if TYPE_CHECKING:
    from pydantic.config import JsonDict

_VISIBLE = r"\S"
_PAIR: JsonDict = {"address1": "浙江省杭州市余杭区文一西路969号", "address2": "杭州余杭区文一西路969号阿里巴巴西溪园区"}
_IDS: JsonDict = {"request_id": "0197a2f4-6c1e-7b7e-9d53-0c5f0c7f5a11", "trace_id": "5b8aa5a2d2c872e8321cf37308d69df2"}
_ANSWER: JsonDict = {
    "label": "exact_match",
    "probabilities": {"not_match": 0.01, "partial_match": 0.04, "exact_match": 0.95},
    "similarity": 0.97,
    "model": {"name": "mgeo-embedded", "version": "1"},
    "truncated": False,
    "latency_ms": 12.345,
    "timings_ms": {"read": 0.1, "clean": 0.05, "queue": 0.4, "tokenize": 0.9, "inference": 10.5, "deliver": 0.1},
}
_PROBLEM: JsonDict = {
    "type": "urn:mgeo:error:missing_field",
    "title": "A required field is missing",
    "status": 422,
    "detail": "address2 is missing",
    "instance": f"/v1/requests/{_IDS['request_id']}",
    **_IDS,
    "error_type": "missing_field",
    "retryable": False,
    "field": "address2",
}
_SUMMARY: JsonDict = {
    "request_id": _IDS["request_id"],
    "trace_id": _IDS["trace_id"],
    "started": "2026-11-22T12:00:00.000000Z",
    "latency_ms": 12.345,
    "function": "match",
    "status": "success",
    "error_type": None,
    "label": "exact_match",
    "similarity": 0.97,
    "link": f"/v1/requests/{_IDS['request_id']}",
}


class MatchRequest(BaseModel):
    """Two addresses."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PAIR]})

    address1: str = Field(
        description="An address. Longer than the limit, it is cut and `truncated` says so, or refused in strict mode.",
        min_length=1,
        pattern=_VISIBLE,
    )
    address2: str = Field(description="The other address.", min_length=1, pattern=_VISIBLE)


class BatchRequest(BaseModel):
    """Pairs of addresses, each an inference of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pairs": [_PAIR]}]})

    pairs: list[MatchRequest | Any] = Field(
        min_length=1, max_length=256, description="What is no pair gets an error of its own, in its place; the others are answered."
    )


class AddressSearch(BaseModel):
    """One or two addresses whose requests are looked for, on either side."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"address1": _PAIR["address1"]}]})

    address1: str = Field(min_length=1, pattern=_VISIBLE)
    address2: str | None = Field(default=None, min_length=1, pattern=_VISIBLE, description="With both, only requests that had both.")
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, description="`next_cursor` of the page before.")


class AddressSearchEverywhere(AddressSearch):
    """One or two addresses whose requests are looked for, on either side; here, or on every box that sends to the stack."""

    everywhere: bool = Field(
        default=False, description="Search the requests of all boxes, of those whose addresses are hashed with the same key."
    )


class Probabilities(BaseModel):
    """Of the three labels; together 1."""

    not_match: float = Field(ge=0, le=1)
    partial_match: float = Field(ge=0, le=1)
    exact_match: float = Field(ge=0, le=1)


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    version: str


class MatchAnswer(BaseModel):
    """Whether two addresses are the same place."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_IDS, **_ANSWER}]})

    request_id: str
    trace_id: str = Field(pattern="^[0-9a-f]{32}$")
    label: Label
    probabilities: Probabilities
    similarity: float = Field(description="P(exact_match) + ½ P(partial_match).")
    model: ModelName
    truncated: bool = Field(description="Whether an address was cut before the model saw it.")
    latency_ms: float = Field(ge=0)
    timings_ms: dict[str, float] = Field(description="Milliseconds by stage: read, clean, queue, tokenize, inference, deliver.")


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROBLEM]}, extra="allow")

    type: str = Field(description="`urn:mgeo:error:` and the error type.")
    title: str
    status: int
    detail: str = Field(description="What was wrong this time, and what to do.")
    instance: str = Field(description="Where the story of the inference is; for anything else a URN with the request id.")
    request_id: str
    trace_id: str
    error_type: str = Field(description=f"One of {', '.join(ErrorType)}; or of a request that is no inference: unauthorized, not_found, …")
    retryable: bool = Field(description="Whether the same request may succeed later.")
    retry_after: int | None = Field(default=None, description="Seconds until a retry makes sense.")
    field: str | None = Field(default=None, description="The field, parameter or header at fault.")


class BatchResult(BaseModel):
    """The answer for one pair, or `error` in its place."""

    model_config = ConfigDict(extra="allow")

    index: int
    request_id: str
    trace_id: str | None = None
    label: Label | None = None
    similarity: float | None = None
    error: ProblemDocument | None = None


class BatchAnswer(BaseModel):
    """One result per pair, in the order of the pairs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_IDS,
                    "results": [
                        {"index": 0, **_IDS, "request_id": f"{_IDS['request_id']}:0", **_ANSWER},
                        {
                            "index": 1,
                            "request_id": f"{_IDS['request_id']}:1",
                            "error": {**_PROBLEM, "request_id": f"{_IDS['request_id']}:1"},
                        },
                    ],
                    "succeeded": 1,
                    "failed": 1,
                }
            ]
        }
    )

    request_id: str
    trace_id: str
    results: list[BatchResult]
    succeeded: int
    failed: int


class Summary(BaseModel):
    """One inference in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY]})

    request_id: str
    trace_id: str
    started: str = Field(description="RFC 3339, UTC.")
    latency_ms: float
    function: str
    status: Outcome
    error_type: str | None = None
    label: str | None = None
    similarity: float | None = None
    link: str = Field(description="Where its story is.")


class SummaryPage(BaseModel):
    """One page of a search, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"requests": [_SUMMARY], "next_cursor": None}]})

    requests: list[Summary]
    next_cursor: str | None = Field(default=None, description="Continues the search; null on the last page.")


class Story(BaseModel):
    """All that is known of a request."""

    model_config = ConfigDict(extra="allow")

    request_id: str
    attempts: list[dict[str, object]] = Field(
        description=(
            "Every inference under the id, oldest first: its outcome in words, answer, timeline of spans and stages "
            "(milliseconds from the earliest), batch and its members, what else ran in that minute (null where nobody can tell), the "
            "alerts that fired then, the nearest points of queue, P95 and GPU with their distance, log lines, and links. "
            "Text stands in it only when it was captured."
        ),
    )
    more: int = Field(description="Attempts that were left out past the limit.")
    missing: list[str] = Field(description="What a backend that did not answer would have added.")
    links: dict[str, str]


class ModelCard(BaseModel):
    """The model and the limits it is asked within."""

    name: str
    version: str
    device: str
    labels: list[Label]
    max_address_length: int
    strict_length: bool
    batch_limit: int
    body_limit: int
    deadline_seconds: float
    capture_text: Literal["off", "failed", "all"]


class Liveness(BaseModel):
    """The process runs."""

    status: Literal["alive"]
    checked: list[str]


class Readiness(BaseModel):
    """The model can answer; `degraded` names what else is amiss."""

    status: Literal["ready"]
    checked: list[str]
    degraded: list[str]
