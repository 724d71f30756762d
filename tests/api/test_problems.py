"""Errors as problem documents: the whole table, and what becomes of exceptions nobody foresaw."""

from __future__ import annotations

import json
import logging

import pytest
from fastapi.exceptions import RequestValidationError
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from service.api.errors import ProblemMiddleware, ResponseAborted
from service.api.problem import STATUSES, ApiError
from service.api.wording import ERRORS, OUTCOMES, in_words
from service.errors import (
    ErrorType,
    InferenceRefused,
    InvalidInput,
    InvalidQuery,
    Outcome,
    Overloaded,
    RequestNotFound,
    StoreError,
    Unauthorized,
)
from tests.api.composition import Caller

EXPECTED = {
    "malformed_json": 400,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "missing_field": 422,
    "wrong_type": 422,
    "empty_address": 422,
    "address_too_long": 422,
    "invalid_text": 422,
    "too_many_pairs": 422,
    "invalid_header": 400,
    "queue_full": 503,
    "breaker_open": 503,
    "not_ready": 503,
    "shutting_down": 503,
    "deadline_exceeded": 504,
    "client_disconnected": 499,
    "caller_cancelled": 499,
    "model_failed": 500,
    "invalid_output": 500,
    "device_failed": 500,
    "worker_stuck": 500,
    "worker_died": 500,
    "function_failed": 500,
    "process_died": 500,
    "internal": 500,
}
BY_OUTCOME = {
    Outcome.INVALID: {400, 413, 415, 422},
    Outcome.OVERLOADED: {503},
    Outcome.TIMEOUT: {504},
    Outcome.CANCELLED: {499},
    Outcome.ERROR: {500},
}


def raising(error: Exception):
    """Routes with one path that raises."""

    def routes(app):
        async def endpoint() -> Response:
            raise error

        app.add_api_route("/raise", endpoint)

    return routes


def test_every_error_type_has_its_status():
    """The table is complete, and literal here."""
    assert {error.value: STATUSES[error] for error in ErrorType} == EXPECTED
    assert set(STATUSES) == {*ErrorType, *ApiError}


def test_the_status_agrees_with_the_outcome():
    """One class of statuses for each outcome."""
    assert all(STATUSES[error] in BY_OUTCOME[error.outcome] for error in ErrorType)


def test_every_outcome_and_error_type_has_words():
    """What happened, and what to do: sentences, each said once."""
    assert set(ERRORS) == set(ErrorType)
    assert set(OUTCOMES) == set(Outcome)
    assert all(words.advice.endswith(".") and not words.meaning.endswith(".") for words in ERRORS.values())
    assert len({words.meaning for words in ERRORS.values()}) == len(ERRORS)
    assert in_words(Outcome.SUCCESS, None) == "Answered by the model."
    assert in_words(Outcome.ERROR, ErrorType.WORKER_DIED) == "Failed: the model worker died."


@pytest.mark.parametrize("error_type", ErrorType)
async def test_every_error_type_becomes_a_problem_document(start, error_type):
    """With its status, type and advice; each 503 says when to come back."""
    service = await start(routes=raising(InferenceRefused(error_type)))
    response = await service.client.get("/raise")
    problem = response.json()
    assert response.status_code == problem["status"] == EXPECTED[error_type]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert (problem["type"], problem["error_type"]) == (f"urn:mgeo:error:{error_type.value}", error_type.value)
    assert problem["title"].lower() == error_type.message.lower()
    assert problem["detail"] == ERRORS[error_type].advice
    assert response.headers.get("retry-after") == ("1" if response.status_code == 503 else None)


@pytest.mark.parametrize(("after", "header"), [(None, "1"), (0.0, "1"), (0.2, "1"), (4.01, "5"), (60.0, "60")])
async def test_retry_after_is_in_whole_seconds_and_at_least_one(start, after, header):
    """Rounded up: a retry a little late succeeds, one a little early does not."""
    service = await start(routes=raising(Overloaded(ErrorType.QUEUE_FULL, retry_after=after)))
    response = await service.client.get("/raise")
    assert (response.headers["retry-after"], response.json()["retry_after"]) == (header, int(header))


