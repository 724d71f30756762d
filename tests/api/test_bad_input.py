"""What bad input gets: a clear problem document, never a 500, and for an inference exactly one event."""

from __future__ import annotations

import json

import pytest

from tests.api.composition import BODY_LIMIT

GOOD = {"address1": "杭州市文一西路969号", "address2": "杭州市文一西路969号"}
JSON = {"Content-Type": "application/json"}

# body, status, error_type, field
MATCH = {
    "nothing": (b"", 400, "malformed_json", None),
    "blanks": (b" \n", 400, "malformed_json", None),
    "broken json": (b'{"address1": "a", ', 400, "malformed_json", None),
    "two values": (b"{} {}", 400, "malformed_json", None),
    "single quotes": (b"{'address1': 'a', 'address2': 'b'}", 400, "malformed_json", None),
    "nan": (b'{"address1": NaN, "address2": "b"}', 400, "malformed_json", None),
    "infinity": (b'{"address1": -Infinity, "address2": "b"}', 400, "malformed_json", None),
    "huge integer": (b'{"address1": ' + b"9" * 5000 + b', "address2": "b"}', 400, "malformed_json", None),
    "deep nesting": (b"[" * 200_000, 400, "malformed_json", None),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), 400, "malformed_json", None),
    "gbk": ('{"address1": "杭州", "address2": "杭州"}'.encode("gbk"), 400, "malformed_json", None),
    "utf-16": (json.dumps(GOOD).encode("utf-16"), 400, "malformed_json", None),
    "surrogate in utf-8": (b'{"address1": "\xed\xa0\x80", "address2": "b"}', 400, "malformed_json", None),
    "a raw control character": (b'{"address1": "a\x00", "address2": "b"}', 400, "malformed_json", None),
    "a list": (b"[]", 422, "wrong_type", None),
    "a string": (b'"address"', 422, "wrong_type", None),
    "null": (b"null", 422, "wrong_type", None),
    "no fields": (b"{}", 422, "missing_field", "address1"),
    "one field": (b'{"address1": "a"}', 422, "missing_field", "address2"),
    "null field": (b'{"address1": null, "address2": "b"}', 422, "wrong_type", "address1"),
    "number field": (b'{"address1": "a", "address2": 7}', 422, "wrong_type", "address2"),
    "boolean field": (b'{"address1": true, "address2": "b"}', 422, "wrong_type", "address1"),
    "list field": (b'{"address1": ["a"], "address2": "b"}', 422, "wrong_type", "address1"),
    "empty address": (b'{"address1": "", "address2": "b"}', 422, "empty_address", "address1"),
    "only spaces": ('{"address1": " \u3000\\t", "address2": "b"}'.encode(), 422, "empty_address", "address1"),
    "only NUL": (b'{"address1": "a", "address2": "\\u0000"}', 422, "empty_address", "address2"),
    "only right-to-left marks": ('{"address1": "\u200f\u202e", "address2": "b"}'.encode(), 422, "empty_address", "address1"),
    "lone surrogate": (b'{"address1": "\\ud800", "address2": "b"}', 422, "invalid_text", "address1"),
    "too large": (b'{"address1": "' + b"a" * BODY_LIMIT + b'", "address2": "b"}', 413, "body_too_large", None),
}

BATCH = {
    "nothing": (b"", 400, "malformed_json", None),
    "broken json": (b'{"pairs": [', 400, "malformed_json", None),
    "a bare list": (b"[]", 422, "wrong_type", None),
    "no pairs": (b"{}", 422, "missing_field", "pairs"),
    "zero pairs": (b'{"pairs": []}', 422, "missing_field", "pairs"),
    "pairs that are no list": (b'{"pairs": {"0": {}}}', 422, "wrong_type", "pairs"),
    "257 pairs": (json.dumps({"pairs": [GOOD] * 257}).encode(), 422, "too_many_pairs", "pairs"),
    "10,000 pairs": (json.dumps({"pairs": [{"address1": "a", "address2": "b"}] * 10_000}).encode(), 422, "too_many_pairs", "pairs"),
    "too large": (json.dumps({"pairs": [GOOD] * 20_000}).encode(), 413, "body_too_large", None),
}


@pytest.mark.parametrize(("body", "status", "error_type", "field"), MATCH.values(), ids=MATCH)
async def test_a_bad_body_is_a_problem_document_and_one_invalid_event(service, body, status, error_type, field):
    """The same error type stands in the answer and in the event."""
    response = await service.client.post("/v1/match", content=body, headers={**JSON, "X-Request-ID": "bad"})
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"], problem["error_type"], problem.get("field")) == (status, status, error_type, field)
    assert problem["type"] == f"urn:mgeo:error:{error_type}"
    assert (problem["request_id"], problem["instance"], problem["retryable"]) == ("bad", "/v1/requests/bad", False)
    assert problem["title"]
    assert problem["detail"]
    assert service.outcomes == [("bad", "invalid", error_type)]
    assert service.recorder.events[0].trace_id == problem["trace_id"]


@pytest.mark.parametrize(("body", "status", "error_type", "field"), BATCH.values(), ids=BATCH)
async def test_a_batch_refused_whole_is_one_event_under_the_bare_id(service, body, status, error_type, field):
    """None of its pairs is an inference then."""
    response = await service.client.post("/v1/match/batch", content=body, headers={**JSON, "X-Request-ID": "bad"})
    problem = response.json()
    assert (response.status_code, problem["error_type"], problem.get("field")) == (status, error_type, field)
    assert service.outcomes == [("bad", "invalid", error_type)]
    assert service.recorder.events[0].function == "match_batch"


