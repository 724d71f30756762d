"""The lite profile: Prometheus scrapes, everything else is the service's own; little memory, and the same series."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.surroundings.drill_record import DrillRecord, write_record
from service.telemetry.names import METRICS, RETENTION_CUT
from tests.deadline import until
from tests.stack.running import Stack, eventually

pytestmark = pytest.mark.stack

# The promise is 400 MB beside the model; the service's own part is what it takes with the fake one.
MOST_MEMORY = 400 * 1_000_000


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(data_dir=tmp_path_factory.mktemp("lite") / "data", profile="lite", variables={"MGEO_AUDIT_INTERVAL": "60"})
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def test_the_names_and_labels_of_the_scrape_are_those_of_the_push(lite: Stack) -> None:
    """So that one set of rules and dashboards serves both profiles."""
    httpx.post(f"{lite.service_url}/v1/match", json={"address1": "甲路1号", "address2": "甲路1号"}, timeout=30)
    (series,) = eventually(lambda: lite.query('mgeo_requests_total{status="success"} > 0'))

    assert set(series["metric"]) == {"__name__", "job", "instance", "service_name", "mgeo_instance_name", "status"}
    assert (series["metric"]["job"], series["metric"]["service_name"]) == ("mgeo", "mgeo")
    assert series["metric"]["mgeo_instance_name"].endswith("/serve/0")
    boundaries = {each["metric"]["le"] for each in lite.query('mgeo_inference_duration_seconds_bucket{status="success"}')}
    assert boundaries == {
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
    }


def test_every_metric_of_the_names_table_that_can_exist_here_is_scraped(lite: Stack) -> None:
    """Under the same names as by OTLP; those of an audit and of drills too, once there was one. Nothing had to make room yet."""
    expected = {metric.prometheus for metric in METRICS if not metric.name.startswith("hw.")} - {RETENTION_CUT.prometheus}
    write_record(lite.data_dir, DrillRecord(passed=1, failed=(), ended_unix_ns=time.time_ns()))

    def known() -> set[str]:
        found = set(httpx.get(f"{lite.prometheus_url}/api/v1/label/__name__/values", timeout=20).json()["data"])
        return {name for name in expected if name in found or f"{name}_bucket" in found}

    eventually(lambda: known() == expected, deadline=120)


def test_the_whole_profile_stays_within_its_memory(lite: Stack) -> None:
    """Under load: the resident sets of all its processes, the service with the fake model among them."""
    lite.load(rate=50, seconds=10)

    assert sum(each["memory_bytes"] for each in lite.status().values()) < MOST_MEMORY


@pytest.mark.timeout(300)
def test_the_auditor_tells_by_metrics_what_it_found(lite: Stack) -> None:
    """Again, after a load that went on while it looked; there is no difference."""
    first = float(eventually(lambda: lite.query("mgeo_audit_timestamp_seconds"), deadline=120)[0]["value"][1])

    lite.load(rate=50, seconds=40)
    eventually(lambda: lite.query(f"mgeo_audit_timestamp_seconds > {first}"), deadline=120)
    (difference,) = lite.query("mgeo_audit_difference")
    (unread,) = lite.query("mgeo_audit_unread")

    assert (difference["value"][1], unread["value"][1]) == ("0", "0")
    assert set(difference["metric"]) == {"__name__", "job", "instance", "service_name", "mgeo_instance_name"}


def test_what_is_around_the_service_is_told(lite: Stack) -> None:
    """The disk of its folder and of those beside it, and the clock of the one store there is."""
    used = eventually(lambda: lite.query("system_filesystem_usage_bytes < system_filesystem_limit_bytes"))
    (skew,) = eventually(lambda: lite.query("mgeo_clock_skew_seconds"))

    assert {series["metric"]["mgeo_folder"] for series in used} == {"data", "prometheus", "alertmanager", "notifier"}
    assert (skew["metric"]["mgeo_store"], skew["value"][1]) == ("prometheus", "0")
    assert "auditor" not in lite.status()


def test_audit_says_that_it_compares_with_the_scraped_process(lite: Stack) -> None:
    """And finds no difference."""
    lite.load(rate=50, seconds=3, mix="valid=0.8,invalid=0.2")

    found = json.loads(lite.mgeo("audit", "--json", "--settle", "60s", MGEO_PROMETHEUS_URL=lite.prometheus_url).stdout)

    assert (found["profile"], found["difference"], found["loki"], found["jaeger"]) == ("lite", 0, None, None)


def test_a_program_that_is_killed_comes_back(lite: Stack) -> None:
    """Prometheus by -9; status tells of a new process that is healthy."""
    before = lite.status()["prometheus"]["pid"]

    lite.kill("prometheus")
    lite.wait_healthy("prometheus")

    assert lite.status()["prometheus"]["pid"] not in {before, None}


def test_down_leaves_no_process(tmp_path: Path) -> None:
    """Not even when supervisord was killed first."""
    stack = Stack(data_dir=tmp_path / "data", profile="lite")
    stack.up()
    pids = [each["pid"] for each in stack.status().values()]
    supervisor = int((stack.data_dir / "stack" / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)

    stack.down()

    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert stack.mgeo("status", "--json", check=False).returncode == 1
