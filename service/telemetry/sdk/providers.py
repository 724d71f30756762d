"""The SDK's providers, made once for a process. Nothing is registered globally: they are handed to whoever needs them.

The SDK's own threads write what leaves by OTLP into the spool, and threads of the spool send it, so that an endpoint that is
dead or slow costs a request nothing; what is lost is counted (`mgeo.telemetry.dropped`, `otel.sdk.processor.*`).
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
from service.telemetry.sdk.exporters import (
    CollectionExporter,
    SpoolLogExporter,
    SpoolSpanExporter,
    otlp_exporter,
    otlp_transport,
    otlp_wanted,
)
from service.telemetry.sdk.id_generator import RequestIdGenerator
from service.telemetry.sdk.spool import Spool, SpoolSettings
from service.telemetry.sdk.views import views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.trace import SpanProcessor

    from service.telemetry.sdk.spool.delivery import Delivery

EXPORT_INTERVAL_MS = 10_000
FLUSH_TIMEOUT = 5.0
# Eight seconds of a thousand spans each, while the disk or the interpreter holds up the thread that encodes them.
QUEUE_SIZE = 8192
SCHEDULE_DELAY_MS = 1_000
_SELF_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


@dataclass(slots=True, kw_only=True)
class Telemetry:
    """The providers of one process, and the losses their exporters had.

    Attributes:
        delivery: sends what leaves by OTLP; None when nothing does.
        sends: the signals that leave.
    """

    resource: Resource
    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    logger_provider: LoggerProvider
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    delivery: Delivery | None = None
    sends: frozenset[str] = frozenset()

    @property
    def exporting(self) -> bool:
        """Whether any signal leaves by OTLP."""
        return bool(self.sends)

    @property
    def service(self) -> str:
        """`service.name` of the resource."""
        return str(self.resource.attributes["service.name"])

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Flush and close everything, for at most `timeout` seconds; whether it was done and sent by then.

        The last collection comes first, and has spans and logs flushed as each does. What is not sent stays in the spool.
        """
        deadline = time.monotonic() + timeout
        collected = _together([self.meter_provider.shutdown], timeout)
        flushed = _together([self.tracer_provider.shutdown, self.logger_provider.shutdown], deadline - time.monotonic())
        sent = self.delivery is None or self.delivery.close(max(deadline - time.monotonic(), 0.0))
        return collected and flushed and sent


def _together(calls: Sequence[Callable[[], object]], timeout: float) -> bool:
    """Make the calls at once, each on a thread of its own; whether all have ended within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    threads = [threading.Thread(target=call, name="telemetry-flush", daemon=True) for call in calls]
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
    spool: SpoolSettings | None = None,
    on_collection: Callable[[MetricsData], None] | None = None,
    on_refusal: Callable[[str, str], object] = lambda _signal, _reason: None,
) -> Telemetry:
    """Build the providers; with an OTLP endpoint in the environment, their exporters, the spool and its senders too.

    Args:
        instance_id: `service.instance.id`.
        instance_name: the name people know this instance by.
        version: `service.version`.
        span_processors: more span processors, for tests.
        log_processors: more log processors, for tests.
        metric_readers: more metric readers: the one behind `/metrics`, and those of tests.
        max_links: links a span may have; a batch span has one for each member.
        spool: where what leaves by OTLP waits for its endpoint. None: in memory, no longer than the process lives.
        on_collection: called with each collection of metrics, every 10 s or `OTEL_METRIC_EXPORT_INTERVAL`, and once more at the
            shutdown; on the reader's thread, after the spans and logs that ended before, and the metrics, were spooled. Also
            without an endpoint. An exception of it is counted.
        on_refusal: called with the signal and the status of each payload that the endpoint will never take; on the threads that send.

    Raises:
        StartupError: an `OTEL_*` variable has a value the SDK or an exporter refuses.
    """
    losses: Counter[tuple[str, str]] = Counter()
    try:
        resource = _resource(instance_id, instance_name, version)
        telemetry = _build(resource, list(metric_readers), losses, max_links, spool or SpoolSettings(), on_collection, on_refusal)
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
    settings: SpoolSettings,
    on_collection: Callable[[MetricsData], None] | None,
    on_refusal: Callable[[str, str], object],
) -> Telemetry:
    # The exporters first: they are what a wrong variable breaks, and no thread runs yet.
    standard = {signal: otlp_exporter(signal) for signal in names.OTLP_SIGNALS if otlp_wanted(signal)}
    spool = Spool(settings, losses)
    limits = None if os.environ.get("OTEL_SPAN_LINK_COUNT_LIMIT") else SpanLimits(max_links=max_links)
    processors: list[SpanProcessor | LogRecordProcessor] = []
    if standard or on_collection is not None:
        collection = CollectionExporter(
            flush=lambda: _together([processor.force_flush for processor in processors], FLUSH_TIMEOUT),
            losses=losses,
            spool=spool if "metrics" in standard else None,
            like=standard.get("metrics"),
            on_collection=on_collection,
        )
        readers.append(PeriodicExportingMetricReader(collection, _export_interval()))
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
            if "traces" in standard:
                spans = BatchSpanProcessor(SpoolSpanExporter(spool, losses), meter_provider=meter_provider, **_queue("BSP"))
                processors.append(spans)
                tracer_provider.add_span_processor(spans)
            if "logs" in standard:
                logs = BatchLogRecordProcessor(SpoolLogExporter(spool, losses), meter_provider=meter_provider, **_queue("BLRP"))
                processors.append(logs)
                logger_provider.add_log_record_processor(logs)
    except Exception:
        # A program that goes on without telemetry must not keep the threads of half of it.
        tracer_provider.shutdown()
        with suppress(Exception):
            meter_provider.shutdown(timeout_millis=1)
        spool.close()
        raise
    return Telemetry(
        resource=resource,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        losses=losses,
        delivery=_delivery(spool, standard, on_refusal),
        sends=frozenset(standard),
    )


def _delivery(spool: Spool, standard: Mapping[str, Any], on_refusal: Callable[[str, str], object]) -> Delivery | None:
    """The senders of the signals that leave, begun; None when none does."""
    if not standard:
        return None
    from service.telemetry.sdk.spool.delivery import Delivery
    from service.telemetry.sdk.spool.sender import Sender

    senders = [Sender(signal, spool, otlp_transport(signal, exporter), on_refusal=on_refusal) for signal, exporter in standard.items()]
    delivery = Delivery(spool, senders)
    delivery.start()
    return delivery


def _queue(kind: str) -> dict[str, int]:
    """The size and the delay of a processor's queue, unless the standard variables say them."""
    sized = any(os.environ.get(f"OTEL_{kind}_{name}") for name in ("MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE"))
    size = {} if sized else {"max_queue_size": QUEUE_SIZE}
    return size if os.environ.get(f"OTEL_{kind}_SCHEDULE_DELAY") else {**size, "schedule_delay_millis": SCHEDULE_DELAY_MS}


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
