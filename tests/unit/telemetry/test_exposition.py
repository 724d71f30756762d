"""What a scrape of `/metrics` sees."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from service.telemetry import names
from service.telemetry.exposition import Exposition
from service.telemetry.gauges import (
    observe_audit,
    observe_clock_skew,
    observe_cuts,
    observe_depths,
    observe_drills,
    observe_folders,
    observe_losses,
    observe_model,
    observe_sent,
    observe_value,
    observe_workday,
)
from service.telemetry.metrics import Instruments
from service.telemetry.sdk import setup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

DURATION_BOUNDARIES = (
    "0.001",
    "0.0025",
    "0.005",
    "0.01",
    "0.025",
    "0.05",
    "0.1",
    "0.2",
    "0.4",
    "0.8",
    "1.5",
    "2.5",
    "5",
    "10",
    "30",
    "+Inf",
)
SHORT_BOUNDARIES = ("1e-05", "0.0001", *DURATION_BOUNDARIES)
BATCH_BOUNDARIES = ("1", "2", "4", "8", "16", "32", "64", "128", "256", "+Inf")
STATUSES = ("success", "invalid", "overloaded", "timeout", "cancelled", "error")
STAGES = ("read", "clean", "queue", "tokenize", "inference", "deliver")
OTLP_SIGNALS = ("traces", "metrics", "logs")
OTLP_REASONS = ("spool_full", "spool_expired", "refused", "rejected", "write_failed", "corrupt", "encode_failed")

FRESH = {
    'mgeo_requests_total{error_type="",status="success"}',
    'mgeo_requests_total{error_type="malformed_json",status="invalid"}',
    'mgeo_requests_total{error_type="body_too_large",status="invalid"}',
    'mgeo_requests_total{error_type="unsupported_media_type",status="invalid"}',
    'mgeo_requests_total{error_type="missing_field",status="invalid"}',
    'mgeo_requests_total{error_type="wrong_type",status="invalid"}',
    'mgeo_requests_total{error_type="empty_address",status="invalid"}',
    'mgeo_requests_total{error_type="address_too_long",status="invalid"}',
    'mgeo_requests_total{error_type="invalid_text",status="invalid"}',
    'mgeo_requests_total{error_type="too_many_pairs",status="invalid"}',
    'mgeo_requests_total{error_type="invalid_header",status="invalid"}',
    'mgeo_requests_total{error_type="queue_full",status="overloaded"}',
    'mgeo_requests_total{error_type="breaker_open",status="overloaded"}',
    'mgeo_requests_total{error_type="not_ready",status="overloaded"}',
    'mgeo_requests_total{error_type="shutting_down",status="overloaded"}',
    'mgeo_requests_total{error_type="deadline_exceeded",status="timeout"}',
    'mgeo_requests_total{error_type="client_disconnected",status="cancelled"}',
    'mgeo_requests_total{error_type="caller_cancelled",status="cancelled"}',
    'mgeo_requests_total{error_type="model_failed",status="error"}',
    'mgeo_requests_total{error_type="invalid_output",status="error"}',
    'mgeo_requests_total{error_type="device_failed",status="error"}',
    'mgeo_requests_total{error_type="worker_stuck",status="error"}',
    'mgeo_requests_total{error_type="worker_died",status="error"}',
    'mgeo_requests_total{error_type="function_failed",status="error"}',
    'mgeo_requests_total{error_type="process_died",status="error"}',
    'mgeo_requests_total{error_type="internal",status="error"}',
    *(f'mgeo_inference_duration_seconds_bucket{{le="{le}",status="{status}"}}' for status in STATUSES for le in DURATION_BOUNDARIES),
    *(f'mgeo_inference_duration_seconds_count{{status="{status}"}}' for status in STATUSES),
    *(f'mgeo_inference_duration_seconds_sum{{status="{status}"}}' for status in STATUSES),
    *(f'mgeo_inference_stage_duration_seconds_bucket{{le="{le}",stage="{stage}"}}' for stage in STAGES for le in SHORT_BOUNDARIES),
    *(f'mgeo_inference_stage_duration_seconds_count{{stage="{stage}"}}' for stage in STAGES),
    *(f'mgeo_inference_stage_duration_seconds_sum{{stage="{stage}"}}' for stage in STAGES),
    "mgeo_requests_active",
    *(f'mgeo_batch_size_bucket{{le="{le}"}}' for le in BATCH_BOUNDARIES),
    "mgeo_batch_size_count",
    "mgeo_batch_size_sum",
    "mgeo_queue_depth",
    *(f'mgeo_queue_wait_seconds_bucket{{le="{le}"}}' for le in SHORT_BOUNDARIES),
    "mgeo_queue_wait_seconds_count",
    "mgeo_queue_wait_seconds_sum",
    'mgeo_log_records_total{severity="DEBUG"}',
    'mgeo_log_records_total{severity="INFO"}',
    'mgeo_log_records_total{severity="WARNING"}',
    'mgeo_log_records_total{severity="ERROR"}',
    'mgeo_log_records_total{severity="CRITICAL"}',
    'mgeo_worker_restarts_total{reason="died"}',
    'mgeo_worker_restarts_total{reason="stuck"}',
    "mgeo_breaker_open",
    *(f'mgeo_telemetry_dropped_total{{reason="{reason}",signal="{signal}"}}' for signal in OTLP_SIGNALS for reason in OTLP_REASONS),
    'mgeo_telemetry_dropped_total{reason="queue_full",signal="file"}',
    'mgeo_telemetry_dropped_total{reason="write_failed",signal="file"}',
    'mgeo_telemetry_dropped_total{reason="queue_full",signal="store"}',
    'mgeo_telemetry_dropped_total{reason="write_failed",signal="store"}',
    'mgeo_telemetry_dropped_total{reason="exception",signal="recorder"}',
    'mgeo_telemetry_dropped_total{reason="table_full",signal="open_events"}',
    'mgeo_telemetry_dropped_total{reason="exception",signal="collection"}',
    'mgeo_telemetry_queue_depth{signal="file"}',
    'mgeo_telemetry_queue_depth{signal="store"}',
    *(f'mgeo_telemetry_sent_total{{signal="{signal}"}}' for signal in OTLP_SIGNALS),
    "mgeo_spool_size_bytes",
    "mgeo_spool_age_seconds",
    "mgeo_store_size_bytes",
    "process_uptime_seconds",
    "mgeo_traffic_expected",
}
AT_ONE = {
    'mgeo_model_info{device="cpu",name="fake",version="1"}',
    (
        'target_info{mgeo_instance_name="host/serve/0",service_instance_id="instance-1",service_name="mgeo",service_version="1.2.3",'
        f'telemetry_sdk_language="python",telemetry_sdk_name="opentelemetry",telemetry_sdk_version="{version("opentelemetry-sdk")}"}}'
    ),
}


def series(families: Iterable[Metric]) -> dict[str, float]:
    """The samples by series, each with its labels in order."""
    return {
        sample.name
        + ("{" + ",".join(f'{name}="{sample.labels[name]}"' for name in sorted(sample.labels)) + "}" if sample.labels else ""): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def exposition() -> Iterator[Exposition]:
    """That of a process that has just started, as the service composes it, without a GPU."""
    exposition = Exposition()
    telemetry = setup(instance_id="instance-1", instance_name="host/serve/0", version="1.2.3", metric_readers=[exposition.reader])
    meter = telemetry.meter_provider.get_meter(names.SCOPE)
    Instruments.of(meter)
    for metric in (
        names.REQUESTS_ACTIVE,
        names.QUEUE_LENGTH,
        names.BREAKER_STATE,
        names.STORE_SIZE,
        names.PROCESS_UPTIME,
        names.SPOOL_SIZE,
        names.SPOOL_AGE,
        names.TRAFFIC_EXPECTED,
    ):
        observe_value(meter, metric, lambda: 0)
    observe_losses(meter, dict)
    observe_sent(meter, dict)
    observe_depths(meter, {"file": lambda: 0, "store": lambda: 0})
    observe_model(meter, name="fake", version="1", device="cpu")
    # Of these nothing is known yet.
    observe_folders(meter, lambda: None)
    observe_clock_skew(meter, lambda: None)
    observe_audit(meter, lambda: None)
    observe_drills(meter, lambda: None)
    observe_workday(meter, lambda: None)
    observe_cuts(meter, {"embedded": lambda: None, "log": lambda: None})
    yield exposition
    assert telemetry.shutdown()


def test_a_fresh_process_shows_exactly_these_series(exposition: Exposition) -> None:
    """All at 0 but for the two that describe, so that the first request of each kind is an increase."""
    text, content_type = exposition.render()

    seen = series(parse_text(text.decode()))

    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert set(seen) == FRESH | AT_ONE
    assert {name for name, value in seen.items() if value != 0} == AT_ONE
    assert {seen[name] for name in AT_ONE} == {1}


def test_openmetrics_shows_the_same_series(exposition: Exposition) -> None:
    """A scraper that asks for it gets the other format, which its own parser accepts, with the same content."""
    text, content_type = exposition.render(OPENMETRICS)

    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    assert text.endswith(b"# EOF\n")
    assert series(parse_openmetrics(text.decode())) == series(parse_text(exposition.render()[0].decode()))


def test_no_scope_stands_among_the_labels(exposition: Exposition) -> None:
    """Prometheus' OTLP receiver adds none either, and the rules must fit both."""
    assert b"otel_scope" not in exposition.render()[0]
    assert b"otel_scope" not in exposition.render(OPENMETRICS)[0]


