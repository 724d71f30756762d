"""What leaves by OTLP, and how, chosen by the standard variables; the SDK's exporters write it into the spool."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

    from service.telemetry.sdk.spool import Spool
    from service.telemetry.sdk.spool.transport import Transport

_OTLP_HTTP_PORT = re.compile(r":4318(?:/|$)")
_NOT_ENCODED = "encode_failed"
PAYLOAD_BYTES = 2_097_152
"""Half of what a receiver over gRPC takes when nobody has told it otherwise."""


def otlp_wanted(signal: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a signal (`traces`, `metrics`, `logs`) leaves by OTLP: an endpoint is set, and nothing switches it off."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    # By the specification a variable that is empty counts as not set.
    if "otlp" not in (name.strip() for name in (environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp").split(",")):
        return False
    return bool(environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))


def otlp_over_http(signal: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a signal goes by OTLP over HTTP: by the standard variables, else by port 4318 in the endpoint, else gRPC."""
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol:
        return protocol.strip().startswith("http/")
    endpoint = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    return _OTLP_HTTP_PORT.search(endpoint) is not None


def otlp_exporter(signal: str) -> Any:
    """The standard exporter of a signal, which has read the standard variables.

    Raises:
        Exception: whatever it does with a variable it refuses.
    """
    return _http_exporter(signal) if otlp_over_http(signal) else _grpc_exporter(signal)


def otlp_transport(signal: str, exporter: Any) -> Transport:
    """What carries payloads of a signal to the endpoint of its standard exporter."""
    if otlp_over_http(signal):
        from service.telemetry.sdk.spool.http_transport import HttpTransport

        return HttpTransport(signal, exporter)
    from service.telemetry.sdk.spool.grpc_transport import GrpcTransport

    return GrpcTransport(signal, exporter)


def _http_exporter(signal: str) -> Any:
    if signal == "traces":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    if signal == "logs":
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

        return OTLPLogExporter()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()


def _grpc_exporter(signal: str) -> Any:
    # Read when gRPC is loaded. By default it writes a line to standard error each time an endpoint goes away.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from service.telemetry.sdk.spool.grpc_transport import CHANNEL_OPTIONS

    options: Any = CHANNEL_OPTIONS  # Any: the annotation there forgets that options may be numbers, and more than one
    if signal == "traces":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(channel_options=options)
    if signal == "logs":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

        return OTLPLogExporter(channel_options=options)
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(channel_options=options)


class SpoolSpanExporter(SpanExporter):
    """Encodes spans and spools them. In a forked child it does nothing: what the parent has, the parent sends."""

    def __init__(self, spool: Spool, losses: Counter[tuple[str, str]]) -> None:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        self._process = os.getpid()
        self._batches = _Batches("traces", encode_spans, spool, losses)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Spool the spans; never waits for the endpoint."""
        if os.getpid() == self._process:
            self._batches.keep(spans)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 -- the SDK's signature
        """Nothing is kept back here."""
        return True

    def shutdown(self) -> None:
        """The spool is closed by who opened it."""


class SpoolLogExporter(LogRecordExporter):
    """Encodes log records and spools them. In a forked child it does nothing: what the parent has, the parent sends."""

    def __init__(self, spool: Spool, losses: Counter[tuple[str, str]]) -> None:
        from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

        self._process = os.getpid()
        self._batches = _Batches("logs", encode_logs, spool, losses)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Spool the records; never waits for the endpoint."""
        if os.getpid() == self._process:
            self._batches.keep(batch)
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 -- the SDK's signature
        """Nothing is kept back here."""
        return True

    def shutdown(self) -> None:
        """The spool is closed by who opened it."""


class _Batches:
    """Encodes what the SDK hands over, in payloads that every receiver takes by default."""

    def __init__(self, signal: str, encode: Callable[[Sequence[Any]], Any], spool: Spool, losses: Counter[tuple[str, str]]) -> None:
        self._signal = signal
        self._encode = encode
        self._spool = spool
        self._losses = losses

    def keep(self, batch: Sequence[Any]) -> None:
        """Spool a batch: halved while it is too large, and without the item that cannot be encoded, which is counted."""
        payload: bytes | None = None
        with suppress(Exception):
            payload = self._encode(batch).SerializeToString()
        if payload is not None and (len(payload) <= PAYLOAD_BYTES or len(batch) == 1):
            self._spool.append(self._signal, payload, items=len(batch))
        elif len(batch) > 1:
            half = len(batch) // 2
            self.keep(batch[:half])
            self.keep(batch[half:])
        else:
            self._losses[self._signal, _NOT_ENCODED] += len(batch)


class CollectionExporter(MetricExporter):
    """What happens at each collection: spans and logs are flushed into the spool, the metrics spooled, and the hook is told.

    In a forked child nothing happens: the SDK starts the parent's reader there too, and the parent's counts would arrive twice.

    Args:
        flush: brings spans and log records into the spool; whether that was done in time.
        losses: what cannot be encoded, and each time the hook fails, is added here.
        spool: where the metrics go; None when they do not leave by OTLP.
        like: a standard exporter, whose temporality and aggregation the standard variables have chosen.
        on_collection: the hook. Not called when the flush was not done: what it writes down stands for what has left the SDK.
    """

    def __init__(
        self,
        *,
        flush: Callable[[], bool],
        losses: Counter[tuple[str, str]],
        spool: Spool | None = None,
        like: MetricExporter | None = None,
        on_collection: Callable[[MetricsData], None] | None = None,
    ) -> None:
        temporality = like._preferred_temporality if like is not None else None  # noqa: SLF001 -- the SDK keeps them so
        super().__init__(temporality, like._preferred_aggregation if like is not None else None)  # noqa: SLF001
        # A cumulative collection has all that those before it had; of deltas each one counts.
        self._newest_only = AggregationTemporality.DELTA not in (temporality or {}).values()
        self._flush = flush
        self._losses = losses
        self._spool = spool
        self._on_collection = on_collection
        self._process = os.getpid()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:  # noqa: ARG002
        """Flush, spool and tell; never raises, and never waits for the endpoint."""
        if os.getpid() != self._process:
            return MetricExportResult.SUCCESS
        flushed = self._flush()
        if self._spool is not None:
            self._keep(metrics_data, self._spool)
        if flushed and self._on_collection is not None:
            try:
                self._on_collection(metrics_data)
            except Exception:  # noqa: BLE001 -- whatever the hook does, the reader goes on
                self._losses["collection", "exception"] += 1
        return MetricExportResult.SUCCESS

    def _keep(self, metrics_data: MetricsData, spool: Spool) -> None:
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

        try:
            payload = encode_metrics(metrics_data).SerializeToString()
        except Exception:  # noqa: BLE001 -- whatever the encoder does not like, the next collection may not have
            self._losses["metrics", _NOT_ENCODED] += 1
        else:
            spool.append("metrics", payload, items=1, newest_only=self._newest_only)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 -- the SDK's signature
        """Nothing is kept back here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """The spool is closed by who opened it."""
