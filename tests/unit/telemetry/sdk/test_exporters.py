"""Which way out the standard variables choose, and what the SDK's exporters do with what they are given."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.telemetry.sdk import otlp_over_http
from service.telemetry.sdk.exporters import (
    CollectionExporter,
    SpoolLogExporter,
    SpoolSpanExporter,
    otlp_exporter,
    otlp_transport,
    otlp_wanted,
)
from service.telemetry.sdk.spool import Spool, SpoolSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
SIGNALS = ("traces", "metrics", "logs")


def wanted(environ: dict[str, str]) -> list[str]:
    return [signal for signal in SIGNALS if otlp_wanted(signal, environ)]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, []),
        (ENDPOINT, ["traces", "metrics", "logs"]),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://collector:4317"}, ["logs"]),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, ["metrics", "logs"]),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, ["traces", "logs"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "none"}, ["traces", "metrics"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "console"}, ["traces", "metrics"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "console, otlp"}, ["traces", "metrics", "logs"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": ""}, ["traces", "metrics", "logs"]),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE "}, []),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, ["traces", "metrics", "logs"]),
        (ENDPOINT | {"OTEL_SDK_DISABLED": ""}, ["traces", "metrics", "logs"]),
    ],
)
def test_signals_leave_when_an_endpoint_is_set_and_nothing_switches_them_off(environ: dict[str, str], expected: list[str]) -> None:
    """By the specification's variables; one that is empty counts as not set."""
    assert wanted(environ) == expected


@pytest.mark.parametrize(
    ("environ", "http"),
    [
        (ENDPOINT, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:43180"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": ""}, False),
    ],
)
def test_the_protocol_is_the_variables_or_that_of_the_port(environ: dict[str, str], http: bool) -> None:
    """For traces: their own variable, the common one, then port 4318 means HTTP, and gRPC is what remains."""
    assert otlp_over_http("traces", environ) is http


@pytest.mark.parametrize(
    ("port", "module", "transport"),
    [(4317, "opentelemetry.exporter.otlp.proto.grpc", "GrpcTransport"), (4318, "opentelemetry.exporter.otlp.proto.http", "HttpTransport")],
)
@pytest.mark.parametrize("signal", SIGNALS)
def test_the_way_out_is_that_of_the_protocol(monkeypatch: pytest.MonkeyPatch, signal: str, port: int, module: str, transport: str) -> None:
    """The standard exporter reads the variables, and its connection carries the payloads."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    exporter = otlp_exporter(signal)
    way = otlp_transport(signal, exporter)

    assert type(exporter).__module__.startswith(module)
    assert (type(way).__name__, way.endpoint, way.timeout) == (transport, f"127.0.0.1:{port}", 10.0)
    way.close()


class World:
    """A spool in memory, and providers whose processors hand over to our exporters at once."""

    def __init__(self) -> None:
        self.losses: Counter[tuple[str, str]] = Counter()
        self.spool = Spool(SpoolSettings(), self.losses)

    def payloads(self, signal: str) -> list[tuple[int, bytes]]:
        found = []
        while (batch := self.spool.take(signal)) is not None:
            found.append((batch.entry.items, batch.payload))
            self.spool.acknowledge(batch)
        return found


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.spool.close()


def spans_of(*names: str, size: int = 0) -> list[Any]:
    """Ended spans, each with an attribute of so many characters."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for name in names:
        provider.get_tracer("test").start_span(name, attributes={"text": "x" * size}).end()
    provider.shutdown()
    return list(kept.get_finished_spans())


def records_of(*bodies: str) -> list[Any]:
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    for body in bodies:
        provider.get_logger("test").emit(body=body)
    found = list(kept.get_finished_logs())
    provider.shutdown()
    return found


