"""What the Collector lets through, and that it keeps what a store cannot take: the real program with the configuration that ships."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cli.drill.free_ports import free_ports
from cli.stack.profile import Profile
from cli.stack.queue_space import QUEUE_FILES
from dingtalk import names as notifier_names
from dingtalk.answer import Answer, Outcome
from dingtalk.clock import Clock
from dingtalk.outbox.rows import MessageState, StoredMessage
from dingtalk.part import Part
from dingtalk.plan import Form, Lane
from dingtalk.telemetry import id_generator
from dingtalk.traces import OtelTraces
from service.errors import ErrorType
from tests.deadline import until
from tests.stack.collector import CONFIGURATION, Collector
from tests.stack.stores import Stores

pytestmark = pytest.mark.stack

ADDRESS = "浙江省杭州市西湖区文三路478号"
MESSAGE = StoredMessage(
    id=1,
    bundle=1,
    number=1,
    total=1,
    form=Form.GROUP,
    receiver="critical",
    group_key=ADDRESS,
    lane=Lane.CRITICAL,
    part=Part(title=ADDRESS, text=ADDRESS),
    msg_uuid="m1",
    state=MessageState.DEAD,
    robot="ops-1",
    attempts=0,
    fallback_tries=0,
    next_attempt_at=0.0,
    outcome="content_blocked",
    detail=ADDRESS,
    received_at=1_770_000_000.0,
    created_at=1_770_000_000.0,
    changed_at=1_770_000_001.0,
)
STARTED = 1_770_000_000_000_000_000


@pytest.fixture
def stores() -> Iterator[Stores]:
    stores = Stores()
    yield stores
    stores.close()


@pytest.fixture
def collector(stores: Stores, tmp_path: Path, program: Callable[[str], Path]) -> Iterator[Collector]:
    collector = Collector(program("collector"), tmp_path, **stores.variables)
    yield collector
    collector.kill()


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def traces() -> tuple[ExportTraceServiceRequest, object, object, object]:
    """A message with one good span; the message, its resource, scope and span."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.extend(
        [text("service.name", "mgeo"), text("service.instance.id", "i"), text("mgeo.instance.name", "一号机")]
    )
    scope = resource.scope_spans.add()
    scope.scope.name = "mgeo"
    span = scope.spans.add(
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        name="mgeo.inference",
        start_time_unix_nano=STARTED,
        end_time_unix_nano=STARTED + 1,
    )
    span.attributes.extend([text("mgeo.request.id", "request-1"), text("mgeo.status", "error")])
    span.status.code = 2
    span.status.message = ErrorType.MODEL_FAILED.message
    return message, resource, scope, span


def logs() -> tuple[ExportLogsServiceRequest, object, object, object]:
    """A message with one good record; the message, its resource, scope and record."""
    message = ExportLogsServiceRequest()
    resource = message.resource_logs.add()
    resource.resource.attributes.extend([text("service.name", "mgeo"), text("service.instance.id", "i")])
    scope = resource.scope_logs.add()
    scope.scope.name = "mgeo"
    record = scope.log_records.add(time_unix_nano=STARTED, severity_number=9, severity_text="INFO", event_name="mgeo.inference")
    record.body.string_value = "mgeo.inference"
    record.attributes.extend([text("request_id", "request-1"), text("status", "success")])
    return message, resource, scope, record


def put_into_resource(message, resource, scope, item) -> None:
    resource.resource.attributes.append(text("address", ADDRESS))


def put_into_scope(message, resource, scope, item) -> None:
    scope.scope.attributes.append(text("address", ADDRESS))


def put_into_scope_name(message, resource, scope, item) -> None:
    scope.scope.name = ADDRESS


def put_into_attribute(message, resource, scope, item) -> None:
    item.attributes.append(text("address", ADDRESS))


def put_into_known_attribute(message, resource, scope, item) -> None:
    item.attributes.append(text("exception.type", f"ValueError: {ADDRESS}"))


