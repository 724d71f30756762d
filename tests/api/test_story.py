"""The story of a request as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from service.api.problem import json_bytes
from service.api.story import StoryRenderer
from service.api.timeline import timeline
from service.errors import ErrorType, Outcome
from service.requeststore.base import SpanRecord
from service.requeststore.memory import MemoryRequestStore
from service.telemetry.log_record import inference_record
from tests.api.events import BATCH, FAILED, MS, REFUSED, START, SUCCESS, TRACE, with_text


@pytest.fixture
def store() -> MemoryRequestStore:
    """Two inferences of one batch, and one a minute and a half later."""
    store = MemoryRequestStore(instance="host-1")
    for event in (SUCCESS, FAILED, REFUSED):
        store.add(event)
    store.add_batch(BATCH)
    return store


async def test_the_story_tells_everything_once(store):
    """Literally, for a success in a batch of two."""
    story = StoryRenderer().story(await store.story("shop-42"))
    (attempt,) = story.pop("attempts")
    assert story == {"request_id": "shop-42", "more": 0, "missing": [], "links": {"self": "/v1/requests/shop-42"}}
    assert attempt.pop("logs") == [inference_record(SUCCESS, service="mgeo", instance="host-1")]
    assert attempt.pop("timeline") == [
        {"kind": "span", "name": "mgeo.inference", "offset_ms": 0.0, "duration_ms": 12.5, "depth": 0, "span_id": "00000000000000a1"},
        {"kind": "stage", "name": "read", "offset_ms": 0.0, "duration_ms": 0.5, "depth": 1},
        {"kind": "stage", "name": "clean", "offset_ms": 0.5, "duration_ms": 0.1, "depth": 1},
        {"kind": "stage", "name": "queue", "offset_ms": 1.0, "duration_ms": 1.0, "depth": 1},
        {"kind": "stage", "name": "tokenize", "offset_ms": 2.0, "duration_ms": 1.0, "depth": 1},
        {"kind": "stage", "name": "inference", "offset_ms": 3.0, "duration_ms": 9.0, "depth": 1},
        {"kind": "stage", "name": "deliver", "offset_ms": 12.0, "duration_ms": 0.5, "depth": 1},
        {"kind": "span", "name": "mgeo.batch", "offset_ms": 2.0, "duration_ms": 10.0, "depth": 0, "span_id": "e4adc4f66c25b78f"},
    ]
    assert attempt.pop("batch") == {
        "batch_id": "batch-1",
        "started": "2026-11-22T08:00:00.002000Z",
        "duration_ms": 10.0,
        "error_type": None,
        "members": [
            {
                "request_id": "shop-42",
                "trace_id": TRACE,
                "started": "2026-11-22T08:00:00.000000Z",
                "latency_ms": 12.5,
                "function": "match",
                "status": "success",
                "error_type": None,
                "label": "exact_match",
                "similarity": 0.97,
                "link": "/v1/requests/shop-42",
            },
            {
                "request_id": "other-7",
                "trace_id": TRACE,
                "started": "2026-11-22T08:00:00.002000Z",
                "latency_ms": 20.0,
                "function": "match",
                "status": "error",
                "error_type": "model_failed",
                "label": None,
                "similarity": None,
                "link": "/v1/requests/other-7",
            },
        ],
    }
    assert attempt == {
        "request_id": "shop-42",
        "trace_id": TRACE,
        "span_id": "00000000000000a1",
        "function": "match",
        "service_instance": "host-1",
        "started": "2026-11-22T08:00:00.000000Z",
        "latency_ms": 12.5,
        "outcome": {
            "status": "success",
            "error_type": None,
            "in_words": "Answered by the model.",
            "advice": None,
            "counts_against_service": False,
            "exception": None,
        },
        "answer": {
            "label": "exact_match",
            "similarity": 0.97,
            "probabilities": {"not_match": 0.01, "partial_match": 0.04, "exact_match": 0.95},
        },
        "truncated": False,
        "output_length": 11,
        "model": {"name": "mgeo-embedded", "version": "1"},
        "addresses": {"address1": {"length": 18, "hash": "0" * 31 + "1"}, "address2": {"length": 16, "hash": "0" * 31 + "2"}},
        "text": {"captured": False},
        "timeline_ms": 12.5,
        "moment": {
            "minute": "2026-11-22T08:00:00.000000Z",
            "inferences": 2,
            "failed": 1,
            "p95_ms": 12.5,
            "queue_depth": 3,
            "alerts": [],
            "points": [],
        },
        "gpu": [
            {"id": "0", "utilization": 0.42, "memory_usage_bytes": 2147483648, "memory_limit_bytes": 8589934592, "sample_age_ms": 300.0},
        ],
        "links": {
            "self": "/v1/requests/shop-42",
            "call": "/v1/requests/shop-42",
            "same_minute": "/v1/requests?since=2026-11-22T08%3A00%3A00.000000Z&until=2026-11-22T08%3A01%3A00.000000Z",
        },
    }


async def test_a_failure_is_told_in_words_with_its_exception_and_advice(store):
    """Type and frames, never the message."""
    attempt = StoryRenderer().story(await store.story("other-7"))["attempts"][0]
    assert attempt["answer"] is None
    assert attempt["outcome"] == {
        "status": "error",
        "error_type": "model_failed",
        "in_words": "Failed: the model raised an exception.",
        "advice": "Retry once; the exception's type and frames say where it failed.",
        "counts_against_service": True,
        "exception": {"type": "ValueError", "frames": ["/srv/model.py:12 predict", "/srv/model.py:40 encode"]},
    }


async def test_what_never_reached_the_model_has_neither_batch_nor_answer(store):
    """And its minute is its own."""
    attempt = StoryRenderer().story(await store.story("third"))["attempts"][0]
    assert (attempt["batch"], attempt["answer"], attempt["model"], attempt["truncated"]) == (None, None, None, None)
    assert attempt["addresses"] == {"address1": None, "address2": None}
    assert attempt["moment"] == {
        "minute": "2026-11-22T08:01:00.000000Z", "inferences": 1, "failed": 0, "p95_ms": None, "queue_depth": None,
        "alerts": [], "points": [],
    }  # fmt: skip


async def test_text_is_told_only_when_it_was_captured_and_is_marked(store):
    """A lone surrogate in it survives as its JSON escape."""
    store.add(with_text(replace(SUCCESS, request_id="kept"), "杭州\ud800路", "杭州"))
    story = StoryRenderer().story(await store.story("kept"))
    assert story["attempts"][0]["text"] == {"captured": True, "address1": "杭州\ud800路", "address2": "杭州"}
    written = json_bytes(story)
    assert '"address1":"杭州\\ud800路"'.encode() in written
    assert json.loads(written) == story


async def test_links_lead_to_where_people_reach_the_service(store):
    """Behind a proxy they need its address."""
    story = StoryRenderer("https://mgeo.example/").story(await store.story("shop-42"))
    assert story["links"]["self"] == "https://mgeo.example/v1/requests/shop-42"
    assert story["attempts"][0]["links"]["same_minute"].startswith("https://mgeo.example/v1/requests?since=")
    assert story["attempts"][0]["batch"]["members"][1]["link"] == "https://mgeo.example/v1/requests/other-7"


async def test_the_pairs_of_a_call_come_in_their_order_and_lead_to_the_call():
    """They began together, and ended in any order; ten comes behind two."""
    store = MemoryRequestStore()
    for index in (10, 2, 0):
        store.add(replace(SUCCESS, request_id=f"call:{index}", batch_id=None))
    story = StoryRenderer().story(await store.story("call"))
    assert [attempt["request_id"] for attempt in story["attempts"]] == ["call:0", "call:2", "call:10"]
    pair = StoryRenderer().story(await store.story("call:2"))
    assert pair["links"] == {"self": "/v1/requests/call:2", "call": "/v1/requests/call"}


async def test_attempts_past_the_limit_are_counted(store):
    """So that nobody takes the part for the whole."""
    for _ in range(4):
        store.add(SUCCESS)
    story = StoryRenderer().story(await store.story("shop-42", limit=2))
    assert (len(story["attempts"]), story["more"]) == (2, 3)


def span(name: str, span_id: str, parent: str | None, start_ms: float, ms: float) -> SpanRecord:
    """A span that starts so many milliseconds after the inference."""
    return SpanRecord(
        name=name,
        trace_id=TRACE,
        span_id=span_id,
        parent_span_id=parent,
        started_unix_ns=START + round(start_ms * MS),
        duration=ms / 1000,
        attributes={},
    )


def test_the_timeline_begins_with_the_earliest_span_and_nests_by_parents():
    """The server span is around the inference, whose stages are inside; a call inside the inference is deeper still."""
    spans = [
        span("child", "00000000000000d1", "00000000000000a1", 3, 1),
        span("mgeo.inference", "00000000000000a1", "00000000000000a0", 0, 12.5),
        span("POST /v1/match", "00000000000000a0", "00000000000000ff", -1, 15),
    ]
    length, rows = timeline(replace(SUCCESS, stages=SUCCESS.stages[:1]), spans)
    assert length == 15.0
    assert [(row["name"], row["offset_ms"], row["depth"]) for row in rows] == [
        ("POST /v1/match", 0.0, 0),
        ("mgeo.inference", 1.0, 1),
        ("read", 1.0, 2),
        ("child", 4.0, 2),
    ]


def test_the_timeline_has_the_inference_when_no_span_is_known():
    """The event knows enough."""
    length, rows = timeline(REFUSED, [])
    assert (length, [(row["kind"], row["name"]) for row in rows]) == (1.0, [("span", "mgeo.inference")])


def test_spans_that_claim_to_be_each_others_parents_do_no_harm():
    """Trace data comes from anywhere."""
    loop = [span("a", "00000000000000e1", "00000000000000e2", 0, 1), span("b", "00000000000000e2", "00000000000000e1", 0, 1)]
    _, rows = timeline(replace(SUCCESS, stages=()), loop)
    assert [(row["name"], row["depth"]) for row in rows] == [("a", 1), ("b", 1), ("mgeo.inference", 0)]


@pytest.mark.parametrize("error_type", ErrorType)
async def test_every_error_type_can_be_told(error_type):
    """No story fails for the way its request ended."""
    store = MemoryRequestStore()
    store.add(replace(REFUSED, outcome=error_type.outcome, error_type=error_type))
    outcome = StoryRenderer().story(await store.story("third"))["attempts"][0]["outcome"]
    assert outcome["status"] == error_type.outcome.value
    assert outcome["in_words"].endswith(".")
    assert outcome["counts_against_service"] is (error_type.outcome in {Outcome.OVERLOADED, Outcome.TIMEOUT, Outcome.ERROR})
