"""An OTLP/HTTP receiver on a free port: keeps what arrives, or behaves badly on request."""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_REQUESTS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest, "/v1/logs": ExportLogsServiceRequest}


class Receiver:
    """Keeps spans, log records and the last metrics; `hanging` takes connections and never answers."""

    def __init__(self, behaviour: Literal["well", "hanging"] = "well") -> None:
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
                if behaviour == "hanging":
                    receiver._released.wait(60)
                    return
                receiver._take(self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def variables(self) -> dict[str, str]:
        """What a server is told to send everything here, soon."""
        return otlp_variables(self._server.server_port)

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

    def _take(self, path: str, body: bytes) -> None:
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
