"""OTLP receivers over HTTP and gRPC on a free port: they keep what arrives, or behave badly on request."""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_PATHS = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "/v1/traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "/v1/metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "/v1/logs",
}
_REQUESTS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest, "/v1/logs": ExportLogsServiceRequest}


class Receiver:
    """Keeps spans, log records and the last metrics of each instance together.

    `behaviour` may be changed at any time: `well`; `hanging` takes connections and never answers; a number is the status of
    every answer.
    """

    def __init__(
        self, behaviour: Literal["well", "hanging"] | int = "well", *, port: int = 0, retry_after: str | None = None, answer: bytes = b""
    ) -> None:
        self.behaviour = behaviour
        self.spans: list[Any] = []
        self.logs: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.raw: list[bytes] = []
        self.requests = 0
        self._released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.requests += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.behaviour == "hanging":
                    receiver._released.wait(60)
                    return
                if receiver.behaviour == "well":
                    receiver.take(self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200 if receiver.behaviour == "well" else int(receiver.behaviour))
                self.send_header("Content-Length", str(len(answer)))
                if receiver.behaviour != "well" and retry_after is not None:
                    self.send_header("Retry-After", retry_after)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def variables(self) -> dict[str, str]:
        """What a server is told to send everything here, soon."""
        return otlp_variables(self.port)

    def inference_spans(self) -> Counter[str]:
        """Spans `mgeo.inference` by status."""
        return Counter(attributes(span)["mgeo.status"] for span in self.spans if span.name == "mgeo.inference")

    def inference_logs(self) -> Counter[str]:
        """Log records of inferences by status."""
        return Counter(attributes(log)["status"] for log in self.logs if log.event_name == "mgeo.inference")

    def counted(self) -> Counter[str]:
        """`mgeo.requests` by status, as last exported."""
        points = self.metrics["mgeo.requests"].sum.data_points
        return +sum((Counter({attributes(point)["status"]: point.as_int}) for point in points), Counter())

    def observed(self) -> Counter[str]:
        """Count of `mgeo.inference.duration` by status, as last exported."""
        return +Counter(
            {attributes(point)["status"]: point.count for point in self.metrics["mgeo.inference.duration"].histogram.data_points}
        )

    def close(self) -> None:
        """Stop listening."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, body: bytes) -> None:
        """Keep what came to a path."""
        self.raw.append(body)
        message = _REQUESTS[path].FromString(body)
        if path == "/v1/traces":
            self.spans += [span for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans]
        elif path == "/v1/logs":
            self.logs += [log for resource in message.resource_logs for scope in resource.scope_logs for log in scope.log_records]
        else:
            for resource in message.resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics |= {metric.name: metric for metric in scope.metrics}


class GrpcReceiver(Receiver):
    """The same over gRPC; a number is the code of every answer, and the hint stands in a `RetryInfo` of so many seconds."""

    def __init__(
        self, behaviour: Literal["well", "hanging"] | int = "well", *, port: int = 0, retry_after: str | None = None, answer: bytes = b""
    ) -> None:
        super().__init__(behaviour)
        self._taken = answer
        self._hint = retry_after
        self._pool = ThreadPoolExecutor(8)
        self._grpc = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        self._grpc.add_generic_rpc_handlers([self._handlers()])
        self._grpc_port = self._grpc.add_insecure_port(f"127.0.0.1:{port}")
        self._grpc.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._grpc_port

    @property
    def variables(self) -> dict[str, str]:
        """The same by gRPC."""
        return {**otlp_variables(self.port), "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    def close(self) -> None:
        """Stop listening."""
        self._released.set()
        self._grpc.stop(None).wait(20)
        self._pool.shutdown()
        super().close()

    def _handlers(self) -> Any:
        receiver = self

        class Handlers(grpc.GenericRpcHandler):
            def service(self, call: Any) -> Any:
                path = _PATHS[call.method]
                return grpc.unary_unary_rpc_method_handler(lambda body, context: receiver._answer(path, body, context))

        return Handlers()

    def _answer(self, path: str, body: bytes, context: Any) -> bytes:
        self.requests += 1
        while self.behaviour == "hanging" and context.is_active():
            self._released.wait(0.05)
        if self.behaviour == "well":
            self.take(path, body)
            return self._taken
        status = Status(code=self.behaviour if isinstance(self.behaviour, int) else 14)
        if self._hint is not None:
            status.details.add().Pack(RetryInfo(retry_delay={"seconds": int(self._hint)}))
        context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        context.abort(next(code for code in grpc.StatusCode if code.value[0] == status.code), "as told")
        raise AssertionError


def otlp_variables(port: int) -> dict[str, str]:
    """The standard variables that send all signals to a port of this machine."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }


def attributes(item: Any) -> dict[str, Any]:
    """The attributes of a span, record or point as plain values."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in item.attributes}
