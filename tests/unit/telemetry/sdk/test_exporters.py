"""Which exporter the standard variables choose, and what its losses are."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.telemetry.sdk import otlp_over_http
from service.telemetry.sdk.exporters import (
    CountingLogExporter,
    CountingMetricExporter,
    CountingSpanExporter,
    otlp_log_exporter,
    otlp_metric_exporter,
    otlp_span_exporter,
    otlp_wanted,
)

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
    ("port", "module"), [(4317, "opentelemetry.exporter.otlp.proto.grpc"), (4318, "opentelemetry.exporter.otlp.proto.http")]
)
def test_the_exporters_are_those_of_the_protocol(monkeypatch: pytest.MonkeyPatch, port: int, module: str) -> None:
    """For all three signals."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    exporters: list[Any] = [make(Counter()) for make in (otlp_span_exporter, otlp_log_exporter, otlp_metric_exporter)]

    assert [type(exporter._exporter).__module__.startswith(module) for exporter in exporters] == [True, True, True]
    for exporter in exporters:
        assert exporter.force_flush()
        exporter.shutdown()


class FailingSpans(InMemorySpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.FAILURE


class RaisingSpans(InMemorySpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise ValueError("cannot encode")


class FailingLogs(InMemoryLogRecordExporter):
    def export(self, batch: Any) -> LogRecordExportResult:
        return LogRecordExportResult.FAILURE


class RaisingLogs(InMemoryLogRecordExporter):
    def export(self, batch: Any) -> LogRecordExportResult:
        raise ValueError("cannot encode")


class Metrics(MetricExporter):
    """Keeps collections, or fails."""

    def __init__(self, result: MetricExportResult | None = MetricExportResult.SUCCESS) -> None:
        super().__init__()
        self.result = result
        self.kept: list[object] = []
        self.closed: list[tuple[float, dict[str, object]]] = []

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        if self.result is None:
            raise ValueError("cannot encode")
        self.kept.append(metrics_data)
        return self.result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        self.closed.append((timeout_millis, kwargs))


def test_what_arrives_is_no_loss() -> None:
    """The result is passed on, and nothing is counted."""
    losses: Counter[tuple[str, str]] = Counter()

    results = [
        CountingSpanExporter(InMemorySpanExporter(), losses).export([]),
        CountingLogExporter(InMemoryLogRecordExporter(), losses).export([]),
        CountingMetricExporter(Metrics(), losses).export(None),  # type: ignore[arg-type]
    ]

    assert results == [SpanExportResult.SUCCESS, LogRecordExportResult.SUCCESS, MetricExportResult.SUCCESS]
    assert losses == {}


def test_what_does_not_arrive_is_counted_by_signal() -> None:
    """Each span, each record, and each collection of metrics."""
    losses: Counter[tuple[str, str]] = Counter()

    results = [
        CountingSpanExporter(FailingSpans(), losses).export([None] * 3),  # type: ignore[list-item]
        CountingLogExporter(FailingLogs(), losses).export([None] * 2),  # type: ignore[list-item]
        CountingMetricExporter(Metrics(MetricExportResult.FAILURE), losses).export(None),  # type: ignore[arg-type]
    ]

    assert results == [SpanExportResult.FAILURE, LogRecordExportResult.FAILURE, MetricExportResult.FAILURE]
    assert losses == {("traces", "export_failed"): 3, ("logs", "export_failed"): 2, ("metrics", "export_failed"): 1}


def test_what_cannot_even_be_encoded_is_counted_too() -> None:
    """The SDK swallows the exception; the loss stays visible."""
    losses: Counter[tuple[str, str]] = Counter()

    for exporter, batch in [
        (CountingSpanExporter(RaisingSpans(), losses), [None] * 3),
        (CountingLogExporter(RaisingLogs(), losses), [None] * 2),
        (CountingMetricExporter(Metrics(None), losses), None),
    ]:
        with pytest.raises(ValueError, match="cannot encode"):
            exporter.export(batch)  # type: ignore[arg-type]

    assert losses == {("traces", "export_failed"): 3, ("logs", "export_failed"): 2, ("metrics", "export_failed"): 1}


def test_a_forked_child_does_not_send_the_parents_metrics() -> None:
    """The SDK starts the parent's reader in the child too; its counts would arrive twice. Nothing is lost, nothing is sent."""
    inner, losses = Metrics(), Counter[tuple[str, str]]()
    exporter = CountingMetricExporter(inner, losses)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        result = exporter.export("the parent's counts")  # type: ignore[arg-type]
        os.write(write, f"{result.name} {inner.kept} {dict(losses)}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    exporter.export("the parent's counts")  # type: ignore[arg-type]

    assert os.read(read, 100) == b"SUCCESS [] {}"
    assert inner.kept == ["the parent's counts"]
    os.close(read)
    os.close(write)


def test_temporality_and_shutdown_are_those_of_the_exporter() -> None:
    """The reader asks the counting one, and means the one inside."""
    inner = Metrics()
    exporter = CountingMetricExporter(inner, Counter())

    exporter.shutdown(5_000, timeout=4_000)

    assert exporter._preferred_temporality == inner._preferred_temporality
    assert inner.closed == [(5_000, {"timeout": 4_000})]
    assert InMemoryMetricReader()._instrument_class_temporality is not None