def put_into_nested_attribute(message, resource, scope, item) -> None:
    item.attributes.add(key="exception.stacktrace").value.array_value.values.add(string_value=ADDRESS)


def put_into_attribute_of_operators(message, resource, scope, item) -> None:
    item.attributes.append(text("mgeo.instance.name", ADDRESS))


def put_into_event(message, resource, scope, item) -> None:
    item.events.add(name="exception").attributes.append(text("exception.message", ADDRESS))


def put_into_known_attribute_of_event(message, resource, scope, item) -> None:
    item.events.add(name="exception").attributes.append(text("exception.type", ADDRESS))


def put_into_event_name(message, resource, scope, item) -> None:
    item.events.add(name=ADDRESS)


def put_into_status(message, resource, scope, item) -> None:
    item.status.message = f"cannot tokenize {ADDRESS}"


def put_into_name(message, resource, scope, item) -> None:
    item.name = f"GET /{ADDRESS}"


def put_into_trace_state(message, resource, scope, item) -> None:
    item.trace_state = f"vendor={ADDRESS}"


def put_into_body(message, resource, scope, item) -> None:
    item.body.string_value = f"cannot tokenize {ADDRESS}"


def put_into_structured_body(message, resource, scope, item) -> None:
    item.body.kvlist_value.values.append(text("request_id", ADDRESS))


def put_into_name_of_event(message, resource, scope, item) -> None:
    item.event_name = ADDRESS


def put_into_severity(message, resource, scope, item) -> None:
    item.severity_text = ADDRESS


EVERYWHERE = [
    put_into_resource,
    put_into_scope,
    put_into_scope_name,
    put_into_attribute,
    put_into_known_attribute,
    put_into_nested_attribute,
    put_into_attribute_of_operators,
]
IN_SPANS = [
    *EVERYWHERE,
    put_into_event,
    put_into_known_attribute_of_event,
    put_into_event_name,
    put_into_status,
    put_into_name,
    put_into_trace_state,
]
IN_LOGS = [*EVERYWHERE, put_into_body, put_into_structured_body, put_into_name_of_event, put_into_severity]


def test_no_address_gets_through_in_any_place_of_a_span(collector: Collector, stores: Stores) -> None:
    """Each place alone, so that one that is cleared cannot hide another; the span itself arrives every time."""
    for number, put in enumerate(IN_SPANS, 1):
        message, *parts = traces()
        parts[-1].span_id = number.to_bytes(8, "big")
        put(message, *parts)
        assert ADDRESS in message.SerializeToString().decode("utf-8", "replace")
        assert collector.post("traces", message.SerializeToString()).status_code == 200

    until(lambda: len(spans(stores)) == len(IN_SPANS))

    assert {
        put.__name__ for number, put in enumerate(IN_SPANS, 1) if ADDRESS[:3] in str_of(spans(stores)[number.to_bytes(8, "big")])
    } == set()
    assert ADDRESS not in stores.text()
    assert "文三路" not in stores.text()


def test_no_address_gets_through_in_any_place_of_a_log_record(collector: Collector, stores: Stores) -> None:
    """The same of records."""
    for number, put in enumerate(IN_LOGS):
        message, *parts = logs()
        parts[-1].time_unix_nano = STARTED + number
        put(message, *parts)
        assert ADDRESS in message.SerializeToString().decode("utf-8", "replace")
        assert collector.post("logs", message.SerializeToString()).status_code == 200

    until(lambda: len(records(stores)) == len(IN_LOGS))

    assert "文三路" not in stores.text()
    bodies = {record.body.string_value for record in records(stores)}
    assert bodies == {"mgeo.inference", "redacted"}


def test_what_was_taken_off_is_counted(collector: Collector, stores: Stores) -> None:
    """By a metric of each kind, cumulative, so that an alert can be made of it; a clean item counts nothing."""
    for put in (put_into_attribute, put_into_status, put_into_resource):
        message, *parts = traces()
        put(message, *parts)
        collector.post("traces", message.SerializeToString())
    clean, *_ = traces()
    collector.post("traces", clean.SerializeToString())
    message, *parts = logs()
    put_into_body(message, *parts)
    collector.post("logs", message.SerializeToString())

    until(lambda: counted(stores) == {"mgeo.redaction.spans": 3, "mgeo.redaction.log_records": 1})


