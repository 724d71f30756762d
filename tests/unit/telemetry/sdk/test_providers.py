"""The providers, by the standard variables."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from service.errors import StartupError
from service.telemetry import names
from service.telemetry.event import EventDraft
from service.telemetry.exposition import Exposition
from service.telemetry.log_pipeline import LogPipeline
from service.telemetry.metrics import Instruments
from service.telemetry.otel_recorder import OtelRecorder
from service.telemetry.sdk import Telemetry, setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Silent:
    """A log file and a store that forget."""

    def write(self, record: object) -> None:
        """Forget the record."""

    def add(self, event: object, seq: int) -> None:
        """Forget the event."""

    def add_batch(self, event: object) -> None:
        """Forget the batch."""


def set_up(**more: Any) -> Telemetry:
    return setup(instance_id="instance-1", instance_name="host/test/0", version="1.2.3", **more)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(spans: InMemorySpanExporter) -> Iterator[Telemetry]:
    """By the environment as the test has set it before asking for this."""
    telemetry = set_up(span_processors=[SimpleSpanProcessor(spans)])
    yield telemetry
    assert telemetry.shutdown()


def recorder_on(telemetry: Telemetry) -> OtelRecorder:
    instruments = Instruments.of(telemetry.meter_provider.get_meter("mgeo"))
    silent = Silent()
    log = LogPipeline(
        writer=silent,
        provider=telemetry.logger_provider,
        counter=instruments.log_records,
        service=telemetry.service,
        instance="instance-1",
        unix_ns=time.time_ns,
    )
    return OtelRecorder(
        tracer_provider=telemetry.tracer_provider, instruments=instruments, log=log, store=silent, losses=telemetry.losses, strict=True
    )


def start(telemetry: Telemetry, *, flags: int) -> Any:
    """A span under a caller's traceparent with these flags."""
    parent = trace.set_span_in_context(NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(flags))))
    return telemetry.tracer_provider.get_tracer("test").start_span("work", context=parent)


# --- sampler ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, 1])
def test_every_span_is_sampled_whatever_the_caller_asked(telemetry: Telemetry, flags: int) -> None:
    """A flag of 00 would else hide the inference of whoever sends it."""
    span = start(telemetry, flags=flags)

    assert (span.is_recording(), span.get_span_context().trace_flags) == (True, 1)
    assert telemetry.tracer_provider.sampler.get_description() == "AlwaysOnSampler"
    span.end()


@pytest.mark.parametrize(
    ("sampler", "flags", "recording"),
    [
        ("always_off", 1, False),
        ("parentbased_always_on", 0, False),
        ("parentbased_always_on", 1, True),
    ],
)
def test_the_sampler_of_the_environment_is_honoured(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, sampler: str, flags: int, recording: bool
) -> None:
    """Whoever sets it wants it; start-up and doctor say what it costs."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    telemetry = request.getfixturevalue("telemetry")

    assert start(telemetry, flags=flags).is_recording() is recording


def test_an_inference_that_is_not_sampled_still_has_its_ids(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, ticking: Any
) -> None:
    """Its line and row must be found by them, although no span is."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    recorder = recorder_on(request.getfixturevalue("telemetry"))
    draft = EventDraft.open(request_id="req-1", function="match", clock=ticking.as_clock())

    recorder.open(draft)
    recorder.record(draft.close())

    assert (draft.trace_id, int(draft.span_id, 16) > 0) == ("77a85bff5dd350f1d6d66f116fe042a9", True)
    assert request.getfixturevalue("spans").get_finished_spans() == ()


# --- resource ---------------------------------------------------------------------------------------------------------


def resource(telemetry: Telemetry) -> dict[str, Any]:
    return {name: value for name, value in telemetry.resource.attributes.items() if not name.startswith("telemetry.")}


OURS = {"service.name": "mgeo", "service.version": "1.2.3", "service.instance.id": "instance-1", "mgeo.instance.name": "host/test/0"}


