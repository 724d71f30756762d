"""Everything one inference lets out, for one request of each outcome: spans, metric points, log line, log record, story.

The service is the real one, in process; only the model is the fake. Literal values throughout: what differs from run to run
(span ids, batch ids, the instance) stands by name, and time passes only where the model holds the request.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from service.model.fake import FakeModel
from service.telemetry import names
from tests.api.composition import Caller
from tests.telemetry.in_process import Running, Series, deltas, until
from tests.telemetry.readable import Readable, old_names

PAIR = {"address1": "杭州市文一西路969号", "address2": "杭州文一西路"}
HTTP = {
    "url.scheme": "http",
    "server.address": "mgeo.test:8000",
    "server.port": 8000,
    "network.protocol.version": "1.1",
    "http.request.method": "POST",
    "user_agent.original": "python-httpx/0.28.1",
    "client.address": "127.0.0.1",
    "client.port": 123,
    "http.route": "/v1/match",
    "url.path": "/v1/match",
}
# Of the bare ASGI caller, which can hang up.
BARE_HTTP = {
    **{name: value for name, value in HTTP.items() if name != "user_agent.original"},
    "server.address": "mgeo.test",
    "server.port": 80,
    "client.address": "192.0.2.1",
    "client.port": 1234,
}
NULLS = dict.fromkeys(field.name for field in names.LOG_FIELDS)
IN_THEIR_OWN_PLACE = {"timestamp", "level", "event", "service", "instance", "trace_id", "span_id"}


def readable_of(service: Running) -> Readable:
    return Readable(service.spans(), service.runtime.recording.slot.instance_id)


def changes(before: Series, after: Series) -> Series:
    """What a request has changed, but for gauges of the writers' progress and of what is around the process.

    Of the HTTP duration, which is real time, the count.
    """
    changed = deltas(before, after)
    writers = ("mgeo.telemetry.queue.depth", "mgeo.store.size")
    around = ("process.uptime", "system.filesystem.usage", "system.filesystem.limit", "mgeo.workday")
    for gauge in (*writers, *around):
        changed.pop(gauge, None)
    http = changed.get("http.server.request.duration", {})
    return {**changed, "http.server.request.duration": {labels: count for labels, (count, _) in http.items()}}


async def ended_as(service: Running, readable: Readable, line: dict[str, Any]) -> None:
    """The log file has this line, and the logs API was given the same facts under the same span."""
    request_id = line["request_id"]
    await until(lambda: any(found["request_id"] == request_id for found in service.log_lines()))
    (found,) = [found for found in service.log_lines() if found["request_id"] == request_id]
    assert list(found) == [field.name for field in names.LOG_FIELDS]
    assert readable.json(found) == line
    (record,) = [log for log in map(readable.log, service.otlp_logs()) if log["attributes"].get("request_id") == request_id]
    moment = line["timestamp"].removeprefix("2026-02-02T02:40:00.").removesuffix("Z")
    assert record == {
        "ms": int(moment) / 1000,
        "severity": {"INFO": "INFO INFO", "WARNING": "WARN WARNING", "ERROR": "ERROR ERROR"}[line["level"]],
        "body": "mgeo.inference",
        "event_name": "mgeo.inference",
        "trace": line["trace_id"],
        "span": "inference",
        "attributes": {name: value for name, value in line.items() if name not in IN_THEIR_OWN_PLACE and value is not None},
    }


async def story_of(service: Running, readable: Readable, request_id: str) -> dict[str, Any]:
    """The one attempt of a story, read from the store's rows by the API."""
    story = readable.json((await service.client.get(f"/v1/requests/{request_id}")).json())
    (attempt,) = story.pop("attempts")
    assert story == {"request_id": request_id, "more": 0, "missing": [], "links": {"self": f"/v1/requests/{request_id}"}}
    return attempt