def names_in(payload: bytes) -> list[str]:
    request = ExportTraceServiceRequest.FromString(payload)
    return [span.name for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def test_spans_and_records_are_spooled_as_requests(world: World) -> None:
    """With their number; that is success, whatever becomes of them."""
    spans, logs = SpoolSpanExporter(world.spool, world.losses), SpoolLogExporter(world.spool, world.losses)

    assert (spans.export(spans_of("a", "b")), logs.export(records_of("x"))) == (SpanExportResult.SUCCESS, LogRecordExportResult.SUCCESS)
    ((items, payload),) = world.payloads("traces")
    assert (items, names_in(payload)) == (2, ["a", "b"])
    ((items, payload),) = world.payloads("logs")
    (record,) = ExportLogsServiceRequest.FromString(payload).resource_logs[0].scope_logs[0].log_records
    assert (items, record.body.string_value) == (1, "x")
    for exporter in (spans, logs):
        assert exporter.force_flush()
        exporter.shutdown()
    assert world.losses == {}


def test_a_batch_that_receivers_would_not_take_is_sent_in_parts(world: World) -> None:
    """Each at most 2 MiB, in order; a single span may be larger, for it cannot be parted."""
    SpoolSpanExporter(world.spool, world.losses).export([*spans_of("a", "b", "c", size=900_000), *spans_of("d", size=3_000_000)])

    assert [(items, names_in(payload)) for items, payload in world.payloads("traces")] == [(2, ["a", "b"]), (1, ["c"]), (1, ["d"])]


def test_what_cannot_be_encoded_is_counted_and_the_rest_of_its_batch_spooled(world: World) -> None:
    """One record of somebody's must not take 511 others with it."""
    first, last = records_of("a", "c")
    SpoolLogExporter(world.spool, world.losses).export([first, None, last])  # type: ignore[list-item]

    assert sum(items for items, _ in world.payloads("logs")) == 2
    assert world.losses == {("logs", "encode_failed"): 1}


def collection_of(value: int) -> Any:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("count").add(value)
    data = reader.get_metrics_data()
    provider.shutdown()
    return data


def test_a_collection_flushes_spools_and_tells_in_this_order(world: World) -> None:
    """What the hook writes down stands for what has left the SDK."""
    order: list[object] = []
    data = collection_of(7)

    def flush() -> bool:
        order.append(("flush", world.spool.waiting))
        return True

    exporter = CollectionExporter(
        flush=flush, losses=world.losses, spool=world.spool, on_collection=lambda told: order.append((told is data, world.spool.waiting))
    )

    assert exporter.export(data) is MetricExportResult.SUCCESS
    assert order == [("flush", 0), (True, 1)]
    ((items, payload),) = world.payloads("metrics")
    (metric,) = ExportMetricsServiceRequest.FromString(payload).resource_metrics[0].scope_metrics[0].metrics
    assert (items, metric.name, metric.sum.data_points[0].as_int) == (1, "count", 7)
    assert exporter.force_flush()
    exporter.shutdown()


def test_a_hook_that_raises_is_counted_and_costs_no_collection(world: World) -> None:
    """The next one is told again."""

    def raising(_data: object) -> None:
        raise OSError("disk full")

    exporter = CollectionExporter(flush=lambda: True, losses=world.losses, spool=world.spool, on_collection=raising)
    for value in (1, 2):
        assert exporter.export(collection_of(value)) is MetricExportResult.SUCCESS

    assert world.losses == {("collection", "exception"): 2}
    assert len(world.payloads("metrics")) == 1


def test_a_flush_that_was_not_done_is_not_told(world: World) -> None:
    """The metrics leave all the same, and the next collection is told for both."""
    told: list[object] = []
    exporter = CollectionExporter(flush=lambda: False, losses=world.losses, spool=world.spool, on_collection=told.append)
    exporter.export(collection_of(1))

    assert (told, len(world.payloads("metrics")), world.losses) == ([], 1, {})


def test_metrics_that_cannot_be_encoded_are_counted(world: World) -> None:
    """And told: the hook is no exporter."""
    told: list[object] = []
    exporter = CollectionExporter(flush=lambda: True, losses=world.losses, spool=world.spool, on_collection=told.append)
    exporter.export("no metrics")  # type: ignore[arg-type]

    assert (told, world.losses) == (["no metrics"], {("metrics", "encode_failed"): 1})


@pytest.mark.parametrize(("preference", "kept"), [("cumulative", 1), ("delta", 3)])
def test_of_cumulative_collections_the_newest_is_kept_of_deltas_each(
    monkeypatch: pytest.MonkeyPatch, world: World, preference: str, kept: int
) -> None:
    """As the standard variable has it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    like = otlp_exporter("metrics")
    exporter = CollectionExporter(flush=lambda: True, losses=world.losses, spool=world.spool, like=like)
    for value in (1, 2, 3):
        exporter.export(collection_of(value))

    assert len(world.payloads("metrics")) == kept
    assert exporter._preferred_temporality == like._preferred_temporality
    like.shutdown()


def test_a_forked_child_spools_and_tells_nothing(world: World) -> None:
    """The SDK starts the parent's threads in the child too; all of the parent's would arrive twice."""
    told: list[object] = []
    spans, logs = SpoolSpanExporter(world.spool, world.losses), SpoolLogExporter(world.spool, world.losses)
    exporter = CollectionExporter(
        flush=lambda: bool(told.append("flush")), losses=world.losses, spool=world.spool, on_collection=told.append
    )
    some_spans, some_records, data = spans_of("a"), records_of("x"), collection_of(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        results = [spans.export(some_spans).name, logs.export(some_records).name, exporter.export(data).name]
        os.write(write, f"{results} {told} {world.spool.waiting} {dict(world.losses)}".encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(read, 200) == b"['SUCCESS', 'SUCCESS', 'SUCCESS'] [] 0 {}"
    os.close(read)
    os.close(write)