@pytest.mark.parametrize(
    ("environ", "changed"),
    [
        ({}, {}),
        ({"OTEL_SERVICE_NAME": "addresses"}, {"service.name": "addresses"}),
        ({"OTEL_SERVICE_NAME": ""}, {}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,team=a%20b"},
            {"deployment.environment.name": "test", "team": "a b"},
        ),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=addresses"}, {"service.name": "addresses"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, {"service.name": "b"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=x"}, {}),
    ],
)
def test_the_resource_is_ours_with_what_the_environment_adds(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, environ: dict[str, str], changed: dict[str, str]
) -> None:
    """The service's name is a default; the instance id is not: two processes with one environment must not share a series."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    telemetry = request.getfixturevalue("telemetry")

    assert resource(telemetry) == OURS | changed
    assert telemetry.service == (OURS | changed)["service.name"]
    assert telemetry.meter_provider._sdk_config.resource == telemetry.resource


# --- switching off ----------------------------------------------------------------------------------------------------


def test_without_an_endpoint_nothing_is_exported() -> None:
    """And no thread waits for anything."""
    before = set(threading.enumerate())

    telemetry = set_up()

    assert telemetry.exporting is False
    assert set(threading.enumerate()) <= before
    assert telemetry.shutdown()


def test_a_disabled_sdk_makes_no_spans_but_ids_for_every_inference(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, ticking: Any
) -> None:
    """The log and the store go on: the trace of the request id or of the parent, and a span id for each of many at once."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    recorder = recorder_on(request.getfixturevalue("telemetry"))
    drafts = [EventDraft.open(request_id="req-1", function="match", clock=ticking.as_clock()) for _ in range(3)]
    for draft in drafts:
        recorder.open(draft)
    parent = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(parent)), recorder.running(drafts[0]):
        child = EventDraft.open(request_id="req-1", function="match", clock=ticking.as_clock())
        recorder.open(child)

    assert recorder.active == 4
    assert {draft.trace_id for draft in drafts} == {"77a85bff5dd350f1d6d66f116fe042a9"}
    assert len({draft.span_id for draft in (*drafts, child)} - {"0" * 16, f"{0xDEF:016x}"}) == 4
    assert (child.trace_id, child.parent_span_id) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    for draft in (*drafts, child):
        recorder.record(draft.close())
    assert recorder.active == 0


def test_nothing_is_registered_globally(telemetry: Telemetry) -> None:
    """A program that uses OpenTelemetry itself keeps its own providers."""
    assert trace.get_tracer_provider() is not telemetry.tracer_provider


# --- self-metrics -----------------------------------------------------------------------------------------------------