async def test_success(start, gate):
    """An answered request: INFO, no error type, span status unset; its span and its batch's link to each other."""
    gate.opened.set()
    service = await start(model=FakeModel(wait=gate))
    before = service.points()
    response = await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "success"})
    assert response.status_code == 200
    readable = readable_of(service)
    assert [readable.span(span) for span in service.spans()] == [
        {
            "name": "mgeo.batch",
            "kind": "INTERNAL",
            "trace": "trace of batch-1",
            "id": "span of batch-1",
            "parent": None,
            "status": "UNSET",
            "links": ["a1482a52c6eebcc1345e458abe134fde / inference"],
            "attributes": {
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "mgeo.stage.tokenize.duration": 0.001,
                "mgeo.stage.inference.duration": 0.002,
            },
            "ms": (0.0, 250.0),
        },
        {
            "name": "mgeo.inference",
            "kind": "INTERNAL",
            "trace": "a1482a52c6eebcc1345e458abe134fde",
            "id": "inference",
            "parent": "server",
            "status": "UNSET",
            "links": ["trace of batch-1 / span of batch-1"],
            "attributes": {
                "mgeo.request.id": "success",
                "code.function.name": "match",
                "mgeo.status": "success",
                "mgeo.address1.length": 11,
                "mgeo.address1.hash": "c93795d592e8b2def534eca69951bb6f",
                "mgeo.address2.length": 6,
                "mgeo.address2.hash": "2ce0bd54d7c586cc812e8955d2708fa1",
                "mgeo.truncated": False,
                "mgeo.queue.depth": 0,
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "mgeo.label": "partial_match",
                "mgeo.similarity": 0.5,
                "mgeo.probability.not_match": 0.1,
                "mgeo.probability.partial_match": 0.8,
                "mgeo.probability.exact_match": 0.1,
                "mgeo.output.length": 13,
                "mgeo.stage.read.offset": 0.0,
                "mgeo.stage.read.duration": 0.0,
                "mgeo.stage.clean.offset": 0.0,
                "mgeo.stage.clean.duration": 0.0,
                "mgeo.stage.queue.offset": 0.0,
                "mgeo.stage.queue.duration": 0.0,
                "mgeo.stage.tokenize.offset": 0.0,
                "mgeo.stage.tokenize.duration": 0.001,
                "mgeo.stage.inference.offset": 0.001,
                "mgeo.stage.inference.duration": 0.002,
                "mgeo.stage.deliver.offset": 0.25,
                "mgeo.stage.deliver.duration": 0.0,
            },
            "ms": (0.0, 250.0),
        },
        {
            "name": "POST /v1/match",
            "kind": "SERVER",
            "trace": "a1482a52c6eebcc1345e458abe134fde",
            "id": "server",
            "parent": None,
            "status": "UNSET",
            "links": [],
            "attributes": {**HTTP, "http.response.status_code": 200},
        },
    ]
    assert changes(before, service.points()) == {
        "mgeo.requests": {"status=success": 1},
        "mgeo.inference.duration": {"status=success": (1, 0.25)},
        "mgeo.inference.stage.duration": {
            "stage=read": (1, 0.0),
            "stage=clean": (1, 0.0),
            "stage=queue": (1, 0.0),
            "stage=tokenize": (1, 0.001),
            "stage=inference": (1, 0.002),
            "stage=deliver": (1, 0.0),
        },
        "mgeo.batch.size": {"": (1, 1)},
        "mgeo.queue.wait": {"": (1, 0.0)},
        "mgeo.log.records": {"severity=INFO": 1},
        "http.server.request.duration": {
            "http.request.method=POST,http.response.status_code=200,http.route=/v1/match,network.protocol.version=1.1,url.scheme=http": 1
        },
    }
    await service.written(inferences=1, lines=3)
    line = {
        **NULLS,
        "timestamp": "2026-02-02T02:40:00.000000Z",
        "level": "INFO",
        "event": "mgeo.inference",
        "service": "mgeo",
        "instance": "instance",
        "request_id": "success",
        "trace_id": "a1482a52c6eebcc1345e458abe134fde",
        "span_id": "inference",
        "function": "match",
        "status": "success",
        "latency_ms": 250.0,
        "output_length": 13,
        "address1_length": 11,
        "address2_length": 6,
        "address1_hash": "c93795d592e8b2def534eca69951bb6f",
        "address2_hash": "2ce0bd54d7c586cc812e8955d2708fa1",
        "truncated": False,
        "batch_id": "batch-1",
        "batch_size": 1,
        "queue_ms": 0.0,
        "inference_ms": 2.0,
        "model": "fake@1",
        "label": "partial_match",
        "similarity": 0.5,
    }
    await ended_as(service, readable, line)
    assert await story_of(service, readable, "success") == {
        "request_id": "success",
        "trace_id": "a1482a52c6eebcc1345e458abe134fde",
        "span_id": "inference",
        "function": "match",
        "service_instance": "instance",
        "started": "2026-02-02T02:40:00.000000Z",
        "latency_ms": 250.0,
        "outcome": {
            "status": "success",
            "error_type": None,
            "in_words": "Answered by the model.",
            "advice": None,
            "counts_against_service": False,
            "exception": None,
        },
        "answer": {
            "label": "partial_match",
            "similarity": 0.5,
            "probabilities": {"not_match": 0.1, "partial_match": 0.8, "exact_match": 0.1},
        },
        "truncated": False,
        "output_length": 13,
        "model": {"name": "fake", "version": "1"},
        "addresses": {
            "address1": {"length": 11, "hash": "c93795d592e8b2def534eca69951bb6f"},
            "address2": {"length": 6, "hash": "2ce0bd54d7c586cc812e8955d2708fa1"},
        },
        "text": {"captured": False},
        "timeline_ms": 250.0,
        "timeline": [
            "mgeo.inference 0 + 250",
            "  read 0 + 0",
            "  clean 0 + 0",
            "  queue 0 + 0",
            "  tokenize 0 + 1",
            "  inference 1 + 2",
            "  deliver 250 + 0",
            "mgeo.batch 0 + 250",
        ],
        "batch": {
            "batch_id": "batch-1",
            "started": "2026-02-02T02:40:00.000000Z",
            "duration_ms": 250.0,
            "error_type": None,
            "members": [
                {
                    "request_id": "success",
                    "trace_id": "a1482a52c6eebcc1345e458abe134fde",
                    "started": "2026-02-02T02:40:00.000000Z",
                    "latency_ms": 250.0,
                    "function": "match",
                    "status": "success",
                    "error_type": None,
                    "label": "partial_match",
                    "similarity": 0.5,
                    "link": "/v1/requests/success",
                }
            ],
        },
        "moment": {
            "minute": "2026-02-02T02:40:00.000000Z",
            "inferences": 1,
            "failed": 0,
            "p95_ms": 250.0,
            "queue_depth": 0,
            "alerts": [],
            "points": [],
        },
        "gpu": [],
        "logs": [line],
        "links": {
            "self": "/v1/requests/success",
            "call": "/v1/requests/success",
            "same_minute": "/v1/requests?since=2026-02-02T02%3A40%3A00.000000Z&until=2026-02-02T02%3A41%3A00.000000Z",
        },
    }
    assert old_names(service.spans(), service.points()) == []


