"""`/v1/requests`: stories and searches over HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.api.events import MS, START, SUCCESS

PAIR = {"address1": "杭州市文一西路969号", "address2": "上海市南京东路1号"}
HTML = {"Accept": "text/html"}


@pytest.fixture
def past(service):
    """Twelve inferences, one a millisecond, the sixth of them slow."""
    for number in range(12):
        event = replace(SUCCESS, request_id=f"r{number}", started_unix_ns=START + number * MS, duration=1.5 if number == 5 else 0.01)
        service.store.add(event)
    return service


async def test_a_request_that_was_served_has_a_story(client):
    """Under the id its caller holds."""
    await client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "shop-42"})
    response = await client.get("/v1/requests/shop-42")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert (response.headers["vary"], response.headers["cache-control"]) == ("Accept", "no-store")
    (attempt,) = response.json()["attempts"]
    assert (attempt["request_id"], attempt["answer"]["label"], attempt["outcome"]["status"]) == ("shop-42", "not_match", "success")
    assert [member["request_id"] for member in attempt["batch"]["members"]] == ["shop-42"]
    assert [line["request_id"] for line in attempt["logs"]] == ["shop-42"]


async def test_a_pair_and_its_whole_call_have_their_stories(client):
    """`<id>:<index>` is one pair, the bare id all of them."""
    await client.post("/v1/match/batch", json={"pairs": [PAIR, PAIR]}, headers={"X-Request-ID": "b"})
    assert [attempt["request_id"] for attempt in (await client.get("/v1/requests/b:1")).json()["attempts"]] == ["b:1"]
    assert [attempt["request_id"] for attempt in (await client.get("/v1/requests/b")).json()["attempts"]] == ["b:0", "b:1"]
    assert (await client.get("/v1/requests/b:2")).status_code == 404


@pytest.mark.parametrize("request_id", ["unknown", "a:b", "a%20b", "%E6%9D%AD", "a:1:2", "x" * 200, "%00", "..%5c", "<b>"])
async def test_an_id_nobody_knows_or_that_cannot_be_one_is_a_404(client, request_id):
    """Never an error of ours."""
    response = await client.get(f"/v1/requests/{request_id}")
    assert (response.status_code, response.json()["error_type"]) == (404, "request_not_found")


async def test_an_id_that_is_also_a_word_of_the_api_can_be_looked_up(client):
    """`search` is a fine request id."""
    await client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "search"})
    assert (await client.get("/v1/requests/search")).json()["request_id"] == "search"


async def test_a_search_lists_the_newest_first_and_goes_on_by_its_cursor(past):
    """Every request once, on pages of five."""
    found, query = [], {"limit": "5"}
    while True:
        page = (await past.client.get("/v1/requests", params=query)).json()
        found.append([request["request_id"] for request in page["requests"]])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == [["r11", "r10", "r9", "r8", "r7"], ["r6", "r5", "r4", "r3", "r2"], ["r1", "r0"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"min_latency_ms": "1000"}, ["r5"]),
        ({"since": "2026-11-22T08:00:00.010Z"}, ["r11", "r10"]),
        ({"until": "2026-11-22T08:00:00.002Z"}, ["r1", "r0"]),
        ({"status": "error"}, []),
        ({"label": "exact_match", "limit": "1"}, ["r11"]),
        ({"label": "not_match"}, []),
    ],
)
async def test_a_search_narrows_by_each_parameter(past, query, found):
    """By time, latency, outcome and answer."""
    page = (await past.client.get("/v1/requests", params=query)).json()
    assert [request["request_id"] for request in page["requests"]] == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=failed", "status"),
        ("limit=0", "limit"),
        ("since=now", "since"),
        ("statuses=error", "statuses"),
        ("cursor=zzz", "cursor"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_a_bad_parameter_is_a_422_that_names_it(client, query, field):
    """In `field`, and in words."""
    response = await client.get(f"/v1/requests?{query}")
    problem = response.json()
    assert (response.status_code, problem["error_type"], problem["field"]) == (422, "invalid_query", field)


async def test_requests_are_found_by_their_address_on_either_side(client):
    """Complaints bring addresses, not ids; they are cleaned as for an inference."""
    await client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "first"})
    await client.post("/v1/match", json={"address1": "北京", "address2": PAIR["address1"]}, headers={"X-Request-ID": "second"})

    async def search(**body: object) -> list[str]:
        response = await client.post("/v1/requests/search", json=body)
        assert response.status_code == 200
        return [request["request_id"] for request in response.json()["requests"]]

    assert await search(address1=PAIR["address1"]) == ["second", "first"]
    assert await search(address2=f" {PAIR['address1']}\u200f ") == ["second", "first"]
    assert await search(address1=PAIR["address2"], address2=PAIR["address1"]) == ["first"]
    assert await search(address1=PAIR["address2"], address2="北京") == []
    assert await search(address1=PAIR["address1"], limit=1) == ["second"]
    assert await search(address1="广州", address2=None) == []


async def test_a_long_address_is_found_by_its_beginning_as_the_model_saw_it(client):
    """It is cut before it is hashed, here as there."""
    await client.post("/v1/match", json={"address1": "路" * 300, "address2": "路"}, headers={"X-Request-ID": "long"})
    page = (await client.post("/v1/requests/search", json={"address1": "路" * 100})).json()
    assert [request["request_id"] for request in page["requests"]] == ["long"]


async def test_a_search_by_address_goes_on_by_its_cursor(client):
    """The address is sent again with it."""
    for request_id in "abc":
        await client.post("/v1/match", json=PAIR, headers={"X-Request-ID": request_id})
    first = (await client.post("/v1/requests/search", json={"address1": PAIR["address1"], "limit": 2})).json()
    rest = (await client.post("/v1/requests/search", json={"address1": PAIR["address1"], "cursor": first["next_cursor"]})).json()
    assert [request["request_id"] for page in (first, rest) for request in page["requests"]] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("body", "status", "error_type", "field"),
    [
        ({}, 422, "missing_field", "address1"),
        ({"address1": None}, 422, "missing_field", "address1"),
        ([], 422, "wrong_type", None),
        ({"address1": 7}, 422, "wrong_type", "address1"),
        ({"address1": "a", "address2": " "}, 422, "empty_address", "address2"),
        ({"address1": "a", "limit": 501}, 422, "invalid_query", "limit"),
        ({"address1": "a", "cursor": 5}, 422, "invalid_query", "cursor"),
        ({"address1": "a", "cursor": "zzz"}, 422, "invalid_query", "cursor"),
    ],
)
async def test_a_bad_search_by_address_is_a_422_and_no_inference(service, body, status, error_type, field):
    """What it lacks is named, and there is no story to point to."""
    response = await service.client.post("/v1/requests/search", json=body, headers={"X-Request-ID": "r"})
    problem = response.json()
    assert (response.status_code, problem["error_type"], problem.get("field")) == (status, error_type, field)
    assert problem["instance"] == "urn:mgeo:request:r"
    assert service.recorder.events == []


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [(b"{", "application/json", 400), (b"{}", "text/plain", 415), (b"x" * 2_000_000, "application/json", 413)],
)
async def test_a_search_by_address_reads_its_body_as_an_inference_does(client, content, content_type, status):
    """The same limits, the same words."""
    response = await client.post("/v1/requests/search", content=content, headers={"Content-Type": content_type})
    assert response.status_code == status


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/requests"), ("GET", "/v1/requests/x"), ("POST", "/v1/requests/search")])
async def test_a_store_that_cannot_be_read_is_a_503_with_retry_after(service, method, path):
    """Inferences go on meanwhile."""
    service.store.broken = True
    response = await service.client.request(method, path, json={"address1": "a"} if method == "POST" else None)
    assert (response.status_code, response.json()["error_type"], response.headers["retry-after"]) == (503, "store_unavailable", "1")
    assert (await service.client.post("/v1/match", json=PAIR)).status_code == 200


@pytest.mark.parametrize(("request_id", "location"), [("shop-42", "/v1/requests/shop-42"), (" b:1 ", "/v1/requests/b:1")])
async def test_the_lookup_form_leads_to_the_story(client, request_id, location):
    """A form cannot write into a path."""
    response = await client.get("/lookup", params={"request_id": request_id})
    assert (response.status_code, response.headers["location"]) == (303, location)


@pytest.mark.parametrize("request_id", ["", "//evil.example", "a/b", "a\nb", "杭州"])
async def test_the_lookup_form_leads_nowhere_else(client, request_id):
    """What cannot be an id is not known."""
    response = await client.get("/lookup", params={"request_id": request_id}, headers=HTML)
    assert (response.status_code, "location" in response.headers) == (404, False)
