"""Each signal of each process really arrives in its store, and every correlation leads somewhere: the running native stack."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import pytest

from service.surroundings.drill_record import DrillRecord, write_record
from service.telemetry.ids import trace_id_of
from service.telemetry.names import METRICS, RETENTION_CUT
from tests.stack.running import Stack, eventually

pytestmark = pytest.mark.stack

FIRST, SECOND = "浙江省杭州市西湖区文三路478号华星时代广场A座", "杭州市西湖区文三路478号"


@dataclass(frozen=True)
class Row:
    """One signal of one process: adding a process is adding a line."""

    process: str
    signal: str
    query: str


MATRIX = [
    Row("service", "metrics", 'mgeo_requests_total{job="mgeo",status="success"} > 0'),
    Row("service", "up", 'up{job="mgeo"} == 1'),
    Row("service", "logs", '{service_name="mgeo"} |= "mgeo.inference" | mgeo_instance_name=~".*/serve/.*"'),
    Row("service", "traces", "mgeo.inference"),
    Row("match", "metrics", 'mgeo_requests_total{mgeo_instance_name=~".*/match/.*",status="success"} > 0'),
    Row("match", "logs", '{service_name="mgeo"} | mgeo_instance_name=~".*/match/.*"'),
    Row("collector", "metrics", 'otelcol_exporter_sent_spans{job="collector"} > 0'),
    Row("collector", "up", 'up{job="collector"} == 1'),
    Row("prometheus", "metrics", 'prometheus_tsdb_head_series{job="prometheus"} > 0'),
    Row("loki", "metrics", 'loki_build_info{job="loki"} == 1'),
    Row("jaeger", "metrics", 'up{job="jaeger"} == 1'),
    Row("alertmanager", "metrics", 'alertmanager_build_info{job="alertmanager"} == 1'),
]


@pytest.fixture(scope="module")
def request_id(stack: Stack) -> str:
    """One request to the service, and one row matched by a process beside it."""
    name = f"matrix-{time.time_ns()}"
    answer = httpx.post(
        f"{stack.service_url}/v1/match", json={"address1": FIRST, "address2": SECOND}, headers={"X-Request-ID": name}, timeout=30
    )
    assert answer.status_code == 200
    stack.mgeo("match", FIRST, SECOND, OTEL_EXPORTER_OTLP_ENDPOINT=stack.url("collector_grpc_port"))
    return name


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row.process}-{row.signal}")
def test_each_signal_of_each_process_arrives(stack: Stack, request_id: str, row: Row) -> None:
    """Polled until it is there; the three signals take different ways, so one says nothing of another."""
    if row.signal == "traces":
        assert eventually(lambda: [span for span in stack.trace(trace_id_of(request_id)) if span["name"] == row.query])
    elif row.signal == "logs":
        assert eventually(lambda: stack.lines(row.query))
    else:
        assert eventually(lambda: stack.query(row.query))


def test_every_metric_of_the_names_table_that_can_exist_here_does(stack: Stack, request_id: str) -> None:
    """Pushed under the Prometheus name the table says; what needs a GPU is absent without one; an audit and drills have been recorded."""
    expected = {metric.prometheus for metric in METRICS if not metric.name.startswith("hw.")} - {RETENTION_CUT.prometheus}
    stack.audit("--record", check=False)
    write_record(stack.data_dir, DrillRecord(passed=1, failed=(), ended_unix_ns=time.time_ns()))

    def known() -> set[str]:
        names = httpx.get(f"{stack.prometheus_url}/api/v1/label/__name__/values", timeout=20).json()["data"]
        found = set(names)
        return {name for name in expected if name in found or f"{name}_bucket" in found}

    eventually(lambda: known() == expected)


def test_a_series_of_the_service_exists_once(stack: Stack, request_id: str) -> None:
    """The scrape that watches whether the service is up keeps nothing else."""
    series = eventually(lambda: stack.query('mgeo_requests_total{status="success",mgeo_instance_name=~".*/serve/.*"}'))

    assert [each["metric"]["job"] for each in series] == ["mgeo"]
    assert stack.query('count by (instance) (up{job="mgeo"})')[0]["metric"]["instance"] == series[0]["metric"]["instance"]


def test_an_exemplar_opens_its_trace(stack: Stack, request_id: str) -> None:
    """Each exemplar of the duration of answers has a trace id that Jaeger knows."""

    def exemplars() -> list[str]:
        answer = httpx.get(
            f"{stack.prometheus_url}/api/v1/query_exemplars",
            params={
                "query": 'mgeo_inference_duration_seconds_bucket{status="success"}',
                "start": time.time() - 600,
                "end": time.time() + 60,
            },
            timeout=20,
        ).json()["data"]
        return [exemplar["labels"]["trace_id"] for series in answer for exemplar in series["exemplars"]]

    traces = eventually(exemplars)
    assert {trace for trace in traces if not eventually(lambda trace=trace: stack.trace(trace))} == set()


def test_a_log_line_opens_its_trace_and_a_trace_its_log_line(stack: Stack, request_id: str) -> None:
    """Both ways by structured metadata, which is what Grafana's links ask for."""
    (line,) = eventually(lambda: stack.lines(f'{{service_name="mgeo"}} | request_id="{request_id}"'))
    spans = eventually(lambda: stack.trace(line["trace_id"]))
    (span,) = [span for span in spans if span["spanId"] == line["span_id"]]

    assert span["name"] == line["line"] == "mgeo.inference"
    assert [each["request_id"] for each in stack.lines(f'{{service_name="mgeo"}} | trace_id="{span["traceId"]}"')] == [request_id]


def test_no_address_is_in_any_store(stack: Stack, request_id: str) -> None:
    """Neither as text in Loki nor on the spans of Jaeger."""
    eventually(lambda: stack.lines(f'{{service_name="mgeo"}} | request_id="{request_id}"'))
    spans = eventually(lambda: stack.trace(trace_id_of(request_id)))

    assert "文三路" not in str(spans)
    assert stack.lines('{service_name="mgeo"} |= "文三路"') == []