async def test_invalid(start):
    """A refused request: INFO, span status unset, and neither queue nor batch."""
    service = await start()
    before = service.points()
    body = {"address1": PAIR["address1"], "address2": "  "}
    response = await service.client.post("/v1/match", json=body, headers={"X-Request-ID": "invalid"})
    assert response.status_code == 422
    readable = readable_of(service)
    assert [readable.span(span) for span in service.spans()] == [
        {
            "name": "mgeo.inference",
            "kind": "INTERNAL",
            "trace": "89bae91d5011338c5946a588f5516b95",
            "id": "inference",
            "parent": "server",
            "status": "UNSET",
            "links": [],
            "attributes": {
                "mgeo.request.id": "invalid",
                "code.function.name": "match",
                "mgeo.status": "invalid",
                "error.type": "empty_address",
                "mgeo.address1.length": 11,
                "mgeo.address1.hash": "c93795d592e8b2def534eca69951bb6f",
                "mgeo.address2.length": 2,
                "mgeo.stage.read.offset": 0.0,
                "mgeo.stage.read.duration": 0.0,
                "mgeo.stage.clean.offset": 0.0,
                "mgeo.stage.clean.duration": 0.0,
            },
            "ms": (0.0, 0.0),
        },
        {
            "name": "POST /v1/match",
            "kind": "SERVER",
            "trace": "89bae91d5011338c5946a588f5516b95",
            "id": "server",
            "parent": None,
            "status": "UNSET",
            "links": [],
            "attributes": {**HTTP, "http.response.status_code": 422},
        },
    ]
    assert changes(before, service.points()) == {
        "mgeo.requests": {"error.type=empty_address,status=invalid": 1},
        "mgeo.inference.duration": {"status=invalid": (1, 0.0)},
        "mgeo.inference.stage.duration": {"stage=read": (1, 0.0), "stage=clean": (1, 0.0)},
        "mgeo.log.records": {"severity=INFO": 1},
        "http.server.request.duration": {
            "http.request.method=POST,http.response.status_code=422,http.route=/v1/match,network.protocol.version=1.1,url.scheme=http": 1
        },
    }
    await service.written(inferences=1, lines=3)
    line = {
        **NULLS,
        "timestamp": "2026-02-02T02:40:00.000000Z",
        "level": "INFO",
        "event": "mgeo.inference",
        "service": "mgeo",
        "instance": "instance",
        "request_id": "invalid",
        "trace_id": "89bae91d5011338c5946a588f5516b95",
        "span_id": "inference",
        "function": "match",
        "status": "invalid",
        "latency_ms": 0.0,
        "error_type": "empty_address",
        "error_message": "an address is empty after cleaning",
        "address1_length": 11,
        "address2_length": 2,
        "address1_hash": "c93795d592e8b2def534eca69951bb6f",
    }
    await ended_as(service, readable, line)
    assert await story_of(service, readable, "invalid") == {
        "request_id": "invalid",
        "trace_id": "89bae91d5011338c5946a588f5516b95",
        "span_id": "inference",
        "function": "match",
        "service_instance": "instance",
        "started": "2026-02-02T02:40:00.000000Z",
        "latency_ms": 0.0,
        "outcome": {
            "status": "invalid",
            "error_type": "empty_address",
            "in_words": "Refused as invalid: nothing was left of an address after cleaning.",
            "advice": "Send two addresses with at least one visible character each.",
            "counts_against_service": False,
            "exception": None,
        },
        "answer": None,
        "truncated": None,
        "output_length": None,
        "model": None,
        "addresses": {"address1": {"length": 11, "hash": "c93795d592e8b2def534eca69951bb6f"}, "address2": {"length": 2, "hash": None}},
        "text": {"captured": False},
        "timeline_ms": 0.0,
        "timeline": ["mgeo.inference 0 + 0", "  read 0 + 0", "  clean 0 + 0"],
        "batch": None,
        "moment": {
            "minute": "2026-02-02T02:40:00.000000Z",
            "inferences": 1,
            "failed": 0,
            "p95_ms": None,
            "queue_depth": None,
            "alerts": [],
            "points": [],
        },
        "gpu": [],
        "logs": [line],
        "links": {
            "self": "/v1/requests/invalid",
            "call": "/v1/requests/invalid",
            "same_minute": "/v1/requests?since=2026-02-02T02%3A40%3A00.000000Z&until=2026-02-02T02%3A41%3A00.000000Z",
        },
    }
    assert old_names(service.spans(), service.points()) == []


