"""The three signals on their way: to receivers that answer, to none, and to one that never answers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from service.errors import ErrorType
from service.telemetry.event import AddressFacts, BatchEvent, BatchMember, EventDraft
from service.telemetry.log_pipeline import LogPipeline
from service.telemetry.metrics import Instruments
from service.telemetry.otel_recorder import OtelRecorder
from service.telemetry.sdk import SpoolSettings, setup

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[4]
REQ_1_TRACE = bytes.fromhex("77a85bff5dd350f1d6d66f116fe042a9")


class Silent:
    def write(self, record: object) -> None:
        """Forget the record."""

    def add(self, event: object, seq: int) -> None:
        """Forget the event."""

    def add_batch(self, event: object) -> None:
        """Forget the batch."""


class Service:
    """As much of a process as exports."""

    def __init__(self, ticking: Any, **options: Any) -> None:
        self.clock = ticking.as_clock()
        self.reader = InMemoryMetricReader()
        self.telemetry = setup(
            instance_id="instance-1", instance_name="host/test/0", version="1.2.3", metric_readers=[self.reader], **options
        )
        meter = self.telemetry.meter_provider.get_meter("mgeo")
        instruments = Instruments.of(meter)
        silent = Silent()
        log = LogPipeline(
            writer=silent,
            provider=self.telemetry.logger_provider,
            counter=instruments.log_records,
            service=self.telemetry.service,
            instance="instance-1",
            unix_ns=ticking.unix_ns,
        )
        self.recorder = OtelRecorder(
            tracer_provider=self.telemetry.tracer_provider,
            instruments=instruments,
            log=log,
            store=silent,
            losses=self.telemetry.losses,
            strict=True,
        )

    def infer(self, request_id: str, error_type: ErrorType | None = None) -> EventDraft:
        draft = EventDraft.open(request_id=request_id, function="match", clock=self.clock)
        self.recorder.open(draft)
        draft.address1 = AddressFacts(length=5, hash="1" * 32)
        draft.batch_id = "batch-1"
        self.recorder.record(draft.close(error_type=error_type))
        return draft

    def self_metric(self, name: str) -> dict[str, float]:
        """The values of one of the SDK's metrics by `error.type`, empty for what was no error."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            str(point.attributes.get("error.type", "")): point.value  # type: ignore[union-attr]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }


