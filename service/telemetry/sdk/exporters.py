"""What sends the signals by OTLP, chosen by the standard variables, with every loss counted."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

_OTLP_HTTP_PORT = re.compile(r":4318(?:/|$)")
_LOST = "export_failed"


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


def otlp_span_exporter(losses: Counter[tuple[str, str]]) -> SpanExporter:
    """Send spans; add those that did not arrive to `losses`."""
    if otlp_over_http("traces"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

        return CountingSpanExporter(HttpExporter(), losses)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return CountingSpanExporter(OTLPSpanExporter(), losses)


def otlp_log_exporter(losses: Counter[tuple[str, str]]) -> LogRecordExporter:
    """Send log records; add those that did not arrive to `losses`."""
    if otlp_over_http("logs"):
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter

        return CountingLogExporter(HttpExporter(), losses)
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    return CountingLogExporter(OTLPLogExporter(), losses)


def otlp_metric_exporter(losses: Counter[tuple[str, str]]) -> MetricExporter:
    """Send collections of metrics; add those that did not arrive to `losses`."""
    if otlp_over_http("metrics"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter

        return CountingMetricExporter(HttpExporter(), losses)
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return CountingMetricExporter(OTLPMetricExporter(), losses)


class CountingSpanExporter(SpanExporter):
    """Counts the spans its exporter could not deliver."""

    def __init__(self, exporter: SpanExporter, losses: Counter[tuple[str, str]]) -> None:
        self._exporter, self._losses = exporter, losses

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass the spans on. Raises what the exporter raises."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if result is not SpanExportResult.SUCCESS:
                self._losses["traces", _LOST] += len(spans)
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()


class CountingLogExporter(LogRecordExporter):
    """Counts the log records its exporter could not deliver."""

    def __init__(self, exporter: LogRecordExporter, losses: Counter[tuple[str, str]]) -> None:
        self._exporter, self._losses = exporter, losses

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Pass the records on. Raises what the exporter raises."""
        result = LogRecordExportResult.FAILURE
        try:
            result = self._exporter.export(batch)
        finally:
            if result is not LogRecordExportResult.SUCCESS:
                self._losses["logs", _LOST] += len(batch)
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # so it stands in the SDK


class CollectionExporter(MetricExporter):
    """Shows each collection to a hook once its exporter, if there is one, has had it. Not in a forked child."""

    def __init__(self, on_collection: Callable[[MetricsData], None], exporter: MetricExporter | None) -> None:
        super().__init__(
            exporter._preferred_temporality if exporter else None,  # noqa: SLF001 -- the SDK keeps them so
            exporter._preferred_aggregation if exporter else None,  # noqa: SLF001
        )
        self._on_collection, self._exporter = on_collection, exporter
        self._process = os.getpid()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        """Pass the collection on, then show it. Raises what the exporter or the hook raises."""
        if os.getpid() != self._process:
            return MetricExportResult.SUCCESS
        try:
            return self._exporter.export(metrics_data, timeout_millis, **kwargs) if self._exporter else MetricExportResult.SUCCESS
        finally:
            self._on_collection(metrics_data)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the exporter."""
        return self._exporter is None or self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Close the exporter."""
        if self._exporter is not None:
            self._exporter.shutdown(timeout_millis, **kwargs)


class CountingMetricExporter(MetricExporter):
    """Counts the collections its exporter could not deliver; the next one carries the same cumulative values.

    In a forked child it sends nothing: the SDK starts the parent's reader there too, and the parent's counts would arrive
    twice.
    """

    def __init__(self, exporter: MetricExporter, losses: Counter[tuple[str, str]]) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001 -- the SDK keeps them so
        self._exporter, self._losses = exporter, losses
        self._process = os.getpid()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        """Pass the collection on. Raises what the exporter raises."""
        if os.getpid() != self._process:
            return MetricExportResult.SUCCESS
        result = MetricExportResult.FAILURE
        try:
            result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        finally:
            if result is not MetricExportResult.SUCCESS:
                self._losses["metrics", _LOST] += 1
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Close the exporter."""
        self._exporter.shutdown(timeout_millis, **kwargs)
