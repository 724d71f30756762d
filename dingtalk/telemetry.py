"""Sets up what takes the traces to an OTLP endpoint; the only module that knows OpenTelemetry's SDK, which is loaded where it is used."""

from __future__ import annotations

import logging
import os
import re
import threading
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from dingtalk import names
from dingtalk.errors import ConfigError
from dingtalk.traces import PRESCRIBED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.id_generator import IdGenerator

MAX_SPANS = 4_096
"""Spans that wait for the endpoint; further ones are lost, and nothing waits for room."""
EVERY_MS = 1_000
EXPORT_SECONDS = 5
"""Seconds for one export, with its repetitions."""
SHUTDOWN_SECONDS = 5.0
_HTTP_PORT = re.compile(r":4318(?:/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What makes spans, and what sends them."""

    tracer_provider: TracerProvider
    exporter: SpanExporter

    def close(self, *, seconds: float = SHUTDOWN_SECONDS) -> bool:
        """Send what waits, and end within so many seconds; whether all was sent by then."""
        thread = threading.Thread(target=self.tracer_provider.shutdown, name="traces-flush", daemon=True)
        thread.start()
        thread.join(seconds)
        sent = not thread.is_alive()
        # It ends its repetitions, and refuses what is left, so that the thread ends too.
        self.exporter.shutdown()
        return sent


def telemetry(environ: Mapping[str, str], *, instance_id: str, instance_name: str) -> Telemetry | None:
    """Set it up; None where no endpoint for traces is set, or the standard variables switch them off.

    Args:
        environ: the environment; the SDK reads what else it has of `OTEL_*`.
        instance_id: `service.instance.id`.
        instance_name: what people call this process.

    Raises:
        ConfigError: an `OTEL_*` variable has a value that the SDK refuses.
    """
    if not _wanted(environ):
        return None
    # It complains of an endpoint that is away in text, between the lines of our log, and again and again.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    try:
        return _telemetry(environ, instance_id, instance_name)
    except Exception as error:
        raise ConfigError(f"traces cannot be sent ({error}); correct the OTEL_* variables, or set OTEL_SDK_DISABLED=true") from error


def _telemetry(environ: Mapping[str, str], instance_id: str, instance_name: str) -> Telemetry:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    attributes = {"service.version": metadata.version("mgeo"), "service.instance.id": instance_id, "mgeo.instance.name": instance_name}
    # Our name is a default, that of the environment a decision.
    if not OTELResourceDetector().detect().attributes.get("service.name"):
        attributes["service.name"] = names.SERVICE_NAME
    provider = TracerProvider(
        # Not the caller's decision: Alertmanager's flag would cost us our own trace.
        sampler=None if environ.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON,
        resource=Resource.create(attributes),
        id_generator=id_generator(),
        shutdown_on_exit=False,
    )
    sized = any(environ.get(f"OTEL_BSP_{name}") for name in ("MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE"))
    exporter = _exporter(environ)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=None if sized else MAX_SPANS,
            schedule_delay_millis=None if environ.get("OTEL_BSP_SCHEDULE_DELAY") else EVERY_MS,
        )
    )
    return Telemetry(tracer_provider=provider, exporter=exporter)


def id_generator() -> IdGenerator:
    """Random ids, but for spans whose ids are prescribed."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class PrescribedIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            ids = PRESCRIBED.get()
            return super().generate_trace_id() if ids is None else int(ids.trace_id, 16)

        def generate_span_id(self) -> int:
            ids = PRESCRIBED.get()
            return super().generate_span_id() if ids is None else int(ids.span_id, 16)

    return PrescribedIds()


def _wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if "otlp" not in (name.strip() for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")):
        return False
    return bool(_endpoint(environ))


def _endpoint(environ: Mapping[str, str]) -> str:
    return environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")


def _exporter(environ: Mapping[str, str]) -> SpanExporter:
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    timed = environ.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") or environ.get("OTEL_EXPORTER_OTLP_TIMEOUT")
    timeout = None if timed else EXPORT_SECONDS
    # By the protocol, else by the port that belongs to one.
    if protocol.strip().startswith("http/") if protocol else _HTTP_PORT.search(_endpoint(environ)):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(timeout=timeout)
    # Read when gRPC is loaded: it writes a line each time an endpoint goes away.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

    return OverGrpc(timeout=timeout)
