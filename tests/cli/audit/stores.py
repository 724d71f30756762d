"""Small HTTP servers that answer as Loki 3.7, Jaeger 2.13 and Prometheus 3.15 did: the same paths, limits and JSON."""

from __future__ import annotations

import json
import re
from datetime import datetime
from urllib.parse import parse_qsl

INSTANCE = "95fa86c9-132d-5642-a4a8-16d687f3a533"


class Server:
    """An ASGI app; `answer` gives status and body by path and parameters. `asked` has the parameters of every request."""

    def __init__(self):
        self.asked = []

    async def __call__(self, scope, receive, send):
        await receive()
        params = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        self.asked.append(params)
        status, body = self.answer(scope["path"], params)
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", str(len(content)).encode())]})
        await send({"type": "http.response.body", "body": content})


class Fixed(Server):
    """Gives its answers one after the other, the last one again and again."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)

    def answer(self, path, params):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Loki(Server):
    """Has lines by timestamp."""

    def __init__(self, entries, *, most=5000):
        super().__init__()
        self.entries = sorted(entries)
        self.most = most

    def answer(self, path, params):
        assert path == "/loki/api/v1/query_range"
        assert params["direction"] == "forward"
        limit = int(params["limit"])
        if limit > self.most:
            return 400, f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {self.most})"
        found = [(at, line) for at, line in self.entries if int(params["start"]) <= at < int(params["end"])][:limit]
        values = [[str(at), line] for at, line in found]
        streams = [{"stream": {"service_name": "mgeo"}, "values": values}] if values else []
        return 200, {"status": "success", "data": {"resultType": "streams", "result": streams, "stats": {}}}


class Jaeger(Server):
    """Has spans (trace id, span id, start, status) in an index of whole microseconds; gives the newest traces first."""

    def __init__(self, spans):
        super().__init__()
        self.spans = spans

    def answer(self, path, params):
        assert path == "/api/v3/traces"
        assert (params["query.service_name"], params["query.operation_name"]) == ("mgeo", "mgeo.inference")
        low, high = _microseconds(params["query.start_time_min"]), _microseconds(params["query.start_time_max"])
        if low > high:
            return 500, {"error": {"httpCode": 500, "message": "min start time is above max"}}
        newest = sorted((span for span in self.spans if low <= span[2] // 1000 <= high), key=lambda span: -span[2])
        traces = list(dict.fromkeys(trace for trace, *_ in newest))[: int(params["query.num_traces"])]
        if not traces:
            return 404, {"error": {"httpCode": 404, "message": "No traces found"}}
        return 200, {"result": {"resourceSpans": [_resource(trace, self.spans) for trace in traces]}}


def _microseconds(text):
    return int(datetime.fromisoformat(f"{text[:26]}Z").timestamp() * 1_000_000 + 0.5)


def _resource(trace, spans):
    inferences = [
        {
            "traceId": trace,
            "spanId": span,
            "parentSpanId": "2fa85e57706e18e7",
            "name": "mgeo.inference",
            "kind": 1,
            "startTimeUnixNano": str(started),
            "endTimeUnixNano": str(started + 2_000_000),
            "attributes": [
                {"key": "code.function.name", "value": {"stringValue": "match"}},
                {"key": "mgeo.queue.depth", "value": {"intValue": "0"}},
                {"key": "mgeo.request.id", "value": {"stringValue": f"request-{span}"}},
                {"key": "mgeo.status", "value": {"stringValue": status}},
            ],
            "status": {},
        }
        for of, span, started, status in spans
        if of == trace
    ]
    return {
        "resource": {"attributes": [{"key": "service.instance.id", "value": {"stringValue": INSTANCE}}]},
        "scopeSpans": [
            {"scope": {"name": "mgeo"}, "spans": inferences},
            {
                "scope": {"name": "opentelemetry.instrumentation.fastapi"},
                "spans": [{"traceId": trace, "spanId": "2f", "name": "POST /v1/match"}],
            },
        ],
    }


class Prometheus(Server):
    """Has samples of the two outcomes `success` and, in two series, `invalid`, by millisecond."""

    def __init__(self, samples, *, others=()):
        super().__init__()
        self.samples = samples
        self.others = dict(others)

    def answer(self, path, params):
        assert path == "/api/v1/query"
        at = round(float(params["time"]) * 1000)
        found = re.fullmatch(r'mgeo_requests_total\{job="mgeo",instance="([^"]*)"\}\[(\d+)ms\]', params["query"])
        if found is None:
            return 200, {"status": "success", "data": {"resultType": "vector", "result": self.others[params["query"]]}}
        assert int(found[2]) > 0
        inside = [ms for ms in sorted(self.samples) if at - int(found[2]) < ms <= at] if found[1] == INSTANCE else []
        result = [
            {
                "metric": {"__name__": "mgeo_requests_total", "instance": INSTANCE, "job": "mgeo", "status": status} | labels,
                "values": [[ms / 1000, str(self.samples[ms][index])] for ms in inside],
            }
            for index, (status, labels) in enumerate(
                [("success", {}), ("invalid", {"error_type": "empty_address"}), ("invalid", {"error_type": "wrong_type"})]
            )
            if inside
        ]
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}}
