"""Under which ids a request leaves its signals: its own, its caller's, repeated ones, and those of a batch call."""

from __future__ import annotations

import hashlib

import pytest
from opentelemetry.trace import SpanKind

from service.model.fake import FakeModel
from service.telemetry import names
from service.telemetry.context import bind_request_id
from tests.telemetry.in_process import until
from tests.telemetry.readable import old_names

PAIR = {"address1": "杭州市文一西路969号", "address2": "杭州文一西路"}
CALLERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS_SPAN = "00f067aa0ba902b7"


def in_hex(span):
    return f"{span.context.trace_id:032x}"


async def test_the_server_span_has_the_hash_of_the_request_id_as_its_trace_id(start):
    """The id is bound outside the OpenTelemetry middleware, or the server span would have a random trace."""
    service = await start()
    await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "shop-42"})
    expected = hashlib.blake2b(b"shop-42", digest_size=16).hexdigest()
    assert in_hex(service.span("POST /v1/match")) == in_hex(service.span("mgeo.inference")) == expected


async def test_an_id_bound_by_who_calls_the_application_does_not_win_over_the_requests_own(start):
    """A task that runs inside another request's context still serves this one."""
    service = await start()
    with bind_request_id("outer"):
        await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "inner"})
    assert in_hex(service.span("POST /v1/match")) == hashlib.blake2b(b"inner", digest_size=16).hexdigest()


@pytest.mark.parametrize("flag", ["01", "00"])
async def test_a_callers_traceparent_is_continued_and_recorded_whatever_its_flag(start, flag):
    """AlwaysOn is not parent-based: also a caller that does not sample can look its request up."""
    service = await start()
    headers = {"X-Request-ID": "traced", "traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-{flag}"}
    response = await service.client.post("/v1/match", json=PAIR, headers=headers)
    server, inference = service.span("POST /v1/match"), service.span("mgeo.inference")
    assert response.json()["trace_id"] == in_hex(server) == in_hex(inference) == CALLERS_TRACE
    assert (f"{server.parent.span_id:016x}", server.parent.is_remote) == (CALLERS_SPAN, True)
    assert inference.parent.span_id == server.context.span_id
    assert server.context.trace_flags.sampled
    assert response.headers["server-timing"].startswith(f'trace;desc="00-{CALLERS_TRACE}-{server.context.span_id:016x}-01", ')
    (link,) = service.span("mgeo.batch").links
    assert f"{link.context.trace_id:032x}" == CALLERS_TRACE
    await service.written(inferences=1, lines=3)
    assert service.log_lines()[-1]["trace_id"] == CALLERS_TRACE
    (attempt,) = (await service.client.get("/v1/requests/traced")).json()["attempts"]
    assert attempt["trace_id"] == CALLERS_TRACE


@pytest.mark.parametrize("broken", ["", "00-0-0-01", f"00-{'0' * 32}-{CALLERS_SPAN}-01", f"ff-{CALLERS_TRACE}-{CALLERS_SPAN}-01"])
async def test_a_traceparent_that_is_none_is_ignored(start, broken):
    """The trace is then the request id's own."""
    service = await start()
    response = await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "r", "traceparent": broken})
    expected = hashlib.blake2b(b"r", digest_size=16).hexdigest()
    assert response.json()["trace_id"] == in_hex(service.span("POST /v1/match")) == expected


async def test_a_repeated_request_id_has_one_trace_and_a_story_of_every_attempt(start, ticking):
    """Three attempts, the second refused: six spans in one trace, three rows under one id, oldest first."""
    service = await start()
    for body in (PAIR, {"address1": "杭州"}, PAIR):
        await service.client.post("/v1/match", json=body, headers={"X-Request-ID": "again"})
        ticking.tick(1.0)
    spans = [span for span in service.spans() if span.name != "mgeo.batch"]
    assert len(spans) == 6
    assert {in_hex(span) for span in spans} == {hashlib.blake2b(b"again", digest_size=16).hexdigest()}
    await service.written(inferences=3, lines=5)
    story = (await service.client.get("/v1/requests/again")).json()
    assert [(attempt["outcome"]["status"], attempt["started"]) for attempt in story["attempts"]] == [
        ("success", "2026-02-02T02:40:00.000000Z"),
        ("invalid", "2026-02-02T02:40:01.000000Z"),
        ("success", "2026-02-02T02:40:02.000000Z"),
    ]
    assert [attempt["span_id"] for attempt in story["attempts"]] == [
        f"{span.context.span_id:016x}" for span in spans if span.name == "mgeo.inference"
    ]