def series(reader: InMemoryMetricReader) -> dict[str, set[tuple[str, ...]]]:
    """The label names of every metric."""
    data = reader.get_metrics_data()
    return {
        metric.name: {tuple(sorted(point.attributes)) for point in metric.data.data_points}
        for resource in (data.resource_metrics if data is not None else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


COMPONENT = {("otel.component.name", "otel.component.type")}


@pytest.mark.parametrize("before", [None, "false"])
def test_the_processors_of_the_exporters_tell_of_themselves(
    monkeypatch: pytest.MonkeyPatch, dead_endpoint: str, before: str | None
) -> None:
    """Queue size and capacity from the start; the switch in the environment is as it was before."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead_endpoint)
    if before is not None:
        monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", before)
    reader = InMemoryMetricReader()
    telemetry = set_up(metric_readers=[reader])

    assert os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED") == before
    assert telemetry.exporting is True
    assert series(reader) == {
        "otel.sdk.processor.span.queue.capacity": COMPONENT,
        "otel.sdk.processor.span.queue.size": COMPONENT,
        "otel.sdk.processor.log.queue.capacity": COMPONENT,
        "otel.sdk.processor.log.queue.size": COMPONENT,
    }
    telemetry.shutdown(0.1)


def test_the_self_metrics_are_those_of_the_names_table(
    monkeypatch: pytest.MonkeyPatch, hanging_endpoint: str, eventually: Callable[..., None]
) -> None:
    """Name, unit and labels by OTLP, and the name a scrape shows, once some have left the queue and some were dropped."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
    for kind in ("BSP", "BLRP"):
        monkeypatch.setenv(f"OTEL_{kind}_MAX_QUEUE_SIZE", "1")
        monkeypatch.setenv(f"OTEL_{kind}_MAX_EXPORT_BATCH_SIZE", "1")
    reader, exposition = InMemoryMetricReader(), Exposition()
    telemetry = set_up(metric_readers=[reader, exposition.reader])
    tracer, logger = telemetry.tracer_provider.get_tracer("test"), telemetry.logger_provider.get_logger("test")

    def has_dropped() -> bool:
        # More at once than a queue of one passes on while its thread waits for its turn.
        for _ in range(500):
            tracer.start_span("work").end()
            logger.emit(body="work")
        seen = series(reader)
        processed = [seen.get(f"otel.sdk.processor.{kind}.processed", set()) for kind in ("span", "log")]
        return all(len(labels) == 2 for labels in processed)

    eventually(has_dropped)
    data = reader.get_metrics_data()
    assert data is not None
    seen = {(metric.name, metric.unit) for scope in data.resource_metrics[0].scope_metrics for metric in scope.metrics}
    assert seen == {(metric.name, metric.unit) for metric in names.SDK_METRICS}
    assert {name: set().union(*labels) for name, labels in series(reader).items()} == {
        metric.name: set(metric.attributes) for metric in names.SDK_METRICS
    }
    shown = {line.partition("{")[0] for line in exposition.render()[0].decode().splitlines() if not line.startswith("#")}
    assert shown - {"target_info"} == {metric.prometheus for metric in names.SDK_METRICS}
    telemetry.shutdown(0.1)


def test_spans_and_records_tell_nothing_that_the_names_table_lacks(monkeypatch: pytest.MonkeyPatch, dead_endpoint: str) -> None:
    """Also after some were made, and collected twice: no counter on every span's start and end."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead_endpoint)
    reader = InMemoryMetricReader()
    telemetry = set_up(metric_readers=[reader])
    telemetry.tracer_provider.get_tracer("test").start_span("work").end()
    telemetry.logger_provider.get_logger("test").emit(body="work")
    series(reader)

    assert {name.rpartition(".")[2] for name in series(reader)} <= {"processed", "capacity", "size"}
    telemetry.shutdown(0.1)


# --- collections ------------------------------------------------------------------------------------------------------


class Told:
    """A hook that keeps the names of the metrics of each collection, and what the spool had by then."""

    def __init__(self) -> None:
        self.collections: list[list[str]] = []
        self.waiting: list[int] = []
        self.telemetry: Telemetry | None = None

    def __call__(self, data: Any) -> None:
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        self.collections.append([metric.name for scope in scopes for metric in scope.metrics])
        if self.telemetry is not None and self.telemetry.delivery is not None:
            self.waiting.append(self.telemetry.delivery.spool.waiting)


def test_without_an_endpoint_collections_are_told_and_nothing_else_runs(
    monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None]
) -> None:
    """Again and again by the reader's thread, and once more at the shutdown."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")
    told, before = Told(), set(threading.enumerate())
    telemetry = set_up(on_collection=told)
    counter = telemetry.meter_provider.get_meter("test").create_counter("count")
    counter.add(1)

    assert [thread.name for thread in set(threading.enumerate()) - before] == ["OtelPeriodicExportingMetricReader"]
    eventually(lambda: told.collections.count(["count"]) >= 2)
    assert telemetry.exporting is False
    so_far = len(told.collections)
    assert telemetry.shutdown(20)
    assert len(told.collections) > so_far
    assert set(threading.enumerate()) <= before


def test_what_ended_before_a_collection_is_spooled_before_it_is_told(monkeypatch: pytest.MonkeyPatch, dead_endpoint: str) -> None:
    """Spans and records still in the SDK's queues are flushed first, and the collection itself is spooled."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead_endpoint)
    for kind in ("BSP", "BLRP"):
        monkeypatch.setenv(f"OTEL_{kind}_SCHEDULE_DELAY", "600000")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "600000")
    told = Told()
    telemetry = told.telemetry = set_up(on_collection=told)
    tracer, logger = telemetry.tracer_provider.get_tracer("test"), telemetry.logger_provider.get_logger("test")
    for count in (3, 5):
        for _ in range(count):
            tracer.start_span("work").end()
            logger.emit(body="work")
        telemetry.meter_provider.force_flush()

    assert told.waiting == [3 + 3 + 1, 8 + 8 + 1]
    telemetry.shutdown(0.5)


def test_a_hook_that_raises_is_counted_and_the_shutdown_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is, it is not worth the rest of the telemetry."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "600000")

    def raising(_data: object) -> None:
        raise RuntimeError("no room")

    telemetry = set_up(on_collection=raising)
    telemetry.meter_provider.get_meter("test").create_counter("count").add(1)

    assert telemetry.shutdown(20)
    assert telemetry.losses == {("collection", "exception"): 1}


@pytest.mark.parametrize(
    ("environ", "capacity"),
    [({}, 8192), ({"OTEL_BSP_MAX_QUEUE_SIZE": "700"}, 700), ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"}, 2048)],
)
def test_the_queue_before_the_spool_holds_seconds_of_a_thousand_spans_each(
    monkeypatch: pytest.MonkeyPatch, dead_endpoint: str, environ: dict[str, str], capacity: int
) -> None:
    """Unless the standard variables have it otherwise."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead_endpoint)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    telemetry = set_up()

    (processor,) = telemetry.tracer_provider._active_span_processor._span_processors
    assert processor._batch_processor._max_queue_size == capacity  # type: ignore[attr-defined]
    telemetry.shutdown(0.5)


# --- wrong variables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
        {"OTEL_METRIC_EXPORT_INTERVAL": "0"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"},
    ],
)
def test_a_variable_the_sdk_refuses_is_a_failed_start_in_words(
    monkeypatch: pytest.MonkeyPatch, dead_endpoint: str, environ: dict[str, str], eventually: Callable[..., None]
) -> None:
    """Not a traceback from inside a library; and no thread is left that goes on exporting."""
    before = set(threading.enumerate())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead_endpoint)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StartupError, match=r"^the OpenTelemetry SDK cannot be set up \(.+\); correct the OTEL_\* variables"):
        set_up()

    eventually(lambda: set(threading.enumerate()) <= before)