def test_what_is_on_the_list_gets_through_unchanged(collector: Collector, stores: Stores) -> None:
    """A good span and a good record arrive as they were sent, a Chinese instance name among them."""
    span_message, *_ = traces()
    log_message, *_ = logs()

    collector.post("traces", span_message.SerializeToString())
    collector.post("logs", log_message.SerializeToString())
    until(lambda: stores.traces and stores.logs)

    assert sorted_attributes(stores.traces[0].resource_spans[0]) == sorted_attributes(span_message.resource_spans[0])
    assert sorted_attributes(stores.logs[0].resource_logs[0]) == sorted_attributes(log_message.resource_logs[0])


def test_the_notifiers_spans_get_through_unchanged(collector: Collector, stores: Stores) -> None:
    """Each kind with every attribute it may have; nothing is taken off, links and status among it."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource.create({"service.name": "mgeo-notifier", "service.instance.id": "i", "mgeo.instance.name": "一号机"}),
        id_generator=id_generator(),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces = OtelTraces(provider, clock=Clock())
    receipts = []
    for status in (200, 503):
        with traces.receiving("", "critical") as receiving:
            receiving.duplicate()
            receiving.answered(status)
        receipts.append(receiving.ids)
    blocked = Answer(outcome=Outcome.CONTENT_BLOCKED, code=430102, detail=ADDRESS)
    traces.attempted(MESSAGE, receipts, robot="ops-1", answer=blocked, began=1_770_000_000.0, ended=1_770_000_001.0)
    traces.ended(MESSAGE, receipts, state=MessageState.DEAD, robot="ops-1", attempts=1)
    sent = encode_spans(exporter.get_finished_spans())
    provider.shutdown()
    assert {span.name for span in exporter.get_finished_spans()} == set(notifier_names.SPANS)

    collector.post("traces", sent.SerializeToString())
    until(lambda: len(spans(stores)) == 4)

    before = {span.span_id: span for span in sent.resource_spans[0].scope_spans[0].spans}
    assert {each: in_order(span) for each, span in spans(stores).items()} == {each: in_order(span) for each, span in before.items()}
    assert ADDRESS not in stores.text()


def test_a_metric_keeps_only_known_labels(collector: Collector, stores: Stores) -> None:
    """An address as a label's value goes with its label; the point stays."""
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    resource.resource.attributes.extend([text("service.name", "mgeo"), text("address", ADDRESS)])
    metric = resource.scope_metrics.add().metrics.add(name="mgeo.requests", unit="{request}")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    point = metric.sum.data_points.add(as_int=1, time_unix_nano=STARTED)
    point.attributes.extend([text("status", "success"), text("address", ADDRESS)])

    collector.post("metrics", message.SerializeToString())
    until(lambda: stores.metrics)

    arrived = stores.metrics[0].resource_metrics[0]
    assert "文三路" not in stores.text()
    assert [pair.key for pair in arrived.scope_metrics[0].metrics[0].sum.data_points[0].attributes] == ["status"]


def test_what_the_collector_took_survives_its_death(tmp_path: Path, program: Callable[[str], Path]) -> None:
    """Taken while no store is there, killed with -9, started again: it arrives once a store is."""
    collector = Collector(program("collector"), tmp_path, **gone())
    span_message, *_ = traces()
    log_message, *_ = logs()
    assert collector.post("traces", span_message.SerializeToString()).status_code == 200
    assert collector.post("logs", log_message.SerializeToString()).status_code == 200
    collector.kill()
    stores = Stores()
    try:
        collector = Collector(program("collector"), tmp_path, **stores.variables)
        until(lambda: stores.traces and stores.logs, deadline=60)
        collector.stop()
    finally:
        stores.close()
        collector.kill()