def test_every_series_has_its_help_and_type(exposition: Exposition) -> None:
    """Dashboards show the help; the type decides what a query may do."""
    families = {family.name: family for family in parse_text(exposition.render()[0].decode())}

    assert {name: family.type for name, family in families.items()} == {
        "target_info": "gauge",
        "mgeo_requests": "counter",
        "mgeo_inference_duration_seconds": "histogram",
        "mgeo_inference_stage_duration_seconds": "histogram",
        "mgeo_requests_active": "gauge",
        "mgeo_batch_size": "histogram",
        "mgeo_queue_depth": "gauge",
        "mgeo_queue_wait_seconds": "histogram",
        "mgeo_log_records": "counter",
        "mgeo_model_info": "gauge",
        "mgeo_worker_restarts": "counter",
        "mgeo_breaker_open": "gauge",
        "mgeo_telemetry_dropped": "counter",
        "mgeo_telemetry_queue_depth": "gauge",
        "mgeo_telemetry_sent": "counter",
        "mgeo_spool_size_bytes": "gauge",
        "mgeo_spool_age_seconds": "gauge",
        "mgeo_store_size_bytes": "gauge",
        "process_uptime_seconds": "gauge",
        "mgeo_traffic_expected": "gauge",
    }
    assert families["mgeo_requests"].documentation == "Inferences that ended, by status and, but for success, by error type."
    assert [name for name, family in families.items() if not family.documentation] == []


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "nonsense;;q=", "text/plain; version=0.0.4"])
def test_whatever_is_asked_for_gets_the_text_format(exposition: Exposition, accept: str) -> None:
    """A browser or a careless client sees something it can show."""
    assert exposition.render(accept)[1].startswith("text/plain; version=0.0.4")


def test_concurrent_scrapes_each_get_the_whole(exposition: Exposition) -> None:
    """Two Prometheus servers at the same instant: neither gets half, or twice."""
    together = threading.Barrier(8)

    def scrape(_: int) -> list[str]:
        together.wait(10)
        return sorted(line.rpartition(" ")[0] for line in exposition.render()[0].decode().splitlines() if not line.startswith("#"))

    with ThreadPoolExecutor(8) as pool:
        scrapes = list(pool.map(scrape, range(8)))

    assert len(scrapes[0]) == len(FRESH | AT_ONE)
    assert all(scrape == scrapes[0] for scrape in scrapes)


def test_two_processes_in_one_do_not_mix(exposition: Exposition) -> None:
    """Each exposition has a registry of its own, not the library's global one."""
    assert Exposition().render()[0] == b""
