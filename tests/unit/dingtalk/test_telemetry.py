"""What takes the traces to an endpoint."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dingtalk.clock import Clock
from dingtalk.errors import ConfigError
from dingtalk.telemetry import telemetry
from dingtalk.traces import OtelTraces
from tests.deadline import until

NAMES = {"instance_id": "0197", "instance_name": "box/notifier/0"}


@contextmanager
def endpoint():
    """An OTLP endpoint over HTTP, and the payloads it got."""
    payloads = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            payloads.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", payloads
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4317"},
    ],
)
def test_without_an_endpoint_for_traces_there_are_none(environ):
    """Nor where the standard variables switch them off."""
    assert telemetry(environ, **NAMES) is None


def test_spans_reach_the_endpoint_with_the_names_of_the_process(monkeypatch):
    """Over HTTP, where the protocol says so; what still waits is sent at the end."""
    with endpoint() as (url, payloads):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        traced = telemetry(environ, **NAMES)
        with OtelTraces(traced.tracer_provider, clock=Clock()).receiving("", "main") as receiving:
            receiving.answered(200)
        assert traced.close()
        until(lambda: payloads)
        (path, body), *_ = payloads
        assert path == "/v1/traces"
        (spans,) = ExportTraceServiceRequest.FromString(body).resource_spans
        resource = {attribute.key: attribute.value.string_value for attribute in spans.resource.attributes}
        assert resource["service.name"] == "mgeo-notifier"
        assert resource["service.instance.id"] == "0197"
        assert resource["mgeo.instance.name"] == "box/notifier/0"
        assert [span.name for scope in spans.scope_spans for span in scope.spans] == ["mgeo.notifier.receive"]


def test_an_endpoint_that_is_away_holds_nobody_up(monkeypatch, unused_tcp_port, capfd):
    """Spans beyond the bound are lost, the end has its deadline, and nothing is written between the lines of the log."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{unused_tcp_port}", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    traced = telemetry(environ, **NAMES)
    traces = OtelTraces(traced.tracer_provider, clock=Clock())
    for _ in range(5_000):
        with traces.receiving("", "main"):
            pass
    assert not traced.close(seconds=0.2)
    until(lambda: not any(thread.name == "traces-flush" for thread in threading.enumerate()))
    assert capfd.readouterr() == ("", "")


def test_a_variable_that_the_sdk_refuses_is_a_fault_of_the_configuration(monkeypatch):
    """Said with the way out."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    with pytest.raises(ConfigError, match="OTEL_SDK_DISABLED=true"):
        telemetry({**environ, "OTEL_BSP_MAX_QUEUE_SIZE": "1"}, **NAMES)
