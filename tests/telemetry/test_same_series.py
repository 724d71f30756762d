"""The same names and labels by scrape of `/metrics` and by OTLP, so that the same rule files work on both.

The bounds of buckets are compared as numbers: Prometheus writes `le="1.0"` where it scrapes and `le="1"` where it receives
OTLP, which relabelling in the stack's configuration makes equal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from service.gpu import FakeGpuReader, GpuDevice
from service.surroundings import audit_record, drill_record
from service.surroundings.audit_record import AuditRecord
from service.surroundings.drill_record import DrillRecord
from service.telemetry import names
from tests.dated_store import DatedStore, http_date
from tests.e2e.receiver import Receiver
from tests.telemetry.in_process import running, until
from tests.telemetry.otlp_series import CUMULATIVE, Series, prometheus_name, received, scraped

PAIR = {"address1": "浙江省杭州市西湖区文三路478号", "address2": "杭州市西湖区文三路478号"}
CARD = GpuDevice(
    hw_id="GPU-1", index=0, name="NVIDIA L4", memory_used_bytes=6_000_000_000, memory_limit_bytes=24_000_000_000, utilization=0.37
)
SAMPLED = {"system.filesystem.usage", "mgeo.clock.skew", "mgeo.audit.difference", "mgeo.drill.failures", "mgeo.workday"}
OURS = ("mgeo_", "hw_", "http_", "system_")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """An OTLP receiver on this machine, to which the process under test sends."""
    receiver = Receiver()
    for name, value in receiver.variables.items():
        monkeypatch.setenv(name, value)
    # Collected when the test flushes, not while it is still sending requests.
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "600000")
    yield receiver
    receiver.close()


@pytest.fixture
def _one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with one card."""
    monkeypatch.setattr("service.recording.open_gpu_reader", lambda _mode: (FakeGpuReader([(CARD,)]), ""))


@pytest.fixture
def store() -> Iterator[DatedStore]:
    """A Prometheus on this machine, of which only the time is asked."""
    with DatedStore(lambda: http_date(time.time())) as store:
        yield store


def ours(series: set[Series]) -> set[Series]:
    return {one for one in series if one[0].startswith(OURS)}


@pytest.mark.usefixtures("_one_gpu")
async def test_a_scrape_and_otlp_give_the_same_series(tmp_path: Path, receiver: Receiver, store: DatedStore) -> None:
    """Of one process with a GPU, a store, an audit and drills, after requests of several outcomes: not one series more or less by either way."""
    audit_record.write_record(tmp_path, AuditRecord(difference=0, unflushed=0, unread=(), ended_unix_ns=0))
    drill_record.write_record(tmp_path, DrillRecord(passed=0, failed=(), ended_unix_ns=0))
    async with running(tmp_path, prometheus_url=store.url) as service:
        await until(service.runtime.recording.gpu.latest)
        await until(lambda: set(service.points()) >= SAMPLED)
        await service.client.post("/v1/match", json=PAIR)
        await service.client.post("/v1/match", json={"address1": "杭州"})
        await service.client.post("/v1/match/batch", json={"pairs": [PAIR, PAIR]})
        await service.client.get("/nowhere")
        exposition = (await service.client.get("/metrics")).text
        assert service.runtime.recording.telemetry.meter_provider.force_flush()
    metrics = receiver.metrics.values()

    by_scrape, by_otlp = ours(scraped(exposition)), ours(received(metrics))

    assert by_scrape ^ by_otlp == set()
    # Nothing had to make room.
    expected = {metric.prometheus for metric in names.METRICS if metric.prometheus.startswith(OURS)} - {names.RETENTION_CUT.prometheus}
    assert {name.removesuffix("_bucket") for name, _, bound in by_otlp if bound is not None} | {
        name for name, _, bound in by_otlp if bound is None and not name.endswith(("_count", "_sum"))
    } == expected
    assert ("hw_gpu_utilization", frozenset({("hw_id", "GPU-1"), ("hw_model", "NVIDIA L4"), ("hw_vendor", "nvidia")}), None) in by_otlp
    assert ("mgeo_inference_duration_seconds_bucket", frozenset({("status", "success")}), 0.8) in by_otlp
    assert {dict(labels)["http_response_status_code"] for name, labels, _ in by_otlp if name.startswith("http_")} == {"200", "404", "422"}
    assert [metric.name for metric in metrics if metric.WhichOneof("data") == "gauge" and metric.unit == "1"] == []


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric(name="mgeo.requests", unit="{request}", sum={"is_monotonic": True}), "mgeo_requests_total"),
        (Metric(name="mgeo.requests.total", unit="{request}", sum={"is_monotonic": True}), "mgeo_requests_total"),
        (Metric(name="mgeo.sent", unit="By", sum={"is_monotonic": True}), "mgeo_sent_bytes_total"),
        (Metric(name="mgeo.requests.active", unit="{request}", sum={"is_monotonic": False}), "mgeo_requests_active"),
        (Metric(name="mgeo.inference.duration", unit="s", histogram={}), "mgeo_inference_duration_seconds"),
        (Metric(name="hw.gpu.memory.usage", unit="By", gauge={}), "hw_gpu_memory_usage_bytes"),
        (Metric(name="hw.gpu.utilization", unit="1", gauge={}), "hw_gpu_utilization_ratio"),
        (Metric(name="hw.gpu.utilization", unit="{ratio}", gauge={}), "hw_gpu_utilization"),
    ],
)
def test_the_rules_of_prometheus_for_names(metric: Metric, name: str) -> None:
    """Dots become underscores, units words, braces nothing; counters end in `_total`, a gauge of unit 1 would in `_ratio`."""
    assert prometheus_name(metric) == name


def test_the_rules_of_prometheus_for_points() -> None:
    """A histogram is its buckets, with one more at infinity, its count and its sum; labels are escaped, empty ones are none."""
    labels = [{"key": "error.type", "value": {"string_value": "x"}}, {"key": "none", "value": {"string_value": ""}}]
    point = {"attributes": labels, "explicit_bounds": [1, 2.5], "bucket_counts": [1, 0, 0], "count": 1, "sum": 0.5}
    metric = Metric(name="a.b", unit="s", histogram={"aggregation_temporality": CUMULATIVE, "data_points": [point]})
    kept = frozenset({("error_type", "x")})

    assert received([metric]) == {
        ("a_b_seconds_bucket", kept, 1.0),
        ("a_b_seconds_bucket", kept, 2.5),
        ("a_b_seconds_bucket", kept, math.inf),
        ("a_b_seconds_count", kept, None),
        ("a_b_seconds_sum", kept, None),
    }
    text = "\n".join(
        [
            "# TYPE a_b_seconds histogram",
            *(f'a_b_seconds_bucket{{error_type="x",none="",le="{bound}",job="j"}} 1' for bound in ("1.0", "2.5", "+Inf")),
            'a_b_seconds_count{error_type="x"} 1',
            'a_b_seconds_sum{error_type="x"} 0.5',
            "# TYPE target_info gauge",
            'target_info{service_name="mgeo"} 1',
            "",
        ]
    )
    assert scraped(text) == received([metric])