@pytest.mark.parametrize("interval", ["often", ""])
def test_an_interval_that_is_no_number_is_our_own(monkeypatch: pytest.MonkeyPatch, dead_endpoint: str, interval: str) -> None:
    """Ten seconds, as without the variable."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", dead_endpoint)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", interval)
    telemetry = set_up()

    (reader,) = telemetry.meter_provider._metric_readers
    assert reader._export_interval_millis == 10_000
    telemetry.shutdown(0.1)


# --- shutdown ---------------------------------------------------------------------------------------------------------


class SlowProvider:
    """Stands for one of the three; its shutdown takes until somebody lets it end."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_end = threading.Event()

    def shutdown(self) -> None:
        """Wait."""
        self.asked.set()
        self.may_end.wait(60)


def slow_telemetry(telemetry: Telemetry) -> tuple[Telemetry, list[SlowProvider]]:
    slow = [SlowProvider() for _ in range(3)]
    return Telemetry(
        resource=telemetry.resource,
        tracer_provider=slow[0],  # type: ignore[arg-type]
        logger_provider=slow[1],  # type: ignore[arg-type]
        meter_provider=slow[2],  # type: ignore[arg-type]
        losses=Counter(),
    ), slow


def test_shutdown_gives_up_in_time_and_says_so(telemetry: Telemetry) -> None:
    """All three are asked, none is waited for beyond the bound."""
    hanging, providers = slow_telemetry(telemetry)

    assert hanging.shutdown(0.01) is False
    assert all(provider.asked.is_set() for provider in providers)
    for provider in providers:
        provider.may_end.set()


def test_one_slow_part_may_use_all_the_time_there_is(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is not shared out between three, two of which need none."""
    hanging, providers = slow_telemetry(telemetry)
    waits: list[float | None] = []
    monkeypatch.setattr(threading.Thread, "join", lambda _thread, timeout=None: waits.append(timeout))

    assert hanging.shutdown(60) is False
    monkeypatch.undo()

    assert [wait is not None and 50 < wait <= 60 for wait in waits] == [True, True, True]
    for provider in providers:
        provider.may_end.set()


def test_three_parts_that_end_are_done(telemetry: Telemetry) -> None:
    """Each in a thread of its own, so that the slowest decides."""
    ending, providers = slow_telemetry(telemetry)
    for provider in providers:
        provider.may_end.set()

    assert ending.shutdown(60) is True
