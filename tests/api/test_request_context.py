"""The outermost layer: request ids, trace ids, and the headers of every answer."""

from __future__ import annotations

import re

import pytest
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import JSONResponse

from service.api.middleware import RequestContextMiddleware, server_timing
from service.telemetry.context import current_request_id
from service.telemetry.event import Clock, Stage, StageTiming
from service.telemetry.sdk.id_generator import RequestIdGenerator
from tests.api.composition import Caller

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PAIR = {"address1": "杭州", "address2": "杭州"}


@pytest.mark.parametrize("given", ["a", "shop.42_7~x-Y", "x" * 128, "0197a2f4-6c1e-7b7e-9d53-0c5f0c7f5a11"])
async def test_a_good_request_id_is_kept(client, given):
    """It comes back as it was, on any path."""
    response = await client.get("/livez", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == given
    assert "x-request-id-replaced" not in response.headers


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a:1", b"a b", b"a/b", b"<b>", b"a\tb", "杭州".encode(), b"\xff\xfe", b"a,a"])
async def test_a_bad_request_id_is_replaced_and_the_answer_says_so(client, given):
    """By a UUID of version 7; whatever the bytes are."""
    response = await client.get("/livez", headers={"X-Request-ID": given})
    assert response.status_code == 200
    assert UUID7.fullmatch(response.headers["x-request-id"])
    assert response.headers["x-request-id-replaced"] == "1"


async def test_without_a_request_id_one_is_made_and_nothing_was_replaced(client):
    """No caller is told off for what it did not send."""
    first, second = [await client.get("/livez") for _ in range(2)]
    assert UUID7.fullmatch(first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert "x-request-id-replaced" not in first.headers


async def test_a_request_id_given_twice_counts_when_both_are_equal(client):
    """Some proxies double a header."""
    response = await client.get("/livez", headers=[("X-Request-ID", "a"), ("X-Request-ID", "a")])
    assert (response.headers["x-request-id"], "x-request-id-replaced" in response.headers) == ("a", False)


async def test_two_different_request_ids_are_both_replaced(client):
    """Choosing one would hide the other."""
    response = await client.get("/livez", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])
    assert UUID7.fullmatch(response.headers["x-request-id"])
    assert response.headers["x-request-id-replaced"] == "1"


@pytest.mark.parametrize("flags", ["00", "01", "03"])
async def test_a_callers_trace_is_taken_whatever_its_flags(client, flags):
    """The trace id of the answer is the caller's, not one made from the request id."""
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-{flags}"}
    response = await client.get("/nowhere", headers=headers)
    assert response.json()["trace_id"] == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        b"\xff\xfe",
    ],
)
async def test_a_trace_that_is_not_valid_is_ignored(client, traceparent):
    """Then the trace id follows from the request id."""
    response = await client.get("/nowhere", headers={"traceparent": traceparent, "X-Request-ID": "lost"})
    assert response.json()["trace_id"] == "ebaf9bec7c1ce3accc5313d0735e3556"


async def test_the_request_id_is_bound_while_the_request_runs_and_not_after(start):
    """What makes span ids, and the decorator, find it without being told."""
    seen = []

    async def endpoint() -> JSONResponse:
        seen.append(current_request_id())
        return JSONResponse({})

    service = await start(routes=lambda app: app.add_api_route("/seen", endpoint))
    await service.client.get("/seen", headers={"X-Request-ID": "bound"})
    assert (seen, current_request_id()) == (["bound"], None)


async def test_the_arrival_is_read_from_both_clocks(start):
    """An inference begins when its request arrives, not when its body has been read."""
    service = await start(clock=Clock(unix_ns=lambda: 1_700_000_000_000_000_000))
    await service.client.post("/v1/match", json=PAIR)
    (event,) = service.recorder.events
    assert event.started_unix_ns == 1_700_000_000_000_000_000


async def test_what_is_not_http_passes_untouched():
    """Lifespan messages reach the application as they are."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await RequestContextMiddleware(app, clock=Clock())({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]


def test_server_timing_names_the_trace_as_traceparent_does():
    """And the stages behind it, in milliseconds."""
    span = trace.SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=trace.TraceFlags(3))
    stages = [StageTiming(stage=Stage.QUEUE, offset=0.0, duration=0.0012), StageTiming(stage=Stage.INFERENCE, offset=0.1, duration=0.25)]
    assert server_timing(span, stages) == (
        'trace;desc="00-00000000000000000000000000000abc-0000000000000def-03", queue;dur=1.200, inference;dur=250.000'
    )
    assert server_timing(trace.INVALID_SPAN_CONTEXT, []) == ""


async def test_the_server_span_and_the_headers_agree(start, monkeypatch):
    """The trace id follows from the request id because it is bound outside the instrumentation, and the answer names that span."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=RequestIdGenerator())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    service = await start(
        instrument=lambda app: FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, exclude_spans=["receive", "send"]),
    )
    response = await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "lost"})
    foreign = await service.client.post("/v1/match", json=PAIR, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    spans = exporter.get_finished_spans()
    assert [f"{span.context.trace_id:032x}" for span in spans] == ["ebaf9bec7c1ce3accc5313d0735e3556", TRACE]
    for span, answer in zip(spans, (response, foreign), strict=True):
        flags = f"{span.context.trace_flags:02x}"
        assert answer.json()["trace_id"] == f"{span.context.trace_id:032x}"
        assert answer.headers["server-timing"].startswith(
            f'trace;desc="00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{flags}", read;dur='
        )
    FastAPIInstrumentor.uninstrument_app(service.fastapi)


async def test_a_propagator_of_another_kind_is_honoured(monkeypatch):
    """`OTEL_PROPAGATORS` decides what counts as a trace; the headers to look for are the propagator's."""

    class Upper(propagate.textmap.TextMapPropagator):
        fields = frozenset({"x-my-trace"})

        def extract(self, carrier, context=None, getter=None):
            assert "host" in getter.keys(carrier)
            (value,) = getter.get(carrier, "X-My-Trace")
            span = trace.SpanContext(trace_id=int(value, 16), span_id=1, is_remote=True)
            return trace.set_span_in_context(trace.NonRecordingSpan(span))

        def inject(self, carrier, context=None, setter=None):
            raise AssertionError

    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", Upper())
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["state"]["request_context"].trace_id)

    caller = Caller(RequestContextMiddleware(app, clock=Clock()), "/", [], headers=((b"host", b"x"), (b"x-my-trace", TRACE.encode())))
    await caller.task
    assert seen == [TRACE]