@pytest.fixture(params=["grpc", "http"])
def received(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A receiver of either protocol, with the environment that leads to it."""
    received = request.getfixturevalue(f"{request.param}_receiver")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", received.protocol)
    return received


def attributes(message: Any) -> dict[str, Any]:
    return {entry.key: getattr(entry.value, entry.value.WhichOneof("value")) for entry in message.attributes}


def test_all_three_signals_arrive_at_a_real_receiver(received: Any, ticking: Any) -> None:
    """One failed inference and its batch: span, record and points with the ids of one another, flushed by the shutdown."""
    service = Service(ticking)
    draft = service.infer("req-1", ErrorType.MODEL_FAILED)
    member = BatchMember(request_id="req-1", trace_id=draft.trace_id, span_id=draft.span_id)
    service.recorder.record_batch(
        BatchEvent(batch_id="batch-1", members=(member,), started_unix_ns=0, duration=0.25, model_name="m", model_version="1")
    )
    assert service.telemetry.shutdown(20)

    span, batch = received.spans()
    assert (span.name, span.trace_id, span.span_id.hex(), span.parent_span_id) == ("mgeo.inference", REQ_1_TRACE, draft.span_id, b"")
    assert (span.status.code, span.status.message) == (2, "the model raised an exception")
    assert attributes(span) == {
        "mgeo.request.id": "req-1",
        "code.function.name": "match",
        "mgeo.status": "error",
        "error.type": "model_failed",
        "mgeo.address1.length": 5,
        "mgeo.address1.hash": "11111111111111111111111111111111",
        "mgeo.batch.id": "batch-1",
    }
    assert [(link.trace_id, link.span_id) for link in span.links] == [(batch.trace_id, batch.span_id)]
    assert [(link.trace_id, link.span_id) for link in batch.links] == [(span.trace_id, span.span_id)]

    (record,) = received.records()
    assert (record.trace_id, record.span_id, record.event_name) == (span.trace_id, span.span_id, "mgeo.inference")
    assert (record.severity_number, record.severity_text, record.body.string_value) == (17, "ERROR", "mgeo.inference")
    assert attributes(record)["error_type"] == "model_failed"

    metrics = received.latest_metrics()
    counted = {point.as_int: attributes(point) for point in metrics["mgeo.requests"].sum.data_points if point.as_int}
    assert counted == {1: {"status": "error", "error.type": "model_failed"}}
    (duration,) = [point for point in metrics["mgeo.inference.duration"].histogram.data_points if point.count]
    assert [(exemplar.trace_id, exemplar.span_id.hex()) for exemplar in duration.exemplars] == [(REQ_1_TRACE, draft.span_id)]

    for request in (received.traces[0].resource_spans, received.logs[0].resource_logs, received.metrics[-1].resource_metrics):
        assert attributes(request[0].resource)["service.instance.id"] == "instance-1"
    assert service.telemetry.losses == {}


def test_every_series_leaves_at_0_before_the_first_inference(received: Any, ticking: Any, eventually: Callable[..., None]) -> None:
    """By OTLP as by scrape."""
    service = Service(ticking)
    service.telemetry.meter_provider.force_flush()
    eventually(lambda: received.metrics)

    metrics = received.latest_metrics()
    assert len(metrics["mgeo.requests"].sum.data_points) == 26
    assert len(metrics["mgeo.inference.duration"].histogram.data_points) == 6
    assert {point.count for point in metrics["mgeo.inference.duration"].histogram.data_points} == {0}
    assert service.telemetry.shutdown(20)


def test_a_signal_that_is_switched_off_does_not_leave(received: Any, ticking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other two do."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    service = Service(ticking)
    service.infer("req-1")
    assert service.telemetry.shutdown(20)

    assert (len(received.spans()), received.logs, bool(received.metrics)) == (1, [], True)


def spool_in(folder: Path) -> SpoolSettings:
    return SpoolSettings(folder=folder / "spool")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_at_a_dead_endpoint_everything_waits_on_disk_and_is_sent_by_the_next_process(
    dead_endpoint: str, protocol: str, ticking: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nothing is lost and nothing sent; the stop does not wait; and what was recorded before comes before what comes after."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    service = Service(ticking, spool=spool_in(tmp_path))
    for number in range(10):
        service.infer(f"request-{number}")
    service.telemetry.shutdown(20)

    spool = service.telemetry.delivery.spool  # type: ignore[union-attr]
    assert (spool.sent, service.telemetry.losses) == ({"traces": 0, "metrics": 0, "logs": 0}, {})
    assert spool.size_bytes > 10_000

    received = request.getfixturevalue("grpc_receiver" if protocol == "grpc" else "http_receiver")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    service = Service(ticking, spool=spool_in(tmp_path))
    service.infer("request-10")
    assert service.telemetry.shutdown(20)

    assert [attributes(span)["mgeo.request.id"] for span in received.spans()] == [f"request-{number}" for number in range(11)]
    assert [attributes(record)["request_id"] for record in received.records()] == [f"request-{number}" for number in range(11)]
    assert len(received.metrics) == 2
    assert service.telemetry.losses == {}
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.no_cover  # three thousand times what others do a few times
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_hanging_endpoint_holds_up_nobody_and_loses_nothing(
    hanging_endpoint: str, protocol: str, ticking: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """While one attempt hangs, 3,000 inferences are recorded at once and reach the spool; the stop is bounded and leaves them there."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    service = Service(ticking, spool=spool_in(tmp_path))
    for number in range(3_000):
        service.infer(f"request-{number}")

    eventually(lambda: service.self_metric("otel.sdk.processor.span.processed") == {"": 3_000})
    eventually(lambda: service.self_metric("otel.sdk.processor.log.processed") == {"": 3_000})
    assert service.telemetry.losses == {}
    assert service.recorder.active == 0
    began = time.monotonic()
    assert service.telemetry.shutdown(0.5) is False
    assert time.monotonic() - began < 20  # the attempt itself would hang for a minute
    service.telemetry.delivery.spool.close()  # type: ignore[union-attr]
    assert service.telemetry.losses == {}
    assert len(list((tmp_path / "spool").glob("*/traces.*.seg"))) >= 1


def test_recording_after_the_shutdown_neither_raises_nor_exports(received: Any, ticking: Any) -> None:
    """A request that ends late, while the process closes."""
    service = Service(ticking)
    assert service.telemetry.shutdown(20)
    arrived = len(received.spans())

    service.infer("late")

    assert len(received.spans()) == arrived
    assert service.recorder.active == 0


FORKING = """
import multiprocessing
from service import monitor_performance

@monitor_performance
def infer(addr1: str, addr2: str) -> int:
    return 1

def work() -> None:
    infer("a", "b")

infer("a", "b")
workers = [multiprocessing.get_context("fork").Process(target=work) for _ in range(2)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join(30)
infer("a", "b")
"""


@pytest.mark.slow
def test_forked_workers_are_instances_of_their_own(received: Any, tmp_path: Path) -> None:
    """Two inferences of the parent and one of each worker arrive once; nobody sends the counts of another."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MGEO_GPU": "off"}
    exported = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": received.protocol,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }
    subprocess.run([sys.executable, "-c", FORKING], cwd=tmp_path, env=environ | exported, timeout=60, check=True)

    counts = {
        attributes(resource.resource)["service.instance.id"]: sum(point.as_int for point in metric.sum.data_points)
        for request in received.metrics
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "mgeo.requests"
    }
    assert sorted(counts.values()) == [1, 1, 2]
    assert len({span.span_id for span in received.spans()}) == len(received.spans()) == 4
    assert len(received.records()) == 4


def test_many_threads_export_every_span_once(received: Any, ticking: Any) -> None:
    """Eight threads with 50 inferences each arrive as 400 distinct spans and 400 records."""
    service = Service(ticking)
    threads = [
        threading.Thread(target=lambda worker=worker: [service.infer(f"request-{worker}-{number}") for number in range(50)])
        for worker in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert service.telemetry.shutdown(20)

    assert len({(span.trace_id, span.span_id) for span in received.spans()}) == len(received.spans()) == 400
    assert len(received.records()) == 400