def test_a_full_queue_refuses_so_that_the_sender_keeps_what_it_has(tmp_path: Path, program: Callable[[str], Path]) -> None:
    """With an error that may be retried; what was taken before stays."""
    collector = Collector(program("collector"), tmp_path, MGEO_COLLECTOR_QUEUE_BYTES="300000", **gone())
    message, _, _, record = logs()
    record.attributes.append(text("error_message", "x" * 20_000))
    try:
        answers: list[int] = []
        until(lambda: answers.append(collector.post("logs", message.SerializeToString()).status_code) or answers[-1] != 200)
        assert answers[-1] in {429, 503}
        assert len(answers) > 5
    finally:
        collector.kill()


@pytest.mark.parametrize(
    ("overlays", "variables"),
    [
        ((), {}),
        (("ingest.yaml",), {"MGEO_INGEST_TOKEN_FILE": "token"}),
        (("agent.yaml",), {"MGEO_UPSTREAM": "https://box.example:6006/otlp", "MGEO_UPSTREAM_TOKEN_FILE": "token"}),
    ],
)
def test_every_configuration_passes_the_collectors_own_check(
    tmp_path: Path, program: Callable[[str], Path], overlays: tuple[str, ...], variables: dict[str, str]
) -> None:
    """Its `validate`, for each way it is run."""
    (tmp_path / "token").write_text("secret")
    files = [CONFIGURATION / name for name in ("config.yaml", "redaction.yaml", *overlays)]

    done = subprocess.run(
        [str(program("collector")), "validate", *(f"--config={file}" for file in files)],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("profile", "overlays", "variables"),
    [
        (Profile.FULL, (), {}),
        (Profile.AGENT, ("agent.yaml",), {"MGEO_UPSTREAM": "https://box.example:6006/otlp"}),
    ],
)
def test_the_queues_are_the_files_that_space_is_set_aside_for(
    tmp_path: Path, program: Callable[[str], Path], profile: Profile, overlays: tuple[str, ...], variables: dict[str, str]
) -> None:
    """By name, all of them, and no other file."""
    (tmp_path / "token").write_text("secret")
    if overlays:
        variables = {**variables, "MGEO_UPSTREAM_TOKEN_FILE": str(tmp_path / "token")}
    collector = Collector(program("collector"), tmp_path, *overlays, **gone(), **variables)
    try:
        assert sorted(file.name for file in collector.queues.iterdir()) == sorted(QUEUE_FILES[profile])
    finally:
        collector.kill()


def gone() -> dict[str, str]:
    """Stores at which nobody listens."""
    prometheus, loki, jaeger = free_ports(3)
    return {
        "MGEO_PROMETHEUS_URL": f"http://127.0.0.1:{prometheus}",
        "MGEO_LOKI_URL": f"http://127.0.0.1:{loki}",
        "MGEO_JAEGER_OTLP_URL": f"http://127.0.0.1:{jaeger}",
    }


def spans(stores: Stores) -> dict[bytes, object]:
    return {
        span.span_id: span
        for message in list(stores.traces)
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def records(stores: Stores) -> list:
    return [
        record
        for message in list(stores.logs)
        for resource in message.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def counted(stores: Stores) -> dict[str, int]:
    """The cumulative sums by metric, as last received."""
    return {
        metric.name: sum(point.as_int for point in metric.sum.data_points)
        for message in list(stores.metrics)
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.sum.aggregation_temporality == 2
    }


def str_of(item: object) -> str:
    return item.SerializeToString().decode("utf-8", "replace")


def in_order(span: object) -> object:
    """A span with its attributes in the order of their keys."""
    span.attributes.sort(key=lambda attribute: attribute.key)
    return span


def sorted_attributes(resource: object) -> object:
    """The same message with every list of attributes in the order of its keys, which means nothing and the Collector changes."""
    lists = [resource.resource.attributes]
    for scope in getattr(resource, "scope_spans", None) or resource.scope_logs:
        lists += [item.attributes for item in getattr(scope, "spans", None) or scope.log_records]
    for attributes in lists:
        attributes.sort(key=lambda pair: pair.key)
    return resource