async def test_overloaded(start, gate):
    """A request that finds the queue full, beside one that runs and one that waits: WARNING, span status error."""
    service = await start(model=FakeModel(wait=gate), queue_size=1, max_batch_size=1)
    running = asyncio.create_task(service.client.post("/v1/match", json=PAIR))
    await until(gate.entered.is_set)
    waiting = asyncio.create_task(service.client.post("/v1/match", json=PAIR))
    await until(lambda: service.runtime.pipeline.depth == 1)
    before = service.points()
    assert before["mgeo.requests.active"] == {"": 2}
    assert before["mgeo.queue.depth"] == {"": 1}
    response = await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "overloaded"})
    assert response.status_code == 503
    readable = readable_of(service)
    assert [readable.span(span) for span in service.spans()] == [
        {
            "name": "mgeo.inference",
            "kind": "INTERNAL",
            "trace": "1dfc70ec81af3e759afde9a66026c855",
            "id": "inference",
            "parent": "server",
            "status": "ERROR: the inference queue is full",
            "links": [],
            "attributes": {
                "mgeo.request.id": "overloaded",
                "code.function.name": "match",
                "mgeo.status": "overloaded",
                "error.type": "queue_full",
                "mgeo.address1.length": 11,
                "mgeo.address1.hash": "c93795d592e8b2def534eca69951bb6f",
                "mgeo.address2.length": 6,
                "mgeo.address2.hash": "2ce0bd54d7c586cc812e8955d2708fa1",
                "mgeo.truncated": False,
                "mgeo.queue.depth": 1,
                "mgeo.stage.read.offset": 0.0,
                "mgeo.stage.read.duration": 0.0,
                "mgeo.stage.clean.offset": 0.0,
                "mgeo.stage.clean.duration": 0.0,
            },
            "ms": (250.0, 250.0),
        },
        {
            "name": "POST /v1/match",
            "kind": "SERVER",
            "trace": "1dfc70ec81af3e759afde9a66026c855",
            "id": "server",
            "parent": None,
            "status": "ERROR",
            "links": [],
            "attributes": {**HTTP, "http.response.status_code": 503, "error.type": "503"},
        },
    ]
    assert changes(before, service.points()) == {
        "mgeo.requests": {"error.type=queue_full,status=overloaded": 1},
        "mgeo.inference.duration": {"status=overloaded": (1, 0.0)},
        "mgeo.inference.stage.duration": {"stage=read": (1, 0.0), "stage=clean": (1, 0.0)},
        "mgeo.log.records": {"severity=WARNING": 1},
        "http.server.request.duration": {
            "error.type=503,http.request.method=POST,http.response.status_code=503,http.route=/v1/match,network.protocol.version=1.1,url.scheme=http": 1
        },
    }
    await service.written(inferences=1, lines=3)
    line = {
        **NULLS,
        "timestamp": "2026-02-02T02:40:00.250000Z",
        "level": "WARNING",
        "event": "mgeo.inference",
        "service": "mgeo",
        "instance": "instance",
        "request_id": "overloaded",
        "trace_id": "1dfc70ec81af3e759afde9a66026c855",
        "span_id": "inference",
        "function": "match",
        "status": "overloaded",
        "latency_ms": 0.0,
        "error_type": "queue_full",
        "error_message": "the inference queue is full",
        "address1_length": 11,
        "address2_length": 6,
        "address1_hash": "c93795d592e8b2def534eca69951bb6f",
        "address2_hash": "2ce0bd54d7c586cc812e8955d2708fa1",
        "truncated": False,
    }
    await ended_as(service, readable, line)
    assert await story_of(service, readable, "overloaded") == {
        "request_id": "overloaded",
        "trace_id": "1dfc70ec81af3e759afde9a66026c855",
        "span_id": "inference",
        "function": "match",
        "service_instance": "instance",
        "started": "2026-02-02T02:40:00.250000Z",
        "latency_ms": 0.0,
        "outcome": {
            "status": "overloaded",
            "error_type": "queue_full",
            "in_words": "Refused for now: the inference queue was full.",
            "advice": "Retry after the time in Retry-After; if it lasts, add capacity or send less.",
            "counts_against_service": True,
            "exception": None,
        },
        "answer": None,
        "truncated": False,
        "output_length": None,
        "model": None,
        "addresses": {
            "address1": {"length": 11, "hash": "c93795d592e8b2def534eca69951bb6f"},
            "address2": {"length": 6, "hash": "2ce0bd54d7c586cc812e8955d2708fa1"},
        },
        "text": {"captured": False},
        "timeline_ms": 0.0,
        "timeline": ["mgeo.inference 0 + 0", "  read 0 + 0", "  clean 0 + 0"],
        "batch": None,
        "moment": {
            "minute": "2026-02-02T02:40:00.000000Z",
            "inferences": 1,
            "failed": 1,
            "p95_ms": None,
            "queue_depth": 1,
            "alerts": [],
            "points": [],
        },
        "gpu": [],
        "logs": [line],
        "links": {
            "self": "/v1/requests/overloaded",
            "call": "/v1/requests/overloaded",
            "same_minute": "/v1/requests?since=2026-02-02T02%3A40%3A00.000000Z&until=2026-02-02T02%3A41%3A00.000000Z",
        },
    }
    assert old_names(service.spans(), service.points()) == []
    gate.opened.set()
    assert [(await task).status_code for task in (running, waiting)] == [200, 200]


