"""`POST /v1/match` and its batch form: what comes back, and which events are left."""

from __future__ import annotations

import asyncio
import json

from service.errors import Outcome
from service.model.fake import BAD_OUTPUT, FakeModel
from service.telemetry.event import Stage
from tests.api.composition import until

SAME = {"address1": "杭州市文一西路969号", "address2": "杭州市文一西路969号"}
ALIKE = {"address1": "杭州市文一西路969号", "address2": "杭州文一西路"}
OTHER = {"address1": "杭州市文一西路969号", "address2": "上海市南京东路1号"}


async def test_a_pair_is_answered_with_label_probabilities_similarity_and_model(client):
    """The answer has every field the API promises, and the headers that lead to its story."""
    response = await client.post("/v1/match", json=SAME, headers={"X-Request-ID": "shop-42"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"] == "shop-42"
    body = response.json()
    timings, latency = body.pop("timings_ms"), body.pop("latency_ms")
    assert body == {
        "request_id": "shop-42",
        "trace_id": "1d7de73684aaa96330ed117943d9ea04",
        "label": "exact_match",
        "probabilities": {"not_match": 0.01, "partial_match": 0.04, "exact_match": 0.95},
        "similarity": 0.97,
        "model": {"name": "fake", "version": "1"},
        "truncated": False,
    }
    assert list(timings) == ["read", "clean", "queue", "tokenize", "inference", "deliver"]
    assert (timings["tokenize"], timings["inference"]) == (1.0, 2.0)
    assert latency > 0


async def test_server_timing_has_every_stage_of_the_inference_in_milliseconds(client):
    """A browser's network panel shows where the time went."""
    response = await client.post("/v1/match", json=SAME)
    timings = response.json()["timings_ms"]
    assert response.headers["server-timing"] == ", ".join(f"{stage};dur={timings[stage]:.3f}" for stage in timings)
    assert "inference;dur=2.000" in response.headers["server-timing"]


async def test_one_request_leaves_one_event_with_its_function_and_the_time_its_body_took(service):
    """The event is the pipeline's; the wire adds when the request arrived and how long reading took."""
    await service.client.post("/v1/match", json=ALIKE, headers={"X-Request-ID": "one"})
    (event,) = service.recorder.events
    assert (event.request_id, event.function, event.outcome, event.answer.label) == ("one", "match", Outcome.SUCCESS, "partial_match")
    assert event.stages[0].stage is Stage.READ
    assert event.stages[0].offset == 0


async def test_a_long_address_is_cut_and_the_answer_says_so(client):
    """101 characters are one too many."""
    response = await client.post("/v1/match", json={"address1": "路" * 101, "address2": "路"})
    assert (response.status_code, response.json()["truncated"]) == (200, True)


async def test_fields_that_are_not_asked_for_are_ignored(client):
    """Callers may send their own row ids along."""
    response = await client.post("/v1/match", json={**SAME, "row": 7, "note": None})
    assert response.status_code == 200


async def test_a_body_without_a_content_type_is_read_as_json(client):
    """Many scripts forget the header."""
    response = await client.post("/v1/match", content=json.dumps(SAME).encode())
    assert response.status_code == 200


async def test_a_structured_json_type_with_a_charset_is_accepted(client):
    """`+json` types are JSON; the charset parameter means nothing in JSON."""
    headers = {"Content-Type": "application/vnd.shop+json; charset=utf-8"}
    response = await client.post("/v1/match", content=json.dumps(SAME).encode(), headers=headers)
    assert response.status_code == 200


async def test_a_model_that_raises_is_a_500_that_does_not_quote_the_exception(start):
    """The exception's message carries an address; neither answer nor event has it."""
    service = await start(model=FakeModel(error=RuntimeError("bad row 杭州市文一西路969号")))
    response = await service.client.post("/v1/match", json=OTHER, headers={"X-Request-ID": "boom"})
    assert response.status_code == 500
    body = response.json()
    assert (body["error_type"], body["title"], body["retryable"]) == ("model_failed", "The model raised an exception", True)
    assert body["instance"] == "/v1/requests/boom"
    assert "杭州" not in response.text
    assert service.outcomes == [("boom", "error", "model_failed")]
    assert "杭州" not in repr(service.recorder.events)


async def test_an_answer_that_is_not_three_probabilities_is_a_500(start):
    """NaN never reaches a caller."""
    service = await start(model=FakeModel(answer=lambda _: BAD_OUTPUT))
    response = await service.client.post("/v1/match", json=OTHER)
    assert (response.status_code, response.json()["error_type"]) == (500, "invalid_output")


async def test_a_full_queue_is_a_503_with_retry_after(start, gate):
    """One runs, one waits, the third is refused at once."""
    service = await start(model=FakeModel(wait=gate), queue_size=1, max_batch_size=1)
    running = asyncio.create_task(service.client.post("/v1/match", json=SAME))
    await until(gate.entered.is_set)
    waiting = asyncio.create_task(service.client.post("/v1/match", json=SAME))
    await until(lambda: service.pipeline.depth == 1)
    refused = await service.client.post("/v1/match", json=SAME, headers={"X-Request-ID": "third"})
    gate.opened.set()
    assert (refused.status_code, refused.json()["error_type"], refused.json()["retryable"]) == (503, "queue_full", True)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["retry_after"] == int(refused.headers["retry-after"])
    assert [(await task).status_code for task in (running, waiting)] == [200, 200]
    assert ("third", "overloaded", "queue_full") in service.outcomes


async def test_an_open_breaker_is_a_503_with_retry_after(start):
    """After one failed run, with a breaker that opens at the first."""
    service = await start(model=FakeModel(error=RuntimeError()), breaker_failures=1, breaker_cooldown=60.0)
    assert (await service.client.post("/v1/match", json=SAME)).status_code == 500
    response = await service.client.post("/v1/match", json=SAME)
    assert (response.status_code, response.json()["error_type"]) == (503, "breaker_open")
    assert 1 <= int(response.headers["retry-after"]) <= 60


async def test_a_model_that_is_not_warm_yet_is_a_503_with_retry_after(start):
    """Requests that come before the start has ended are refused, and counted."""
    service = await start(started=False)
    response = await service.client.post("/v1/match", json=SAME, headers={"X-Request-ID": "early"})
    assert (response.status_code, response.json()["error_type"], response.headers["retry-after"]) == (503, "not_ready", "1")
    assert service.outcomes == [("early", "overloaded", "not_ready")]


async def test_the_deadline_is_a_504(start, gate):
    """The model does not answer within the service's own deadline; the caller's wish for more does not help."""
    service = await start(model=FakeModel(wait=gate), deadline=0.05)
    response = await service.client.post("/v1/match", json=SAME, headers={"X-Request-Timeout": "600", "X-Request-ID": "slow"})
    assert (response.status_code, response.json()["error_type"], response.json()["retryable"]) == (504, "deadline_exceeded", True)
    assert service.outcomes == [("slow", "timeout", "deadline_exceeded")]


async def test_x_request_timeout_shortens_the_deadline(start, gate):
    """The caller waits 50 ms, the service would have waited 10 s."""
    service = await start(model=FakeModel(wait=gate))
    response = await service.client.post("/v1/match", json=SAME, headers={"X-Request-Timeout": "0.05"})
    assert (response.status_code, response.json()["error_type"]) == (504, "deadline_exceeded")


async def test_strict_length_refuses_what_would_be_cut(start):
    """422 instead of `truncated`."""
    service = await start(strict_length=True)
    response = await service.client.post("/v1/match", json={"address1": "路" * 101, "address2": "路"})
    assert response.status_code == 422
    assert (response.json()["error_type"], response.json()["field"]) == ("address_too_long", "address1")


async def test_a_batch_answers_each_pair_in_order_and_one_bad_pair_fails_alone(service):
    """Every pair is an inference of its own, with an id of its own, in the trace of the call."""
    pairs = [SAME, {"address1": "杭州"}, OTHER, 7, {"address1": " ", "address2": "杭州"}]
    response = await service.client.post("/v1/match/batch", json={"pairs": pairs}, headers={"X-Request-ID": "b"})
    assert response.status_code == 200
    body = response.json()
    assert (body["request_id"], body["succeeded"], body["failed"]) == ("b", 2, 3)
    assert [(result["index"], result["request_id"]) for result in body["results"]] == [(n, f"b:{n}") for n in range(5)]
    first = body["results"][0]
    assert (first["label"], first["similarity"], first["trace_id"]) == ("exact_match", 0.97, body["trace_id"])
    assert set(first) == {
        "index", "request_id", "trace_id", "label", "probabilities", "similarity", "model", "truncated", "latency_ms", "timings_ms",
    }  # fmt: skip
    assert body["results"][1] == {
        "index": 1,
        "request_id": "b:1",
        "error": {
            "type": "urn:mgeo:error:missing_field",
            "title": "A required field is missing",
            "status": 422,
            "detail": "address2 is missing",
            "instance": "/v1/requests/b:1",
            "request_id": "b:1",
            "trace_id": body["trace_id"],
            "error_type": "missing_field",
            "retryable": False,
            "field": "address2",
        },
    }
    assert [result.get("error", {}).get("error_type") for result in body["results"]] == [
        None, "missing_field", None, "wrong_type", "empty_address",
    ]  # fmt: skip
    assert sorted(service.outcomes) == [
        ("b:0", "success", None),
        ("b:1", "invalid", "missing_field"),
        ("b:2", "success", None),
        ("b:3", "invalid", "wrong_type"),
        ("b:4", "invalid", "empty_address"),
    ]
    assert {event.function for event in service.recorder.events} == {"match_batch"}


async def test_a_full_batch_is_accepted(service):
    """256 pairs, 256 events, and none of the call itself."""
    response = await service.client.post("/v1/match/batch", json={"pairs": [OTHER] * 256}, headers={"X-Request-ID": "full"})
    assert (response.json()["succeeded"], response.json()["failed"]) == (256, 0)
    assert {event.request_id for event in service.recorder.events} == {f"full:{index}" for index in range(256)}
    assert len(service.recorder.events) == 256


async def test_a_batch_larger_than_the_queue_is_let_in_bit_by_bit(start):
    """Alone on an idle service, a call is never refused for its own number of pairs."""
    service = await start(queue_size=2, max_batch_size=2)
    response = await service.client.post("/v1/match/batch", json={"pairs": [OTHER] * 40})
    assert (response.json()["succeeded"], response.json()["failed"]) == (40, 0)


async def test_a_batch_on_a_busy_service_gets_an_error_for_each_pair_that_finds_the_queue_full(start, gate):
    """One running and one waiting from elsewhere; of the two pairs one finds room, the other an error of its own."""
    service = await start(model=FakeModel(wait=gate), queue_size=2, max_batch_size=1)
    running = asyncio.create_task(service.client.post("/v1/match", json=SAME))
    await until(gate.entered.is_set)
    waiting = asyncio.create_task(service.client.post("/v1/match", json=SAME))
    await until(lambda: service.pipeline.depth == 1)
    batch = asyncio.create_task(service.client.post("/v1/match/batch", json={"pairs": [SAME, SAME]}))
    await until(lambda: len(service.recorder.events) == 1)
    gate.opened.set()
    body = (await batch).json()
    assert (body["succeeded"], body["failed"]) == (1, 1)
    (error,) = [result["error"] for result in body["results"] if "error" in result]
    assert (error["status"], error["error_type"], error["retryable"]) == (503, "queue_full", True)
    assert [(await task).status_code for task in (running, waiting)] == [200, 200]


async def test_an_unexpected_failure_of_one_pair_leaves_the_others_their_answers(start):
    """A hasher that breaks on one text is our bug, and that pair's only."""
    service = await start()
    broken = service.hasher.hash
    service.pipeline._hasher = type("Broken", (), {"hash": lambda _self, text: 1 / 0 if text == "坏" else broken(text)})()
    pairs = [SAME, {"address1": "坏", "address2": "坏"}]
    body = (await service.client.post("/v1/match/batch", json={"pairs": pairs}, headers={"X-Request-ID": "b"})).json()
    assert (body["succeeded"], body["failed"]) == (1, 1)
    assert (body["results"][1]["error"]["status"], body["results"][1]["error"]["error_type"]) == (500, "internal")
    assert "division" not in json.dumps(body)
    assert ("b:1", "error", "internal") in service.outcomes


async def test_a_thousand_concurrent_requests_keep_their_ids(service):
    """Each answer comes back under the id and with the label of its own request."""

    async def one(number: int) -> tuple[str, str, str]:
        pair = SAME if number % 2 else OTHER
        response = await service.client.post("/v1/match", json=pair, headers={"X-Request-ID": f"r{number}"})
        return response.headers["x-request-id"], response.json()["request_id"], response.json()["label"]

    found = await asyncio.gather(*(one(number) for number in range(1000)))
    assert found == [(f"r{number}", f"r{number}", "exact_match" if number % 2 else "not_match") for number in range(1000)]
    assert {event.request_id for event in service.recorder.events} == {f"r{number}" for number in range(1000)}
    assert len(service.recorder.events) == 1000


async def test_a_repeated_request_id_is_answered_each_time(service):
    """Retries keep their id; the story shows every attempt."""
    for _ in range(2):
        assert (await service.client.post("/v1/match", json=SAME, headers={"X-Request-ID": "again"})).status_code == 200
    story = (await service.client.get("/v1/requests/again")).json()
    assert [attempt["request_id"] for attempt in story["attempts"]] == ["again", "again"]