async def test_the_pairs_of_a_batch_call_share_its_trace_and_link_to_their_runs(start):
    """One server span, three inference spans under it, two runs of the model whose links are exactly their members."""
    service = await start(max_batch_size=2, queue_size=8)
    body = {"pairs": [PAIR, {"address1": "上海", "address2": "上海"}, PAIR]}
    response = await service.client.post("/v1/match/batch", json=body, headers={"X-Request-ID": "call"})
    assert response.json()["succeeded"] == 3
    server = service.span("POST /v1/match/batch")
    inferences = [span for span in service.spans() if span.name == "mgeo.inference"]
    batches = [span for span in service.spans() if span.name == "mgeo.batch"]
    assert sorted(span.attributes["mgeo.request.id"] for span in inferences) == ["call:0", "call:1", "call:2"]
    assert {(in_hex(span), span.parent.span_id) for span in inferences} == {
        (hashlib.blake2b(b"call", digest_size=16).hexdigest(), server.context.span_id)
    }
    to_batches = {(span.context.span_id, link.context.span_id) for span in inferences for link in span.links}
    to_members = {(link.context.span_id, span.context.span_id) for span in batches for link in span.links}
    assert to_batches == to_members
    assert len(to_batches) == 3
    assert {span.parent for span in batches} == {None}
    assert len({in_hex(span) for span in [*batches, server]}) == len(batches) + 1


async def test_one_request_has_one_server_span_and_none_for_its_messages(start):
    """Neither the framework's own telemetry nor `http receive` and `http send` double what the instrumentation records."""
    service = await start()
    await service.client.post("/v1/match", json=PAIR)
    assert [span.name for span in service.spans()] == ["mgeo.batch", "mgeo.inference", "POST /v1/match"]
    assert [span.kind for span in service.spans()] == [SpanKind.INTERNAL, SpanKind.INTERNAL, SpanKind.SERVER]


async def test_probes_and_scrapes_leave_no_spans(start):
    """They come every few seconds for ever."""
    service = await start()
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await service.client.get(path)).status_code == 200
    assert service.spans() == []


async def test_a_path_that_is_no_route_and_every_query_stay_off_the_server_span(start):
    """Both are the caller's own text; the span keeps the route, or says `unmatched`."""
    service = await start()
    await service.client.get("/浙江省杭州市/文一西路?q=浙江")
    await service.client.get("/v1/requests?status=success&label=exact_match")
    unknown, search = service.spans()
    assert unknown.name == "GET"
    assert {name: unknown.attributes.get(name) for name in ("http.route", "url.path", "url.query", "url.full")} == {
        "http.route": None, "url.path": "unmatched", "url.query": "hidden", "url.full": None,
    }  # fmt: skip
    assert search.name == "GET /v1/requests"
    assert {name: search.attributes.get(name) for name in ("http.route", "url.path", "url.query", "url.full")} == {
        "http.route": "/v1/requests", "url.path": "/v1/requests", "url.query": "hidden", "url.full": None,
    }  # fmt: skip


async def test_the_unmatched_have_one_series_of_the_http_duration_however_many_paths_they_try(start):
    """A scanner must not make series."""
    service = await start()
    for number in range(20):
        await service.client.get(f"/wp-{number}.php")
    (labels,) = service.points()["http.server.request.duration"]
    assert labels == "http.request.method=GET,http.response.status_code=404,network.protocol.version=1.1,url.scheme=http"