async def test_timeout(start, gate):
    """A request past its deadline: WARNING, span status error; it still links to the batch it was in, which ends later and well."""
    gate.seconds = 0.5
    service = await start(model=FakeModel(wait=gate))
    before = service.points()
    response = await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "timeout", "X-Request-Timeout": "0.5"})
    assert response.status_code == 504
    gate.opened.set()
    await until(lambda: len(service.spans()) == 3 and service.rows("batch") == 1)
    readable = readable_of(service)
    assert [readable.span(span) for span in service.spans()] == [
        {
            "name": "mgeo.inference",
            "kind": "INTERNAL",
            "trace": "5e1028b4facd4ebf49e8bdb92e9c2983",
            "id": "inference",
            "parent": "server",
            "status": "ERROR: no answer within the deadline",
            "links": ["trace of batch-1 / span of batch-1"],
            "attributes": {
                "mgeo.request.id": "timeout",
                "code.function.name": "match",
                "mgeo.status": "timeout",
                "error.type": "deadline_exceeded",
                "mgeo.address1.length": 11,
                "mgeo.address1.hash": "c93795d592e8b2def534eca69951bb6f",
                "mgeo.address2.length": 6,
                "mgeo.address2.hash": "2ce0bd54d7c586cc812e8955d2708fa1",
                "mgeo.truncated": False,
                "mgeo.queue.depth": 0,
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "mgeo.stage.read.offset": 0.0,
                "mgeo.stage.read.duration": 0.0,
                "mgeo.stage.clean.offset": 0.0,
                "mgeo.stage.clean.duration": 0.0,
                "mgeo.stage.queue.offset": 0.0,
                "mgeo.stage.queue.duration": 0.0,
            },
            "ms": (0.0, 500.0),
        },
        {
            "name": "POST /v1/match",
            "kind": "SERVER",
            "trace": "5e1028b4facd4ebf49e8bdb92e9c2983",
            "id": "server",
            "parent": None,
            "status": "ERROR",
            "links": [],
            "attributes": {**HTTP, "http.response.status_code": 504, "error.type": "504"},
        },
        {
            "name": "mgeo.batch",
            "kind": "INTERNAL",
            "trace": "trace of batch-1",
            "id": "span of batch-1",
            "parent": None,
            "status": "UNSET",
            "links": ["5e1028b4facd4ebf49e8bdb92e9c2983 / inference"],
            "attributes": {
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "mgeo.stage.tokenize.duration": 0.001,
                "mgeo.stage.inference.duration": 0.002,
            },
            "ms": (0.0, 500.0),
        },
    ]
    assert changes(before, service.points()) == {
        "mgeo.requests": {"error.type=deadline_exceeded,status=timeout": 1},
        "mgeo.inference.duration": {"status=timeout": (1, 0.5)},
        "mgeo.inference.stage.duration": {"stage=read": (1, 0.0), "stage=clean": (1, 0.0), "stage=queue": (1, 0.0)},
        "mgeo.batch.size": {"": (1, 1)},
        "mgeo.queue.wait": {"": (1, 0.0)},
        "mgeo.log.records": {"severity=WARNING": 1},
        "http.server.request.duration": {
            "error.type=504,http.request.method=POST,http.response.status_code=504,http.route=/v1/match,network.protocol.version=1.1,url.scheme=http": 1
        },
    }
    await service.written(inferences=1, lines=3)
    line = {
        **NULLS,
        "timestamp": "2026-02-02T02:40:00.000000Z",
        "level": "WARNING",
        "event": "mgeo.inference",
        "service": "mgeo",
        "instance": "instance",
        "request_id": "timeout",
        "trace_id": "5e1028b4facd4ebf49e8bdb92e9c2983",
        "span_id": "inference",
        "function": "match",
        "status": "timeout",
        "latency_ms": 500.0,
        "error_type": "deadline_exceeded",
        "error_message": "no answer within the deadline",
        "address1_length": 11,
        "address2_length": 6,
        "address1_hash": "c93795d592e8b2def534eca69951bb6f",
        "address2_hash": "2ce0bd54d7c586cc812e8955d2708fa1",
        "truncated": False,
        "batch_id": "batch-1",
        "batch_size": 1,
        "queue_ms": 0.0,
        "model": "fake@1",
    }
    await ended_as(service, readable, line)
    assert await story_of(service, readable, "timeout") == {
        "request_id": "timeout",
        "trace_id": "5e1028b4facd4ebf49e8bdb92e9c2983",
        "span_id": "inference",
        "function": "match",
        "service_instance": "instance",
        "started": "2026-02-02T02:40:00.000000Z",
        "latency_ms": 500.0,
        "outcome": {
            "status": "timeout",
            "error_type": "deadline_exceeded",
            "in_words": "Given up: the deadline passed before there was an answer.",
            "advice": "Retry, perhaps with a longer X-Request-Timeout; the stages show where the time went.",
            "counts_against_service": True,
            "exception": None,
        },
        "answer": None,
        "truncated": False,
        "output_length": None,
        "model": {"name": "fake", "version": "1"},
        "addresses": {
            "address1": {"length": 11, "hash": "c93795d592e8b2def534eca69951bb6f"},
            "address2": {"length": 6, "hash": "2ce0bd54d7c586cc812e8955d2708fa1"},
        },
        "text": {"captured": False},
        "timeline_ms": 500.0,
        "timeline": ["mgeo.inference 0 + 500", "  read 0 + 0", "  clean 0 + 0", "  queue 0 + 0", "mgeo.batch 0 + 500"],
        "batch": {
            "batch_id": "batch-1",
            "started": "2026-02-02T02:40:00.000000Z",
            "duration_ms": 500.0,
            "error_type": None,
            "members": [
                {
                    "request_id": "timeout",
                    "trace_id": "5e1028b4facd4ebf49e8bdb92e9c2983",
                    "started": "2026-02-02T02:40:00.000000Z",
                    "latency_ms": 500.0,
                    "function": "match",
                    "status": "timeout",
                    "error_type": "deadline_exceeded",
                    "label": None,
                    "similarity": None,
                    "link": "/v1/requests/timeout",
                }
            ],
        },
        "moment": {
            "minute": "2026-02-02T02:40:00.000000Z",
            "inferences": 1,
            "failed": 1,
            "p95_ms": None,
            "queue_depth": 0,
            "alerts": [],
            "points": [],
        },
        "gpu": [],
        "logs": [line],
        "links": {
            "self": "/v1/requests/timeout",
            "call": "/v1/requests/timeout",
            "same_minute": "/v1/requests?since=2026-02-02T02%3A40%3A00.000000Z&until=2026-02-02T02%3A41%3A00.000000Z",
        },
    }
    assert old_names(service.spans(), service.points()) == []


