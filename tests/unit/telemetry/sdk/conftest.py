"""Real OTLP receivers, and endpoints that are none, for the exporters to talk to."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 20.0


class Received:
    """What arrived, as the messages of opentelemetry-proto; filled by the receiver's threads."""

    def __init__(self, endpoint: str, protocol: str) -> None:
        self.endpoint = endpoint
        self.protocol = protocol
        self.traces: list[Any] = []
        self.logs: list[Any] = []
        self.metrics: list[Any] = []

    def spans(self) -> list[Any]:
        return [
            span for request in self.traces for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]

    def records(self) -> list[Any]:
        return [
            record
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def latest_metrics(self) -> dict[str, Any]:
        """The metrics of the newest collection by name."""
        return {
            metric.name: metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def _grpc_servicer(base: type, kept: list[Any], response: Callable[[], Any]) -> Any:
    class Servicer(base):  # type: ignore[misc]
        def Export(self, request: Any, context: Any) -> Any:
            kept.append(request)
            return response()

    return Servicer()


@pytest.fixture
def grpc_receiver() -> Iterator[Received]:
    """An OTLP receiver over gRPC."""
    server = grpc.server(ThreadPoolExecutor(4))
    received = Received(f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", "grpc")
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        _grpc_servicer(trace_service_pb2_grpc.TraceServiceServicer, received.traces, trace_service_pb2.ExportTraceServiceResponse), server
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        _grpc_servicer(logs_service_pb2_grpc.LogsServiceServicer, received.logs, logs_service_pb2.ExportLogsServiceResponse), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        _grpc_servicer(metrics_service_pb2_grpc.MetricsServiceServicer, received.metrics, metrics_service_pb2.ExportMetricsServiceResponse),
        server,
    )
    server.start()
    yield received
    server.stop(None).wait(DEADLINE)


@pytest.fixture
def http_receiver() -> Iterator[Received]:
    """An OTLP receiver over HTTP with protobuf bodies."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept, message = routes[self.path]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.append(message.FromString(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(f"http://127.0.0.1:{server.server_port}", "http/protobuf")
    routes = {
        "/v1/traces": (received.traces, trace_service_pb2.ExportTraceServiceRequest),
        "/v1/logs": (received.logs, logs_service_pb2.ExportLogsServiceRequest),
        "/v1/metrics": (received.metrics, metrics_service_pb2.ExportMetricsServiceRequest),
    }
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield received
    server.shutdown()
    server.server_close()
    thread.join(DEADLINE)


@pytest.fixture
def dead_endpoint(monkeypatch: pytest.MonkeyPatch) -> str:
    """A port nobody listens on; exporters soon give up."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        return f"http://127.0.0.1:{nobody.getsockname()[1]}"


@pytest.fixture
def hanging_endpoint() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def eventually(condition: Callable[[], object]) -> None:
    """Wait until it holds, up to a deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        threading.Event().wait(0.005)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[[Callable[[], object]], None]:
    return eventually
