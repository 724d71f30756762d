"""The names table against everything that must agree with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dingtalk import names as notifier_names
from dingtalk.answer import Outcome as NotifierOutcome
from dingtalk.outbox.rows import MessageState
from dingtalk.plan import Form, Lane
from service.errors import ErrorType, Outcome
from service.gpu import GpuDevice, GpuSample
from service.reference import telemetry_page
from service.surroundings.audit_record import AuditRecord
from service.surroundings.drill_record import DrillRecord
from service.surroundings.folders import FolderUsage
from service.telemetry import names, redaction
from service.telemetry.event import Stage
from service.telemetry.exposition import Exposition
from service.telemetry.gauges import (
    observe_audit,
    observe_clock_skew,
    observe_cuts,
    observe_depths,
    observe_drills,
    observe_folders,
    observe_gpu,
    observe_losses,
    observe_model,
    observe_sent,
    observe_value,
    observe_workday,
)
from service.telemetry.log_record import LEVELS
from service.telemetry.metrics import Instruments
from service.telemetry.names import Kind, Metric
from service.telemetry.sdk import setup

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SIMPLE = {
    metric.name: metric
    for metric in (
        names.REQUESTS_ACTIVE,
        names.QUEUE_LENGTH,
        names.BREAKER_STATE,
        names.STORE_SIZE,
        names.SPOOL_SIZE,
        names.SPOOL_AGE,
        names.TRAFFIC_EXPECTED,
        names.PROCESS_UPTIME,
    )
}

# The names and labels that rules, dashboards and other people's queries rely on.
CONTRACT = {
    "mgeo_requests_total": ("status", "error_type"),
    "mgeo_inference_duration_seconds": ("status",),
    "mgeo_inference_stage_duration_seconds": ("stage",),
    "mgeo_requests_active": (),
    "mgeo_batch_size": (),
    "mgeo_queue_depth": (),
    "mgeo_queue_wait_seconds": (),
    "mgeo_log_records_total": ("severity",),
    "mgeo_model_info": ("name", "version", "device"),
    "system_filesystem_usage_bytes": ("mgeo_folder",),
    "system_filesystem_limit_bytes": ("mgeo_folder",),
    "mgeo_clock_skew_seconds": ("mgeo_store",),
    "mgeo_audit_difference": (),
    "mgeo_audit_unflushed": (),
    "mgeo_audit_unread": (),
    "mgeo_audit_timestamp_seconds": (),
    "mgeo_drill_failures": (),
    "mgeo_drill_timestamp_seconds": (),
    "mgeo_workday": (),
    "mgeo_traffic_expected": (),
    "hw_gpu_memory_usage_bytes": ("hw_id", "hw_model", "hw_vendor"),
    "hw_gpu_memory_limit_bytes": ("hw_id", "hw_model", "hw_vendor"),
    "hw_gpu_memory_utilization": ("hw_id", "hw_model", "hw_vendor"),
    "hw_gpu_utilization": ("hw_id", "hw_model", "hw_vendor"),
}

LOG_FIELDS = [
    "timestamp",
    "level",
    "event",
    "service",
    "instance",
    "request_id",
    "trace_id",
    "span_id",
    "function",
    "status",
    "latency_ms",
    "output_length",
    "error_type",
    "error_message",
    "address1_length",
    "address2_length",
    "address1_hash",
    "address2_hash",
    "truncated",
    "batch_id",
    "batch_size",
    "queue_ms",
    "inference_ms",
    "model",
    "label",
    "similarity",
]


def by_prometheus() -> dict[str, Metric]:
    return {metric.prometheus: metric for metric in names.METRICS}


def labels(metric: Metric) -> tuple[str, ...]:
    return tuple(attribute.replace(".", "_") for attribute in metric.attributes)


def otlp_receivers_name(metric: Metric) -> str:
    """Prometheus' own OTLP translation (suffixes on, no scope): units in words, `{annotations}` dropped, 1 a ratio, counters `_total`."""
    unit = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}.get(metric.unit, "")
    assert unit or re.fullmatch(r"\{\w+\}", metric.unit), metric.unit
    return metric.name.replace(".", "_") + unit + ("_total" if metric.kind is Kind.COUNTER else "")


@pytest.mark.parametrize("metric", [*names.METRICS, *names.SDK_METRICS], ids=lambda metric: metric.name)
def test_the_prometheus_name_is_what_the_otlp_receiver_makes(metric: Metric) -> None:
    """So that one rule file fits the scrape and the push; no gauge has unit 1, which only the receiver calls a ratio."""
    assert metric.prometheus == otlp_receivers_name(metric)
    assert metric.unit != "1"


