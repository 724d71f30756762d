"""Answers as a real Jaeger 2.13, Loki 3.7 and Prometheus 3.15 gave them, shortened, and a transport that gives them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from service.requeststore.backend import Backend
from service.requeststore.jaeger import JaegerTraces
from service.requeststore.loki import LokiLogs
from service.requeststore.prometheus import PrometheusMetrics
from service.requeststore.stack_story import Backends
from service.telemetry.ids import batch_span_id_of, trace_id_of

STARTED = 1_795_603_388_173_261_103
NOW = STARTED + 60_000_000_000
TRACE = trace_id_of("r-1")
BATCH_TRACE = trace_id_of("b-1")


def attribute(key: str, kind: str, value: object) -> dict[str, Any]:
    return {"key": key, "value": {kind: value}}


RESOURCE = {
    "attributes": [
        attribute("mgeo.instance.name", "stringValue", "host/test/one"),
        attribute("service.instance.id", "stringValue", "one"),
        attribute("service.name", "stringValue", "mgeo"),
    ]
}


def trace_of(*spans: dict[str, Any], resource: dict[str, Any] = RESOURCE) -> dict[str, Any]:
    return {"result": {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "mgeo"}, "spans": list(spans)}]}]}}


SERVER = {
    "traceId": TRACE,
    "spanId": "b7ad6b7169203331",
    "name": "POST /v1/match",
    "kind": 2,
    "startTimeUnixNano": "1795603388172261103",
    "endTimeUnixNano": "1795603388186761103",
    "attributes": [attribute("http.route", "stringValue", "/v1/match")],
    "status": {},
}
INFERENCE = {
    "traceId": TRACE,
    "spanId": "00000000000000a1",
    "parentSpanId": "b7ad6b7169203331",
    "name": "mgeo.inference",
    "kind": 1,
    "startTimeUnixNano": "1795603388173261103",
    "endTimeUnixNano": "1795603388185761103",
    "attributes": [
        attribute("code.function.name", "stringValue", "match"),
        attribute("mgeo.address1.length", "intValue", "17"),
        attribute("mgeo.batch.id", "stringValue", "b-1"),
        attribute("mgeo.batch.size", "intValue", "2"),
        attribute("mgeo.gpu.id", "stringValue", '["GPU-1"]'),
        attribute("mgeo.gpu.memory.limit", "stringValue", "[-1]"),
        attribute("mgeo.gpu.memory.usage", "stringValue", "[5]"),
        attribute("mgeo.gpu.sample.age", "doubleValue", 0.125),
        attribute("mgeo.gpu.utilization", "stringValue", "[0.25]"),
        attribute("mgeo.label", "stringValue", "exact_match"),
        attribute("mgeo.probability.exact_match", "doubleValue", 0.875),
        attribute("mgeo.probability.not_match", "doubleValue", 0),
        attribute("mgeo.probability.partial_match", "doubleValue", 0.125),
        attribute("mgeo.request.id", "stringValue", "r-1"),
        attribute("mgeo.similarity", "doubleValue", 0.9375),
        attribute("mgeo.stage.queue.duration", "doubleValue", 0.0012344),
        attribute("mgeo.stage.queue.offset", "doubleValue", 0),
        attribute("mgeo.status", "stringValue", "success"),
        attribute("mgeo.truncated", "boolValue", False),
    ],
    "links": [
        {
            "traceId": BATCH_TRACE,
            "spanId": batch_span_id_of("b-1"),
            "attributes": [attribute("opentracing.ref_type", "stringValue", "follows_from")],
        }
    ],
    "status": {},
}
BATCH = {
    "traceId": BATCH_TRACE,
    "spanId": batch_span_id_of("b-1"),
    "name": "mgeo.batch",
    "kind": 1,
    "startTimeUnixNano": "1795603388175261103",
    "endTimeUnixNano": "1795603388184761103",
    "attributes": [attribute("mgeo.batch.id", "stringValue", "b-1"), attribute("mgeo.batch.size", "intValue", "2")],
    "links": [
        {"traceId": TRACE, "spanId": "00000000000000a1"},
        {"traceId": trace_id_of("r-2"), "spanId": "00000000000000b1"},
    ],
    "status": {},
}
NO_TRACE = {"error": {"httpCode": 404, "message": "No traces found"}}
FOUND_NOTHING: dict[str, Any] = {"data": [], "total": 0, "limit": 0, "offset": 0, "errors": None}

STREAM = {"service_name": "mgeo"}
METADATA_1 = {
    "address1_length": "17",
    "batch_id": "b-1",
    "batch_size": "2",
    "detected_level": "info",
    "flags": "1",
    "function": "match",
    "label": "exact_match",
    "latency_ms": "12.5",
    "model": "mgeo-embedded@1.0",
    "observed_timestamp": "1795603388173261103",
    "queue_ms": "1.234",
    "request_id": "r-1",
    "scope_name": "mgeo",
    "service_instance_id": "one",
    "severity_number": "9",
    "severity_text": "INFO",
    "similarity": "0.9375",
    "span_id": "00000000000000a1",
    "status": "success",
    "trace_id": TRACE,
    "truncated": "false",
}
METADATA_2 = {
    "batch_id": "b-1",
    "error_message": "the model raised an exception",
    "error_type": "model_failed",
    "function": "match",
    "latency_ms": "1.5",
    "request_id": "r-2",
    "service_instance_id": "one",
    "severity_text": "ERROR",
    "span_id": "00000000000000b1",
    "status": "error",
    "trace_id": trace_id_of("r-2"),
}


def streams_of(*metadata: dict[str, str], unix_ns: int = STARTED) -> dict[str, Any]:
    return {
        "status": "success",
        "data": {
            "resultType": "streams",
            "encodingFlags": ["categorize-labels"],
            "result": [{"stream": STREAM, "values": [[str(unix_ns), "mgeo.inference", {"structuredMetadata": each}] for each in metadata]}]
            if metadata
            else [],
            "stats": {},
        },
    }


def vector_of(*samples: tuple[dict[str, str], str]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [1795603440, value]} for labels, value in samples]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def within_its_time(*metadata: dict[str, str]) -> Callable[[httpx.Request], httpx.Response]:
    """A Loki that has these records, whatever else is asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        inside = int(request.url.params["start"]) <= STARTED < int(request.url.params["end"])
        return json_of(streams_of(*metadata) if inside else streams_of())

    return answer


