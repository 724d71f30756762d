"""The OpenTelemetry SDK, set up once for a process: resource, sampler, ids, views, exporters.

The only module of telemetry that imports `opentelemetry.sdk`. Nothing is registered globally: the providers are handed to
whoever needs them. Exporters run on the SDK's own threads behind bounded queues, so that an endpoint that is dead or slow
costs a request nothing; what is lost is counted (`mgeo.telemetry.dropped`, `otel.sdk.processor.*`).
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from service.telemetry import names
from service.telemetry.context import current_batch_id, current_request_id
from service.telemetry.ids import batch_span_id_of, trace_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

EXPORT_INTERVAL_MS = 10_000
_SELF_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_OTLP_HTTP_PORT = ":4318"


class RequestIdGenerator(IdGenerator):
    """Trace ids from the request id in the context, so that the id a caller holds opens its trace; random without one."""

    def generate_trace_id(self) -> int:
        """The trace id of the batch or request in the context, else 128 random bits."""
        source = current_batch_id() or current_request_id()
        return int(trace_id_of(source), 16) if source else random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        """The span id its members know, for a batch; 64 random bits for anything else."""
        batch_id = current_batch_id()
        return int(batch_span_id_of(batch_id), 16) if batch_id else random.getrandbits(64) or 1


class ZeroedHistogram(ExplicitBucketHistogramAggregation):
    """A histogram in which recording NaN only makes the series exist, with count 0.

    Prometheus' `increase()` cannot see the first observation of a series that is born with it, and the OpenTelemetry API has
    no other way to begin a histogram at nought.
    """

    def _create_aggregation(self, *args: object, **kwargs: object) -> object:  # type: ignore[override] -- the SDK's own hook, passed through
        aggregation = super()._create_aggregation(*args, **kwargs)  # type: ignore[arg-type]
        aggregate = aggregation.aggregate

        def aggregate_numbers(measurement: object, *more: object) -> None:
            value = measurement.value  # type: ignore[attr-defined]
            if value == value:  # noqa: PLR0124 -- false for NaN alone
                aggregate(measurement, *more)  # type: ignore[arg-type]

        aggregation.aggregate = aggregate_numbers  # type: ignore[method-assign,assignment]
        return aggregation


@dataclass(slots=True, kw_only=True)
class Telemetry:
    """The providers of one process, and the losses their exporters had."""

    resource: Resource
    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    logger_provider: LoggerProvider
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    exporting: bool = False

    @property
    def service(self) -> str:
        """`service.name` of the resource."""
        return str(self.resource.attributes["service.name"])

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Flush and close everything, for at most `timeout` seconds; tells whether it was done by then."""
        threads = [
            threading.Thread(target=close, name="telemetry-shutdown", daemon=True)
            for close in (self.tracer_provider.shutdown, self.logger_provider.shutdown, self.meter_provider.shutdown)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout / len(threads))
        return not any(thread.is_alive() for thread in threads)


def setup(
    *,
    instance_id: str,
    instance_name: str,
    version: str,
    span_processors: Sequence[SpanProcessor] = (),
    log_processors: Sequence[LogRecordProcessor] = (),
    metric_readers: Sequence[MetricReader] = (),
    max_links: int = 4096,
) -> Telemetry:
    """Build the providers; with an OTLP endpoint in the environment, their exporters too.

    Args:
        instance_id: `service.instance.id`.
        instance_name: the name people know this instance by.
        version: `service.version`.
        span_processors: more span processors, for tests.
        log_processors: more log processors, for tests.
        metric_readers: more metric readers: the one behind `/metrics`, and those of tests.
        max_links: links a span may have; a batch span has one for each member.
    """
    attributes = {
        "service.version": version,
        "service.instance.id": instance_id,
        "mgeo.instance.name": instance_name,
    }
    if not os.environ.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = names.SERVICE_NAME
    resource = Resource.create(attributes)
    losses: Counter[tuple[str, str]] = Counter()
    exporting = {signal: _otlp_wanted(signal) for signal in ("traces", "logs", "metrics")}
    readers = list(metric_readers)
    with _self_metrics():
        if exporting["metrics"]:
            readers.append(PeriodicExportingMetricReader(_CountingMetricExporter(_otlp_metric_exporter(), losses), _export_interval()))
        meter_provider = MeterProvider(metric_readers=readers, resource=resource, views=_views(), shutdown_on_exit=False)
        tracer_provider = TracerProvider(
            sampler=None if os.environ.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON,
            resource=resource,
            shutdown_on_exit=False,
            id_generator=RequestIdGenerator(),
            span_limits=None if os.environ.get("OTEL_SPAN_LINK_COUNT_LIMIT") else SpanLimits(max_links=max_links),
            meter_provider=meter_provider,
        )
        logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False, meter_provider=meter_provider)
        if exporting["traces"]:
            span_exporter = _CountingSpanExporter(_otlp_span_exporter(), losses)
            tracer_provider.add_span_processor(BatchSpanProcessor(span_exporter, meter_provider=meter_provider))
        if exporting["logs"]:
            log_exporter = _CountingLogExporter(_otlp_log_exporter(), losses)
            logger_provider.add_log_record_processor(BatchLogRecordProcessor(log_exporter, meter_provider=meter_provider))
    for span_processor in span_processors:
        tracer_provider.add_span_processor(span_processor)
    for log_processor in log_processors:
        logger_provider.add_log_record_processor(log_processor)
    return Telemetry(
        resource=resource,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        losses=losses,
        exporting=any(exporting.values()),
    )