async def test_cancelled(start, gate):
    """A caller that hangs up while the model runs: INFO, span status unset, HTTP 499 that nobody receives."""
    service = await start(model=FakeModel(wait=gate))
    before = service.points()
    body = [{"type": "http.request", "body": json.dumps(PAIR).encode()}]
    caller = Caller(service.app, "/v1/match", body, headers=((b"x-request-id", b"cancelled"), (b"host", b"mgeo.test")))
    await until(gate.entered.is_set)
    caller.hang_up.set()
    await caller.task
    assert caller.status == 499
    gate.opened.set()
    await until(lambda: len(service.spans()) == 3 and service.rows("batch") == 1)
    readable = readable_of(service)
    assert [readable.span(span) for span in service.spans()] == [
        {
            "name": "mgeo.inference",
            "kind": "INTERNAL",
            "trace": "2b7ba30e526d28ce2b6e1d40ea7d5d6e",
            "id": "inference",
            "parent": "server",
            "status": "UNSET",
            "links": ["trace of batch-1 / span of batch-1"],
            "attributes": {
                "mgeo.request.id": "cancelled",
                "code.function.name": "match",
                "mgeo.status": "cancelled",
                "error.type": "client_disconnected",
                "mgeo.address1.length": 11,
                "mgeo.address1.hash": "c93795d592e8b2def534eca69951bb6f",
                "mgeo.address2.length": 6,
                "mgeo.address2.hash": "2ce0bd54d7c586cc812e8955d2708fa1",
                "mgeo.truncated": False,
                "mgeo.queue.depth": 0,
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "mgeo.stage.read.offset": 0.0,
                "mgeo.stage.read.duration": 0.0,
                "mgeo.stage.clean.offset": 0.0,
                "mgeo.stage.clean.duration": 0.0,
                "mgeo.stage.queue.offset": 0.0,
                "mgeo.stage.queue.duration": 0.0,
            },
            "ms": (0.0, 250.0),
        },
        {
            "name": "POST /v1/match",
            "kind": "SERVER",
            "trace": "2b7ba30e526d28ce2b6e1d40ea7d5d6e",
            "id": "server",
            "parent": None,
            "status": "UNSET",
            "links": [],
            "attributes": {**BARE_HTTP, "http.response.status_code": 499},
        },
        {
            "name": "mgeo.batch",
            "kind": "INTERNAL",
            "trace": "trace of batch-1",
            "id": "span of batch-1",
            "parent": None,
            "status": "UNSET",
            "links": ["2b7ba30e526d28ce2b6e1d40ea7d5d6e / inference"],
            "attributes": {
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "mgeo.stage.tokenize.duration": 0.001,
                "mgeo.stage.inference.duration": 0.002,
            },
            "ms": (0.0, 250.0),
        },
    ]
    assert changes(before, service.points()) == {
        "mgeo.requests": {"error.type=client_disconnected,status=cancelled": 1},
        "mgeo.inference.duration": {"status=cancelled": (1, 0.25)},
        "mgeo.inference.stage.duration": {"stage=read": (1, 0.0), "stage=clean": (1, 0.0), "stage=queue": (1, 0.0)},
        "mgeo.batch.size": {"": (1, 1)},
        "mgeo.queue.wait": {"": (1, 0.0)},
        "mgeo.log.records": {"severity=INFO": 1},
        "http.server.request.duration": {
            "http.request.method=POST,http.response.status_code=499,http.route=/v1/match,network.protocol.version=1.1,url.scheme=http": 1
        },
    }
    await service.written(inferences=1, lines=3)
    line = {
        **NULLS,
        "timestamp": "2026-02-02T02:40:00.000000Z",
        "level": "INFO",
        "event": "mgeo.inference",
        "service": "mgeo",
        "instance": "instance",
        "request_id": "cancelled",
        "trace_id": "2b7ba30e526d28ce2b6e1d40ea7d5d6e",
        "span_id": "inference",
        "function": "match",
        "status": "cancelled",
        "latency_ms": 250.0,
        "error_type": "client_disconnected",
        "error_message": "the client closed the connection",
        "address1_length": 11,
        "address2_length": 6,
        "address1_hash": "c93795d592e8b2def534eca69951bb6f",
        "address2_hash": "2ce0bd54d7c586cc812e8955d2708fa1",
        "truncated": False,
        "batch_id": "batch-1",
        "batch_size": 1,
        "queue_ms": 0.0,
        "model": "fake@1",
    }
    await ended_as(service, readable, line)
    assert await story_of(service, readable, "cancelled") == {
        "request_id": "cancelled",
        "trace_id": "2b7ba30e526d28ce2b6e1d40ea7d5d6e",
        "span_id": "inference",
        "function": "match",
        "service_instance": "instance",
        "started": "2026-02-02T02:40:00.000000Z",
        "latency_ms": 250.0,
        "outcome": {
            "status": "cancelled",
            "error_type": "client_disconnected",
            "in_words": "Given up: the caller closed the connection before the answer.",
            "advice": "If callers give up early, raise their timeout or look for slow stages.",
            "counts_against_service": False,
            "exception": None,
        },
        "answer": None,
        "truncated": False,
        "output_length": None,
        "model": {"name": "fake", "version": "1"},
        "addresses": {
            "address1": {"length": 11, "hash": "c93795d592e8b2def534eca69951bb6f"},
            "address2": {"length": 6, "hash": "2ce0bd54d7c586cc812e8955d2708fa1"},
        },
        "text": {"captured": False},
        "timeline_ms": 250.0,
        "timeline": ["mgeo.inference 0 + 250", "  read 0 + 0", "  clean 0 + 0", "  queue 0 + 0", "mgeo.batch 0 + 250"],
        "batch": {
            "batch_id": "batch-1",
            "started": "2026-02-02T02:40:00.000000Z",
            "duration_ms": 250.0,
            "error_type": None,
            "members": [
                {
                    "request_id": "cancelled",
                    "trace_id": "2b7ba30e526d28ce2b6e1d40ea7d5d6e",
                    "started": "2026-02-02T02:40:00.000000Z",
                    "latency_ms": 250.0,
                    "function": "match",
                    "status": "cancelled",
                    "error_type": "client_disconnected",
                    "label": None,
                    "similarity": None,
                    "link": "/v1/requests/cancelled",
                }
            ],
        },
        "moment": {
            "minute": "2026-02-02T02:40:00.000000Z",
            "inferences": 1,
            "failed": 0,
            "p95_ms": None,
            "queue_depth": 0,
            "alerts": [],
            "points": [],
        },
        "gpu": [],
        "logs": [line],
        "links": {
            "self": "/v1/requests/cancelled",
            "call": "/v1/requests/cancelled",
            "same_minute": "/v1/requests?since=2026-02-02T02%3A40%3A00.000000Z&until=2026-02-02T02%3A41%3A00.000000Z",
        },
    }
    assert old_names(service.spans(), service.points()) == []