SERIES = {"instance": "one", "job": "mgeo", "mgeo_instance_name": "host/test/one", "service_name": "mgeo"}
ALERTS = vector_of(({"__name__": "ALERTS_FOR_STATE", "alertname": "QueueDeep", **SERIES, "severity": "warning"}, "1795603380"))
GAUGES = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"__name__": "mgeo_queue_depth", **SERIES},
                "values": [[1795603376.186, "2"], [1795603386.186, "7"], [1795603396.186, "1"]],
            },
            {"metric": {"__name__": "hw_gpu_utilization", "hw_id": "GPU-1", **SERIES}, "values": [[1795603390, "0.5"]]},
            {"metric": {"__name__": "mgeo_queue_depth", **SERIES, "instance": "two"}, "values": [[1795603388.173, "99"]]},
        ],
    },
}
P95 = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"instance": "one", "service_name": "mgeo"},
                "values": [[1795603388.173, "NaN"], [1795603398.173, "0.024"], [1795603408.173, "0.03"]],
            }
        ],
    },
}


class RecordedStack:
    """Answers as the stack did when it had one request `r-1`, in one batch with `r-2`.

    `broken` says, by the name of a store, what it does instead: an answer, or an exception to raise.
    """

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.broken: dict[str, Callable[[httpx.Request], httpx.Response]] = {}
        self.traces: dict[str, Any] = {TRACE: trace_of(SERVER, INFERENCE), BATCH_TRACE: trace_of(BATCH)}
        self.found: Any = FOUND_NOTHING

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.host in self.broken:
            return self.broken[request.url.host](request)
        return {"jaeger": self._jaeger, "loki": self._loki, "prometheus": self._prometheus}[request.url.host](request)

    def paths(self, host: str) -> list[str]:
        """What was asked of one store."""
        return [request.url.path for request in self.asked if request.url.host == host]

    def backends(self, *, timeout: float = 5.0, without: tuple[str, ...] = ()) -> Backends:
        """The three stores over this transport."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))

        def backend(name: str) -> Backend:
            return Backend(client, name=name, url=f"http://{name.lower()}/", timeout=timeout)

        return Backends(
            jaeger=None if "jaeger" in without else JaegerTraces(backend("Jaeger"), service="mgeo"),
            loki=None if "loki" in without else LokiLogs(backend("Loki"), service="mgeo"),
            prometheus=None if "prometheus" in without else PrometheusMetrics(backend("Prometheus"), service="mgeo"),
            log_retention=3 * 86_400,
            trace_retention=86_400,
        )

    def _jaeger(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/traces":
            return json_of(self.found)
        trace_id = request.url.path.rpartition("/")[2]
        return json_of(self.traces[trace_id]) if trace_id in self.traces else json_of(NO_TRACE, status=404)

    def _loki(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params["query"]
        if "count_over_time" in query:
            return json_of(vector_of(({"status": "success"}, "3"), ({"status": "error"}, "2"), ({"status": "invalid"}, "1")))
        if "quantile_over_time" in query:
            return json_of(vector_of(({}, "12.5")))
        inside = int(request.url.params["start"]) <= STARTED < int(request.url.params["end"])
        if not inside:
            return json_of(streams_of())
        if "batch_id=" in query:
            return json_of(streams_of(METADATA_1, METADATA_2))
        return json_of(streams_of(METADATA_1) if 'request_id="r-1"' in query else streams_of())

    def _prometheus(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("query_range"):
            return json_of(P95)
        return json_of(ALERTS if "ALERTS" in request.url.params["query"] else GAUGES)


def json_of(body: Any, *, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body).encode(), headers={"content-type": "application/json"})