@pytest.mark.parametrize(("name", "expected"), list(CONTRACT.items()))
def test_the_contracts_metrics_are_in_the_table_with_their_labels(name: str, expected: tuple[str, ...]) -> None:
    """Nobody renames them by accident."""
    assert labels(by_prometheus()[name]) == expected


def test_names_are_unique() -> None:
    """In each table, by either spelling."""
    for values in (
        [metric.name for metric in (*names.METRICS, *names.SDK_METRICS)],
        [metric.prometheus for metric in (*names.METRICS, *names.SDK_METRICS)],
        [attribute.name for attribute in names.INFERENCE_ATTRIBUTES],
        [attribute.name for attribute in names.BATCH_ATTRIBUTES],
        [field.name for field in names.LOG_FIELDS],
    ):
        assert len(set(values)) == len(values)


def test_names_follow_the_conventions() -> None:
    """Lower case, dots and underscores; our prefix or a namespace of the semantic conventions."""
    attributes = [attribute.name for attribute in (*names.INFERENCE_ATTRIBUTES, *names.BATCH_ATTRIBUTES)]
    metrics = [metric.name for metric in (*names.METRICS, *names.SDK_METRICS)]

    assert [name for name in (*attributes, *metrics) if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", name)] == []
    assert {name.partition(".")[0] for name in attributes} == {"mgeo", "error", "exception", "code"}
    assert all(name.startswith("mgeo.notifier.") for name in names.NOTIFIER_SPANS)
    assert {name.partition(".")[0] for name in metrics} == {"mgeo", "hw", "http", "otel", "process", "system"}


@pytest.mark.parametrize("metric", names.METRICS, ids=lambda metric: metric.name)
def test_histograms_alone_have_boundaries_which_rise(metric: Metric) -> None:
    """And are numbers above 0."""
    assert bool(metric.boundaries) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.boundaries) == sorted(set(metric.boundaries))
    assert all(boundary > 0 for boundary in metric.boundaries)


def test_no_metric_is_labelled_by_what_has_no_bound() -> None:
    """A request id, an address hash or a batch id as a label would be a series for each inference."""
    used = {attribute for metric in names.METRICS for attribute in metric.attributes}

    assert used == {
        "status",
        "error.type",
        "stage",
        "severity",
        "name",
        "version",
        "device",
        "reason",
        "signal",
        "mgeo.folder",
        "mgeo.store",
        "hw.id",
        "hw.model",
        "hw.vendor",
        "http.request.method",
        "url.scheme",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
    }


def test_the_label_sets_of_the_requests_are_the_error_types() -> None:
    """Success without one, and each of the others with its own status."""
    success, *others = names.REQUEST_LABEL_SETS

    assert success == {"status": "success"}
    assert others == [{"status": error.outcome.value, "error.type": error.value} for error in ErrorType]


def test_closed_sets_are_those_of_the_code() -> None:
    """Status and error type, wherever they stand."""
    sets = {attribute.name: attribute.values for attribute in (*names.INFERENCE_ATTRIBUTES, *names.BATCH_ATTRIBUTES) if attribute.values}

    assert sets == {
        "mgeo.status": tuple(outcome.value for outcome in Outcome),
        "error.type": tuple(error.value for error in ErrorType),
        "mgeo.label": ("not_match", "partial_match", "exact_match"),
    }


def test_each_stage_has_an_offset_and_a_duration() -> None:
    """On the span of the inference."""
    attributes = {attribute.name for attribute in names.INFERENCE_ATTRIBUTES}

    assert {f"mgeo.stage.{stage}.{what}" for stage in Stage for what in ("offset", "duration")} == {
        name for name in attributes if name.startswith("mgeo.stage.")
    }


def test_the_log_has_the_contracts_fields_in_their_order() -> None:
    """No more and no fewer: the line is read by machines of other people."""
    assert [field.name for field in names.LOG_FIELDS] == LOG_FIELDS


def test_the_levels_in_use_are_severities() -> None:
    """Every one of them is counted from the start."""
    assert set(LEVELS.values()) <= set(names.SEVERITIES)
    assert set(LEVELS) == set(Outcome)


def test_the_notifiers_spans_are_those_of_its_own_table() -> None:
    """It cannot see this table, and what is missing here the Collector takes off its spans."""
    assert {span: tuple(a.name for a in attributes) for span, attributes in names.NOTIFIER_SPANS.items()} == notifier_names.SPANS