@pytest.mark.parametrize(
    ("error", "status", "error_type"),
    [
        (Unauthorized(), 401, "unauthorized"),
        (RequestNotFound("x"), 404, "request_not_found"),
        (InvalidQuery("limit", "limit is a whole number."), 422, "invalid_query"),
        (StoreError("/secret/path is locked"), 503, "store_unavailable"),
        (InvalidInput(ErrorType.WRONG_TYPE, "address1 must be a string", field="address1"), 422, "wrong_type"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(418, "teapot"), 418, "http_error"),
        (HTTPException(502, "gateway"), 502, "internal"),
        (RequestValidationError([{"loc": ("query", "n"), "msg": "", "type": ""}]), 422, "invalid_query"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_every_expected_exception_becomes_a_problem_document(start, error, status, error_type):
    """None of them is an inference, so none points to a story."""
    service = await start(routes=raising(error))
    response = await service.client.get("/raise", headers={"X-Request-ID": "r"})
    problem = response.json()
    assert (response.status_code, problem["status"], problem["error_type"]) == (status, status, error_type)
    assert problem["instance"] == "urn:mgeo:request:r"
    assert "/secret/path" not in response.text


async def test_a_story_that_cannot_be_found_says_why_that_may_be(client):
    """Mistyped, too old, too new, or elsewhere."""
    response = await client.get("/v1/requests/unheard-of")
    assert response.status_code == 404
    assert response.json()["detail"] == (
        "Nothing is known of this request_id. It may be mistyped, older than the retention of the store, served less than a second ago "
        "and still being written, or served with another data folder."
    )


async def test_an_unexpected_exception_is_a_500_without_its_message(start, caplog):
    """The message may quote an address; the log has the type and the frames instead."""
    service = await start(routes=raising(LookupError("杭州市文一西路969号")))
    with caplog.at_level(logging.ERROR):
        response = await service.client.get("/raise", headers={"X-Request-ID": "r"})
    assert response.status_code == 500
    problem = response.json()
    assert (problem["error_type"], problem["request_id"], problem["retryable"]) == ("internal", "r", True)
    assert "杭州" not in response.text
    (record,) = caplog.records
    assert record.getMessage().startswith("unexpected LookupError at\n")
    assert "test_problems.py" in record.getMessage()
    assert "杭州" not in caplog.text


async def test_an_exception_after_the_answer_has_begun_closes_the_connection_without_its_message(start):
    """What stands outside gets an exception that says nothing and knows nothing of the first."""

    async def broken():
        yield b"half of it"
        raise LookupError("杭州市文一西路969号")

    async def endpoint() -> Response:
        return StreamingResponse(broken())

    service = await start(routes=lambda app: app.add_api_route("/raise", endpoint))
    caller = Caller(service.app, "/raise", [], method="GET")
    with pytest.raises(ResponseAborted) as raised:
        await caller.task
    assert raised.value.args == ()
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


async def test_no_span_records_the_message_of_an_exception(start, monkeypatch):
    """The server span has the error type, the exception's type and its frames, and no exception event."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    service = await start(
        routes=raising(LookupError("杭州市文一西路969号")),
        instrument=lambda app: FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, exclude_spans=["receive", "send"]),
    )
    await service.client.get("/raise")
    (span,) = exporter.get_finished_spans()
    assert (span.events, span.status.description) == ((), None)
    assert not span.status.is_ok
    assert span.attributes["http.response.status_code"] == 500
    assert span.attributes["exception.type"] == "LookupError"
    assert "test_problems.py" in span.attributes["exception.stacktrace"]
    assert "杭州" not in json.loads(json.dumps(span.to_json()))
    FastAPIInstrumentor.uninstrument_app(service.fastapi)


async def test_what_is_not_http_passes_untouched():
    """Lifespan messages, and exceptions of the start, belong to the server."""

    async def app(scope, receive, send):
        raise LookupError

    with pytest.raises(LookupError):
        await ProblemMiddleware(app)({"type": "lifespan"}, None, None)
