"""The parts of the OpenAPI document that routes with hand-written parsing have to bring themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.api.accept import HTML, JSON
from service.api.problem import MEDIA_TYPE
from service.api.schemas import (
    AddressSearch,
    AddressSearchEverywhere,
    BatchAnswer,
    BatchRequest,
    MatchAnswer,
    MatchRequest,
    Story,
    SummaryPage,
)
from service.errors import Outcome
from service.model.base import Label
from service.requeststore.base import MAX_PAGE

if TYPE_CHECKING:
    from pydantic import BaseModel

Schema = dict[str, Any]  # JSON, as FastAPI's own types have it

_DESCRIPTIONS = {
    400: "The JSON or a header cannot be understood.",
    401: "No valid API key, where one is needed.",
    404: "Nothing is known of it.",
    413: "The body is over the size limit.",
    415: "The body is not declared as JSON.",
    422: "A field or parameter is missing or wrong.",
    500: "The model or the service failed.",
    503: "It cannot be served now; `Retry-After` says when.",
    504: "No answer within the deadline.",
}
_TIMEOUT_PARAMETER: Schema = {
    "name": "X-Request-Timeout",
    "in": "header",
    "description": "Seconds; may only shorten the service's own deadline.",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}
_ID_PARAMETER: Schema = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "The id of this request: 1 to 128 letters, digits and . _ ~ -; anything else is replaced.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~-]{1,128}$"},
}


# An empty parameter counts as absent, as forms send it.
_MOMENT: list[Schema] = [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}, {"type": "string", "maxLength": 0}]


def problems(*statuses: int) -> dict[int | str, Schema]:
    """The problem documents a route can answer with."""
    content: Schema = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {status: {"description": _DESCRIPTIONS[status], "content": content} for status in statuses}


def answers(model: type[BaseModel], description: str, *, page: bool = False) -> dict[int | str, Schema]:
    """The 200 answer of a route; `page`: a browser gets HTML."""
    answer: Schema = {"model": model, "description": description, "content": {JSON: _example(model)}}
    if page:
        answer["content"][HTML] = {"schema": {"type": "string"}}
    return {200: answer}


def body(model: type[BaseModel]) -> Schema:
    """The request body of a route, its schema written out where it stands."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {"required": True, "content": {JSON: {"schema": _inlined(schema, definitions), **_example(model)}}}


def _example(model: type[BaseModel]) -> Schema:
    # Beside the schema too, since there its members keep their order.
    extra = model.model_config.get("json_schema_extra")
    return {"example": extra["examples"][0]} if isinstance(extra, dict) and isinstance(extra["examples"], list) else {}


def _inlined(node: Any, definitions: Schema) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in node.items()}
    return [_inlined(value, definitions) for value in node] if isinstance(node, list) else node


def _query(name: str, description: str, **schema: object) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


MATCH_OPERATION: dict[str, Any] = {
    "summary": "Are two addresses the same place?",
    "responses": {
        **answers(MatchAnswer, "The answer."),
        **problems(400, 401, 413, 415, 422, 500, 503, 504),
    },
    "openapi_extra": {"parameters": [_ID_PARAMETER, _TIMEOUT_PARAMETER], "requestBody": body(MatchRequest)},
}
BATCH_OPERATION: dict[str, Any] = {
    "summary": "The same for many pairs",
    "responses": {
        **answers(BatchAnswer, "One result per pair, each with its answer or its error."),
        **problems(400, 401, 413, 415, 422, 500, 503, 504),
    },
    "openapi_extra": {"parameters": [_ID_PARAMETER, _TIMEOUT_PARAMETER], "requestBody": body(BatchRequest)},
}
STORY_OPERATION: dict[str, Any] = {
    "summary": "The story of one request",
    "responses": {**answers(Story, "The story; as a page when a browser asks.", page=True), **problems(401, 404, 503)},
    "openapi_extra": {
        "parameters": [
            {
                "name": "request_id",
                "in": "path",
                "required": True,
                "description": "A request id, or `<request_id>:<index>` for one pair of a batch call.",
                "schema": {"type": "string"},
            },
        ],
    },
}


def search_operation(*, everywhere: bool) -> dict[str, Any]:
    """The search by facts; `everywhere`: whether all boxes can be searched."""
    parameters = [
        _query("status", "How it ended.", type="string", enum=[outcome.value for outcome in Outcome]),
        _query("since", "Started at or after: RFC 3339 with a time zone, or Unix seconds.", anyOf=_MOMENT),
        _query("until", "Started before: the same.", anyOf=_MOMENT),
        _query("min_latency_ms", "Took at least this many milliseconds.", type="number", minimum=0),
        _query("label", "The answer.", type="string", enum=[label.value for label in Label]),
        _query("limit", "Most requests on one page.", type="integer", minimum=1, maximum=MAX_PAGE, default=50),
        _query("cursor", "`next_cursor` of the page before.", type="string"),
    ]
    if everywhere:
        parameters.append(
            _query("everywhere", "Search every box that sends to the stack, not this one alone.", type="boolean", default=False)
        )
    return {
        "summary": "Search recent requests, newest first",
        "responses": {**answers(SummaryPage, "One page; as a page for people when a browser asks.", page=True), **problems(401, 422, 503)},
        "openapi_extra": {"parameters": parameters},
    }


def address_search_operation(*, everywhere: bool) -> dict[str, Any]:
    """The search by address; `everywhere`: whether all boxes can be searched."""
    return {
        "summary": "Search by address",
        "description": "Finds requests by the keyed hash of their cleaned addresses; the text itself is not kept.",
        "responses": {**answers(SummaryPage, "One page, newest first.", page=True), **problems(400, 401, 413, 415, 422, 503)},
        "openapi_extra": {"requestBody": body(AddressSearchEverywhere if everywhere else AddressSearch)},
    }