@pytest.mark.parametrize(
    "address",
    [
        "杭州" + "路" * 500_000,
        "杭州\x00路",
        "杭州\u200f路",
        "🏠杭州🏠",
        "\u202e杭州路\u202c",
        "𠮷林市",
        "e\u0301cole 路",
        "<script>alert(1)</script>",
    ],
    ids=["1 MB", "NUL", "right-to-left mark", "emoji", "override", "beyond the first plane", "combining", "markup"],
)
async def test_odd_text_with_something_visible_in_it_is_answered(start, address):
    """What nobody can see is removed; the rest is an address. A megabyte of it is cut."""
    service = await start(body_limit=8 * BODY_LIMIT)
    response = await service.client.post("/v1/match", json={"address1": address, "address2": address})
    assert (response.status_code, response.json()["label"]) == (200, "exact_match")
    assert [event.outcome.value for event in service.recorder.events] == ["success"]


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Content-Type": "text/plain"}, "Content-Type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "Content-Type"),
        ({"Content-Type": ""}, "Content-Type"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "Content-Encoding"),
    ],
    ids=["text", "form", "empty", "gzip"],
)
async def test_a_body_declared_to_be_something_else_is_a_415(service, headers, field):
    """The detail says which header to send."""
    response = await service.client.post("/v1/match", content=json.dumps(GOOD).encode(), headers=headers)
    problem = response.json()
    assert (response.status_code, problem["error_type"], problem["field"]) == (415, "unsupported_media_type", field)
    assert [event.error_type.value for event in service.recorder.events] == ["unsupported_media_type"]


@pytest.mark.parametrize("value", ["", "soon", "0", "-1", "nan", "inf", "1e999", "1_0", "1 2", "１"])
async def test_a_timeout_header_that_is_no_positive_number_is_a_400(service, value):
    """It is refused rather than ignored, so that nobody relies on a bound that is not there."""
    headers = {**JSON, "X-Request-Timeout": value.encode()}
    response = await service.client.post("/v1/match", content=json.dumps(GOOD).encode(), headers=headers)
    problem = response.json()
    assert (response.status_code, problem["error_type"], problem["field"]) == (400, "invalid_header", "X-Request-Timeout")
    assert problem["detail"] == "X-Request-Timeout is a positive number of seconds, such as 2.5."
    assert [event.error_type.value for event in service.recorder.events] == ["invalid_header"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is empty; send a JSON object."),
        (b'{"address1": \n x', "The body is not valid JSON from line 2, column 2 on."),
        (b"\xef\xbb\xbf{}", "The body begins with a byte order mark; leave it out."),
        (b'{"a": "\xba\xbc"}', "The body is not UTF-8 (byte 7); GBK and UTF-16 have to be converted before sending."),
        (b"[" * 200_000, "The body is nested too deeply."),
        (b"[Infinity]", "The body has a number that JSON does not allow or that is too long."),
    ],
)
async def test_malformed_json_is_explained_without_being_quoted(client, body, detail):
    """Where it is wrong, and what to do."""
    response = await client.post("/v1/match", content=body, headers=JSON)
    assert response.json()["detail"] == detail


async def test_no_problem_document_quotes_an_address(client):
    """Neither of a broken body nor of a bad field."""
    for body in (
        '{"address1": "杭州市文一西路", ',
        '{"address1": "杭州市文一西路"}',
        '{"address1": "杭州市文一西路", "address2": "\\ud800"}',
    ):
        response = await client.post("/v1/match", content=body.encode(), headers=JSON)
        assert "杭州" not in response.text


async def test_an_unknown_path_is_a_404_problem_and_no_inference(service):
    """Scanners leave no events."""
    response = await service.client.post("/v1/mach", json=GOOD, headers={"X-Request-ID": "lost"})
    assert response.status_code == 404
    assert response.json() == {
        "type": "urn:mgeo:error:not_found",
        "title": "No such path",
        "status": 404,
        "detail": "There is nothing at this path; /openapi.json lists what there is.",
        "instance": "urn:mgeo:request:lost",
        "request_id": "lost",
        "trace_id": "ebaf9bec7c1ce3accc5313d0735e3556",
        "error_type": "not_found",
        "retryable": False,
    }
    assert service.recorder.events == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/v1/match", "POST"), ("DELETE", "/v1/match/batch", "POST"), ("POST", "/v1/model", "GET"), ("PUT", "/v1/requests", "GET")],
)
async def test_a_wrong_method_is_a_405_that_names_the_right_one(service, method, path, allow):
    """In `Allow`, and in words."""
    response = await service.client.request(method, path)
    assert (response.status_code, response.headers["allow"], response.json()["error_type"]) == (405, allow, "method_not_allowed")
    assert response.json()["detail"] == f"This path allows {allow}."
    assert service.recorder.events == []


async def test_every_refusal_can_be_looked_up_by_its_id(client):
    """The caller holds an id, also when there was no answer."""
    await client.post("/v1/match", content=b"{", headers={**JSON, "X-Request-ID": "refused"})
    story = (await client.get("/v1/requests/refused")).json()
    assert story["attempts"][0]["outcome"]["in_words"] == "Refused as invalid: the body was not valid JSON."