def _views() -> list[View]:
    histograms = [
        View(instrument_name=metric.name, aggregation=ZeroedHistogram(metric.boundaries, record_min_max=False))
        for metric in names.METRICS
        if metric.kind is names.Kind.HISTOGRAM
    ]
    # Of the HTTP instrumentation only the duration is in the names table; its body sizes are wrong under concurrency.
    unwanted = ("http.server.active_requests", "http.server.request.body.size", "http.server.response.body.size")
    return [*histograms, *(View(instrument_name=name, aggregation=DropAggregation()) for name in unwanted)]


@contextmanager
def _self_metrics() -> Iterator[None]:
    """Switch on the SDK's self-metrics for what is built inside.

    The switch is an environment variable without a parameter. Left on for good it would also add counters to the start and
    end of every span, which tell nothing that the processors' do not.
    """
    before = os.environ.get(_SELF_METRICS)
    os.environ[_SELF_METRICS] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SELF_METRICS]
        else:
            os.environ[_SELF_METRICS] = before


def _export_interval() -> float:
    try:
        return float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", EXPORT_INTERVAL_MS))
    except ValueError:
        return EXPORT_INTERVAL_MS


def _otlp_wanted(signal: str, environ: Mapping[str, str] = os.environ) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp") != "otlp":
        return False
    return bool(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"))


def otlp_over_http(signal: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a signal goes by OTLP over HTTP: by the standard variables, else by port 4318 in the endpoint, else gRPC."""
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol:
        return protocol.startswith("http/")
    endpoint = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    return _OTLP_HTTP_PORT in endpoint


def _otlp_span_exporter() -> SpanExporter:
    if otlp_over_http("traces"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

        return HttpExporter()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _otlp_log_exporter() -> LogRecordExporter:
    if otlp_over_http("logs"):
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter

        return HttpExporter()
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    return OTLPLogExporter()


def _otlp_metric_exporter() -> MetricExporter:
    if otlp_over_http("metrics"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter

        return HttpExporter()
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()


class _CountingSpanExporter(SpanExporter):
    """Counts the spans its exporter could not deliver."""

    def __init__(self, exporter: SpanExporter, losses: Counter[tuple[str, str]]) -> None:
        self._exporter, self._losses = exporter, losses

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._losses["traces", "export_failed"] += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _CountingLogExporter(LogRecordExporter):
    """Counts the log records its exporter could not deliver."""

    def __init__(self, exporter: LogRecordExporter, losses: Counter[tuple[str, str]]) -> None:
        self._exporter, self._losses = exporter, losses

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = self._exporter.export(batch)
        if result is not LogRecordExportResult.SUCCESS:
            self._losses["logs", "export_failed"] += len(batch)
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _CountingMetricExporter(MetricExporter):
    """Counts the collections its exporter could not deliver; the next one carries the same cumulative values."""

    def __init__(self, exporter: MetricExporter, losses: Counter[tuple[str, str]]) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001 -- the SDK keeps them so
        self._exporter, self._losses = exporter, losses

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        if result is not MetricExportResult.SUCCESS:
            self._losses["metrics", "export_failed"] += 1
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        self._exporter.shutdown(timeout_millis, **kwargs)
