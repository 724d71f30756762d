"""The SDK's providers, made once for a process. Nothing is registered globally: they are handed to whoever needs them.

Exporters run on the SDK's own threads behind bounded queues, so that an endpoint that is dead or slow costs a request
nothing; what is lost is counted (`mgeo.telemetry.dropped`, `otel.sdk.processor.*`).
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from service.errors import StartupError
from service.telemetry import names
from service.telemetry.sdk.exporters import CollectionExporter, otlp_log_exporter, otlp_metric_exporter, otlp_span_exporter, otlp_wanted
from service.telemetry.sdk.id_generator import RequestIdGenerator
from service.telemetry.sdk.views import views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.trace import SpanProcessor

EXPORT_INTERVAL_MS = 10_000
_SELF_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


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
        deadline = time.monotonic() + timeout
        for thread in threads:
            try:
                thread.start()
            except RuntimeError:  # Python 3.12 starts no thread any more while the interpreter ends
                thread.run()
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(deadline - time.monotonic(), 0.0))
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
    on_collection: Callable[[MetricsData], None] | None = None,
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
        on_collection: called with each collection of metrics, every 10 s or `OTEL_METRIC_EXPORT_INTERVAL`, and once more at the
            shutdown; on the reader's thread, also without an endpoint.

    Raises:
        StartupError: an `OTEL_*` variable has a value the SDK or an exporter refuses.
    """
    losses: Counter[tuple[str, str]] = Counter()
    try:
        telemetry = _build(_resource(instance_id, instance_name, version), list(metric_readers), losses, max_links, on_collection)
    except Exception as error:
        message = f"the OpenTelemetry SDK cannot be set up ({error}); correct the OTEL_* variables, or set OTEL_SDK_DISABLED=true"
        raise StartupError(message) from error
    for span_processor in span_processors:
        telemetry.tracer_provider.add_span_processor(span_processor)
    for log_processor in log_processors:
        telemetry.logger_provider.add_log_record_processor(log_processor)
    return telemetry


def _resource(instance_id: str, instance_name: str, version: str) -> Resource:
    attributes = {"service.version": version, "service.instance.id": instance_id, "mgeo.instance.name": instance_name}
    # The SDK lets attributes of the program win over the environment's; our name is a default, theirs a decision.
    if not OTELResourceDetector().detect().attributes.get("service.name"):
        attributes["service.name"] = names.SERVICE_NAME
    return Resource.create(attributes)


def _build(
    resource: Resource,
    readers: list[MetricReader],
    losses: Counter[tuple[str, str]],
    max_links: int,
    on_collection: Callable[[MetricsData], None] | None,
) -> Telemetry:
    # The exporters first: they are what a wrong variable breaks, and no thread runs yet.
    spans = otlp_span_exporter(losses) if otlp_wanted("traces") else None
    logs = otlp_log_exporter(losses) if otlp_wanted("logs") else None
    metrics = otlp_metric_exporter(losses) if otlp_wanted("metrics") else None
    limits = None if os.environ.get("OTEL_SPAN_LINK_COUNT_LIMIT") else SpanLimits(max_links=max_links)
    reading = CollectionExporter(on_collection, metrics) if on_collection is not None else metrics
    if reading is not None:
        readers.append(PeriodicExportingMetricReader(reading, _export_interval()))
    meter_provider = MeterProvider(metric_readers=readers, resource=resource, views=views(), shutdown_on_exit=False)
    tracer_provider = TracerProvider(
        sampler=None if os.environ.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON,
        resource=resource,
        shutdown_on_exit=False,
        id_generator=RequestIdGenerator(),
        span_limits=limits,
        meter_provider=meter_provider,
    )
    logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False, meter_provider=meter_provider)
    try:
        with _self_metrics():
            if spans is not None:
                tracer_provider.add_span_processor(BatchSpanProcessor(spans, meter_provider=meter_provider))
            if logs is not None:
                logger_provider.add_log_record_processor(BatchLogRecordProcessor(logs, meter_provider=meter_provider))
    except Exception:
        # A program that goes on without telemetry must not keep the threads of half of it.
        tracer_provider.shutdown()
        with suppress(Exception):
            meter_provider.shutdown(timeout_millis=1)
        raise
    return Telemetry(
        resource=resource,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        losses=losses,
        exporting=any(exporter is not None for exporter in (spans, logs, metrics)),
    )


@contextmanager
def _self_metrics() -> Iterator[None]:
    """Switch on the SDK's self-metrics for the processors that are built inside.

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
        return float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") or EXPORT_INTERVAL_MS)
    except ValueError:
        return EXPORT_INTERVAL_MS
