"""An OTLP endpoint (gRPC) that accepts everything, keeps nothing, and counts what came from whom.

`python -m benchmarks.otlp_sink` prints its address, serves until SIGTERM, and then prints its counts as one line of JSON.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]  # it has no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "/opentelemetry.proto.collector"
# An empty message of any type, which is how a collector says that it took everything.
_ACCEPTED = b""


class Tally:
    """Spans, log records and metric collections by `service.name`."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, signal_name: str, service: str, count: int) -> None:
        """Count some more; any thread."""
        with self._lock:
            self._counts[service, signal_name] += count

    def by_service(self) -> dict[str, dict[str, int]]:
        """The counts so far: service → signal → count."""
        found: dict[str, dict[str, int]] = {}
        with self._lock:
            for (service, signal_name), count in sorted(self._counts.items()):
                found.setdefault(service, {})[signal_name] = count
        return found


class Sink(grpc.GenericRpcHandler):  # type: ignore[misc]  # so it is Any
    """Answers the three export methods of OTLP."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._methods: dict[str, Callable[[bytes, object], bytes]] = {
            f"{_PREFIX}.trace.v1.TraceService/Export": self._traces,
            f"{_PREFIX}.metrics.v1.MetricsService/Export": self._metrics,
            f"{_PREFIX}.logs.v1.LogsService/Export": self._logs,
        }

    def service(self, handler_call_details: Any) -> Any:  # Any: grpc has no types
        """The handler of a method, None for any other; requests come as bytes."""
        method = self._methods.get(handler_call_details.method)
        return None if method is None else grpc.unary_unary_rpc_method_handler(method)

    def _traces(self, request: bytes, _context: object) -> bytes:
        for resource in ExportTraceServiceRequest.FromString(request).resource_spans:
            self._tally.add("spans", _service(resource), sum(len(scope.spans) for scope in resource.scope_spans))
        return _ACCEPTED

    def _metrics(self, request: bytes, _context: object) -> bytes:
        for resource in ExportMetricsServiceRequest.FromString(request).resource_metrics:
            self._tally.add("collections", _service(resource), 1)
        return _ACCEPTED

    def _logs(self, request: bytes, _context: object) -> bytes:
        for resource in ExportLogsServiceRequest.FromString(request).resource_logs:
            self._tally.add("log_records", _service(resource), sum(len(scope.log_records) for scope in resource.scope_logs))
        return _ACCEPTED


def _service(resource: Any) -> str:  # Any: one of three generated messages
    names = (attribute.value.string_value for attribute in resource.resource.attributes if attribute.key == "service.name")
    return next(names, "unknown")


def main() -> None:
    """Serve until SIGTERM."""
    tally, ended = Tally(), threading.Event()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[Sink(tally)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    sys.stdout.write(f"listens on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    ended.wait()
    server.stop(grace=1).wait()
    sys.stdout.write(json.dumps(tally.by_service()) + "\n")


if __name__ == "__main__":
    main()