async def test_a_caller_cannot_make_series_by_made_up_methods(start):
    """An unknown method is `_OTHER`."""
    service = await start()
    for method in ("FOO", "BAR", "ADDRESS"):
        await service.client.request(method, "/v1/match")
    (labels,) = service.points()["http.server.request.duration"]
    assert "http.request.method=_OTHER," in labels


async def test_every_metric_of_the_names_table_is_there_from_the_start_and_no_other(start):
    """But for those of what is not there: GPUs, HTTP requests, an audit, drills, stores with clocks, what had to make room."""
    service = await start()
    not_there = ("hw.", "http.", "mgeo.audit.", "mgeo.clock.", "mgeo.drill.", "mgeo.retention.")
    expected = {metric.name for metric in names.METRICS if not metric.name.startswith(not_there)}
    # The disk is looked at, and the calendar, as soon as the server runs, on threads of their own.
    await until(lambda: len(service.points()) == len(expected))
    assert set(service.points()) == expected
    assert old_names([], service.points()) == []


async def test_histograms_carry_the_inference_span_as_exemplar(start):
    """From a point of a dashboard one step leads to the trace behind it."""
    service = await start()
    await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "slow"})
    inference = service.span("mgeo.inference").context
    exemplars = {
        metric.name: {(exemplar.trace_id, exemplar.span_id) for exemplar in point.exemplars}
        for resource in service.reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if point.exemplars and metric.name.startswith("mgeo.")
    }
    assert {name for name, found in exemplars.items() if found == {(inference.trace_id, inference.span_id)}} >= {
        "mgeo.inference.duration", "mgeo.inference.stage.duration", "mgeo.queue.wait",
    }  # fmt: skip


async def test_a_failing_batch_names_its_error_on_each_member(start):
    """One run, two members, one exception: three spans with status error."""
    service = await start(model=FakeModel(error=ValueError("杭州")))
    body = {"pairs": [PAIR, PAIR]}
    response = await service.client.post("/v1/match/batch", json=body)
    assert response.json()["failed"] == 2
    await until(lambda: len(service.spans()) >= 4)
    failed = [span for span in service.spans() if span.status.status_code.name == "ERROR"]
    assert {span.attributes["exception.type"] for span in failed} == {"ValueError"}
    assert {span.status.description for span in failed} == {"the model raised an exception"}


@pytest.mark.parametrize(("variable", "value"), [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_SDK_DISABLED", "true")])
async def test_without_spans_the_line_and_the_row_still_have_the_ids_of_the_request(start, monkeypatch, variable, value):
    """Whoever switches the spans off, or the whole SDK, keeps the log, the store and the story."""
    monkeypatch.setenv(variable, value)
    service = await start()
    response = await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "unsampled"})
    assert response.status_code == 200
    assert service.spans() == []
    await service.written(inferences=1, lines=3)
    expected = hashlib.blake2b(b"unsampled", digest_size=16).hexdigest()
    (attempt,) = (await service.client.get("/v1/requests/unsampled")).json()["attempts"]
    assert service.log_lines()[-1]["trace_id"] == attempt["trace_id"] == response.json()["trace_id"] == expected
    assert attempt["outcome"]["status"] == "success"


@pytest.mark.parametrize(
    ("agent", "kept"),
    [
        ("curl/8.5.0", "curl/8.5.0"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "Mozilla/5.0"),
        ("Go-http-client/1.1 文三路", "Go-http-client/1.1"),
        ("浙江省杭州市", "hidden"),
        ("%E6%9D%AD%E5%B7%9E", "hidden"),
    ],
)
async def test_of_the_agent_the_product_is_kept(start, agent, kept):
    """Enough to see which client misbehaves; the rest is the caller's own text."""
    service = await start()
    await service.client.post("/v1/match", json=PAIR, headers={"User-Agent": agent.encode()})
    assert service.span("POST /v1/match").attributes["user_agent.original"] == kept
