"""Stand-ins for the three stores behind the Collector: they keep every OTLP message whole, so that a test sees all that got through."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Stores:
    """The OTLP endpoints of Loki, Prometheus and Jaeger, on one free port."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        stores = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                if self.path.endswith("/v1/traces"):
                    stores.traces.append(ExportTraceServiceRequest.FromString(body))
                elif self.path.endswith("/v1/logs"):
                    stores.logs.append(ExportLogsServiceRequest.FromString(body))
                else:
                    stores.metrics.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def variables(self) -> dict[str, str]:
        """What the Collector is told so that its stores are these."""
        http = f"http://127.0.0.1:{self._http.server_port}"
        return {"MGEO_PROMETHEUS_URL": http, "MGEO_LOKI_URL": http, "MGEO_JAEGER_OTLP_URL": http}

    def text(self) -> str:
        """All that arrived, as text: what is not in here did not get through."""
        return "\n".join(
            str(message.SerializeToString().decode("utf-8", "replace")) for message in (*self.traces, *self.logs, *self.metrics)
        )

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