async def test_error(start, gate):
    """A model that raises: ERROR, span status error on inference and batch, the exception by type and frames alone."""
    gate.opened.set()
    service = await start(model=FakeModel(wait=gate, error=RuntimeError(PAIR["address1"])))
    before = service.points()
    response = await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "error"})
    assert response.status_code == 500
    readable = readable_of(service)
    assert [readable.span(span) for span in service.spans()] == [
        {
            "name": "mgeo.batch",
            "kind": "INTERNAL",
            "trace": "trace of batch-1",
            "id": "span of batch-1",
            "parent": None,
            "status": "ERROR: the model raised an exception",
            "links": ["2059d323ba606c41ed89a2f7aa531ca0 / inference"],
            "attributes": {
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "error.type": "model_failed",
                "exception.type": "RuntimeError",
                "exception.stacktrace": "service/batching.py run\nservice/scoring.py score\nservice/model/fake.py predict",
            },
            "ms": (0.0, 250.0),
        },
        {
            "name": "mgeo.inference",
            "kind": "INTERNAL",
            "trace": "2059d323ba606c41ed89a2f7aa531ca0",
            "id": "inference",
            "parent": "server",
            "status": "ERROR: the model raised an exception",
            "links": ["trace of batch-1 / span of batch-1"],
            "attributes": {
                "mgeo.request.id": "error",
                "code.function.name": "match",
                "mgeo.status": "error",
                "error.type": "model_failed",
                "exception.type": "RuntimeError",
                "exception.stacktrace": "service/batching.py run\nservice/scoring.py score\nservice/model/fake.py predict",
                "mgeo.address1.length": 11,
                "mgeo.address1.hash": "c93795d592e8b2def534eca69951bb6f",
                "mgeo.address2.length": 6,
                "mgeo.address2.hash": "2ce0bd54d7c586cc812e8955d2708fa1",
                "mgeo.truncated": False,
                "mgeo.queue.depth": 0,
                "mgeo.batch.id": "batch-1",
                "mgeo.batch.size": 1,
                "mgeo.model.name": "fake",
                "mgeo.model.version": "1",
                "mgeo.stage.read.offset": 0.0,
                "mgeo.stage.read.duration": 0.0,
                "mgeo.stage.clean.offset": 0.0,
                "mgeo.stage.clean.duration": 0.0,
                "mgeo.stage.queue.offset": 0.0,
                "mgeo.stage.queue.duration": 0.0,
            },
            "ms": (0.0, 250.0),
        },
        {
            "name": "POST /v1/match",
            "kind": "SERVER",
            "trace": "2059d323ba606c41ed89a2f7aa531ca0",
            "id": "server",
            "parent": None,
            "status": "ERROR",
            "links": [],
            "attributes": {**HTTP, "http.response.status_code": 500, "error.type": "500"},
        },
    ]
    assert changes(before, service.points()) == {
        "mgeo.requests": {"error.type=model_failed,status=error": 1},
        "mgeo.inference.duration": {"status=error": (1, 0.25)},
        "mgeo.inference.stage.duration": {"stage=read": (1, 0.0), "stage=clean": (1, 0.0), "stage=queue": (1, 0.0)},
        "mgeo.batch.size": {"": (1, 1)},
        "mgeo.queue.wait": {"": (1, 0.0)},
        "mgeo.log.records": {"severity=ERROR": 1},
        "http.server.request.duration": {
            "error.type=500,http.request.method=POST,http.response.status_code=500,http.route=/v1/match,network.protocol.version=1.1,url.scheme=http": 1
        },
    }
    await service.written(inferences=1, lines=3)
    line = {
        **NULLS,
        "timestamp": "2026-02-02T02:40:00.000000Z",
        "level": "ERROR",
        "event": "mgeo.inference",
        "service": "mgeo",
        "instance": "instance",
        "request_id": "error",
        "trace_id": "2059d323ba606c41ed89a2f7aa531ca0",
        "span_id": "inference",
        "function": "match",
        "status": "error",
        "latency_ms": 250.0,
        "error_type": "model_failed",
        "error_message": "the model raised an exception",
        "address1_length": 11,
        "address2_length": 6,
        "address1_hash": "c93795d592e8b2def534eca69951bb6f",
        "address2_hash": "2ce0bd54d7c586cc812e8955d2708fa1",
        "truncated": False,
        "batch_id": "batch-1",
        "batch_size": 1,
        "queue_ms": 0.0,
        "model": "fake@1",
    }
    await ended_as(service, readable, line)
    assert await story_of(service, readable, "error") == {
        "request_id": "error",
        "trace_id": "2059d323ba606c41ed89a2f7aa531ca0",
        "span_id": "inference",
        "function": "match",
        "service_instance": "instance",
        "started": "2026-02-02T02:40:00.000000Z",
        "latency_ms": 250.0,
        "outcome": {
            "status": "error",
            "error_type": "model_failed",
            "in_words": "Failed: the model raised an exception.",
            "advice": "Retry once; the exception's type and frames say where it failed.",
            "counts_against_service": True,
            "exception": {
                "type": "RuntimeError",
                "frames": ["service/batching.py run", "service/scoring.py score", "service/model/fake.py predict"],
            },
        },
        "answer": None,
        "truncated": False,
        "output_length": None,
        "model": {"name": "fake", "version": "1"},
        "addresses": {
            "address1": {"length": 11, "hash": "c93795d592e8b2def534eca69951bb6f"},
            "address2": {"length": 6, "hash": "2ce0bd54d7c586cc812e8955d2708fa1"},
        },
        "text": {"captured": False},
        "timeline_ms": 250.0,
        "timeline": ["mgeo.inference 0 + 250", "  read 0 + 0", "  clean 0 + 0", "  queue 0 + 0", "mgeo.batch 0 + 250"],
        "batch": {
            "batch_id": "batch-1",
            "started": "2026-02-02T02:40:00.000000Z",
            "duration_ms": 250.0,
            "error_type": "model_failed",
            "members": [
                {
                    "request_id": "error",
                    "trace_id": "2059d323ba606c41ed89a2f7aa531ca0",
                    "started": "2026-02-02T02:40:00.000000Z",
                    "latency_ms": 250.0,
                    "function": "match",
                    "status": "error",
                    "error_type": "model_failed",
                    "label": None,
                    "similarity": None,
                    "link": "/v1/requests/error",
                }
            ],
        },
        "moment": {
            "minute": "2026-02-02T02:40:00.000000Z",
            "inferences": 1,
            "failed": 1,
            "p95_ms": None,
            "queue_depth": 0,
            "alerts": [],
            "points": [],
        },
        "gpu": [],
        "logs": [line],
        "links": {
            "self": "/v1/requests/error",
            "call": "/v1/requests/error",
            "same_minute": "/v1/requests?since=2026-02-02T02%3A40%3A00.000000Z&until=2026-02-02T02%3A41%3A00.000000Z",
        },
    }
    assert old_names(service.spans(), service.points()) == []