def test_the_closed_sets_of_the_notifiers_spans_are_those_of_its_code() -> None:
    """A value more there is a value more here."""
    sets = {a.name: a.values for attributes in names.NOTIFIER_SPANS.values() for a in attributes if a.values}

    assert sets == {
        notifier_names.FORM: tuple(Form),
        notifier_names.LANE: tuple(Lane),
        notifier_names.STATE: (MessageState.DELIVERED, MessageState.MERGED, MessageState.DEAD),
        notifier_names.OUTCOME: tuple(NotifierOutcome),
    }


def test_the_collector_lets_the_notifiers_spans_through() -> None:
    """Their names and every attribute; a name that only begins like one is none."""
    pattern = re.compile(redaction._SPAN_NAME.replace("\\\\", "\\"))

    assert all(pattern.fullmatch(span) for span in notifier_names.SPANS)
    assert pattern.fullmatch("mgeo.notifier.other") is None
    assert {name for attributes in notifier_names.SPANS.values() for name in attributes} <= set(redaction.span_and_log_keys())


@pytest.fixture(scope="module")
def families() -> Iterator[dict[str, set[str]]]:
    """Everything a process with a GPU and some HTTP traffic shows: Prometheus names with their labels."""
    exposition = Exposition()
    telemetry = setup(instance_id="i", instance_name="n", version="1", metric_readers=[exposition.reader])
    meter = telemetry.meter_provider.get_meter(names.SCOPE)
    Instruments.of(meter)
    for metric in SIMPLE.values():
        observe_value(meter, metric, lambda: 0)
    observe_losses(meter, dict)
    observe_sent(meter, dict)
    observe_depths(meter, {"file": lambda: 0})
    observe_model(meter, name="fake", version="1", device="cpu")
    card = GpuDevice(hw_id="GPU-1", index=0, name="card", memory_used_bytes=1, memory_limit_bytes=2, utilization=0.5)
    observe_gpu(meter, lambda: GpuSample(taken_at_monotonic=0.0, taken_at_unix_ns=0, devices=(card,)))
    observe_folders(meter, lambda: {"data": FolderUsage(usage_bytes=1, limit_bytes=2)})
    observe_clock_skew(meter, lambda: {"loki": 0.0})
    observe_audit(meter, lambda: AuditRecord(difference=0, unflushed=0, unread=(), ended_unix_ns=0))
    observe_drills(meter, lambda: DrillRecord(passed=0, failed=(), ended_unix_ns=0))
    observe_workday(meter, lambda: True)
    observe_cuts(meter, {"log": lambda: 1.0})
    http = names.HTTP_SERVER_DURATION
    meter.create_histogram(http.name, unit=http.unit).record(0.1, dict.fromkeys(http.attributes, "x"))
    seen: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition.render()[0].decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        seen[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    yield {name: found for name, found in seen.items() if name != "target_info"}
    telemetry.shutdown()


def test_a_scrape_shows_the_table_and_nothing_but_the_table(families: dict[str, set[str]]) -> None:
    """Every name, with the labels the table gives it."""
    assert families == {metric.prometheus: set(labels(metric)) for metric in names.METRICS}


def test_every_metric_attribute_and_field_stands_on_the_telemetry_page() -> None:
    """The page is made from the table, so whatever is missing there is missing for the reader."""
    page = telemetry_page()

    for name in (
        *(attribute.name for attribute in (*names.INFERENCE_ATTRIBUTES, *names.BATCH_ATTRIBUTES)),
        *(metric.prometheus for metric in (*names.METRICS, *names.SDK_METRICS)),
        *(field.name for field in names.LOG_FIELDS),
        *(event.value for event in names.EventName),
        *(error.value for error in ErrorType),
        *(signal for signal in names.DROP_REASONS),
    ):
        assert f"`{name}`" in page, name


SOURCES = sorted([*ROOT.glob("service/**/*.py"), *ROOT.glob("cli/**/*.py")])


def test_no_metric_or_attribute_name_is_written_outside_the_table() -> None:
    """A name in quotes elsewhere would be a second table."""
    known = {
        name
        for name in (*(metric.name for metric in names.METRICS), *(a.name for a in names.INFERENCE_ATTRIBUTES))
        if name.startswith("mgeo.")
    }
    quoted = {f'"{name}"' for name in known} | {f"'{name}'" for name in known}

    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        if path.name != "names.py"
        for name in quoted
        if name in path.read_text(encoding="utf-8")
    }

    assert found == set()
