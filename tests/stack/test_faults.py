"""What happens when parts of the running stack break, under load: every request is answered, and nothing is lost.

All stores at once and briefly, for each kind of fault; by `make test-faults` each store alone for a minute.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from cli.drill.free_ports import free_ports
from cli.stack.queue_space import queue_space
from tests.deadline import until
from tests.full_disk import fill_up, small_disk
from tests.stack.impostor import answers_over_grpc, answers_over_http
from tests.stack.running import Stack, eventually

STORES = ("collector", "prometheus", "loki", "jaeger")
MIX = "valid=0.8,invalid=0.05,oversized=0.02,cancelled=0.03,batch=0.1"
RATE = 60.0
BEFORE = 3.0
AFTER = 3.0


@contextmanager
def stopped(stack: Stack, name: str) -> Iterator[None]:
    """Stopped in good order, and started again."""
    stack.stop(name)
    try:
        yield
    finally:
        stack.start(name)


@contextmanager
def hanging(stack: Stack, name: str) -> Iterator[None]:
    """Takes connections and never answers: the kernel accepts for a process that is stopped."""
    pid = stack.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def killed(stack: Stack, name: str) -> Iterator[None]:
    """Killed with -9 at once; supervisord starts it again."""
    stack.kill(name)
    yield


@contextmanager
def failing(stack: Stack, name: str) -> Iterator[None]:
    """Every export is answered by an internal error, as the store itself tells one.

    Prometheus answers 500. Loki turns 500 into 503 on its OTLP door, and so does Jaeger's receiver with a store that fails, since
    by OTLP's rules a sender drops what is answered otherwise.
    """
    with stopped(stack, name), ExitStack() as impostors:
        if name == "collector":
            impostors.enter_context(answers_over_grpc(stack.ports["collector_grpc_port"], grpc.StatusCode.UNAVAILABLE))
        else:
            port, status = {"prometheus": ("prometheus_port", 500), "loki": ("loki_port", 503), "jaeger": ("jaeger_otlp_port", 503)}[name]
            impostors.enter_context(answers_over_http(stack.ports[port], status))
        yield


FAULTS = {"stopped": stopped, "killed": killed, "hanging": hanging, "failing": failing}


def under_load(stack: Stack, fault: Callable[[], Any], *, seconds: float, figures: Callable[[str, float], None]) -> dict[str, Any]:
    """Load before, during and after the fault; then wait until the stack is well and audit it."""
    calm = stack.load(rate=RATE, seconds=max(BEFORE, seconds / 2), mix=MIX, seed=time.time_ns() % 1_000_000)
    load = stack.start_load(rate=RATE, seconds=BEFORE + seconds + AFTER, mix=MIX, seed=time.time_ns() % 1_000_000)
    until_moment(BEFORE)
    with fault():
        until_moment(seconds)
    report = load.report()
    stack.wait_healthy()
    assert report["outcomes"].get("unreachable", 0) == 0, report
    assert report["outcomes"].get("unexpected", 0) == 0, report
    figures("p99, calm", p99(calm))
    figures("p99, with the fault", p99(report))
    figures("p99 over calm", p99(report) / p99(calm))
    found = stack.audit(settle=180.0)
    assert found["difference"] == 0, found
    return found


def p99(report: dict[str, Any]) -> float:
    """Seconds, of the successes."""
    value: float = report["latency_seconds"]["success"]["p99"]
    return value


def until_moment(seconds: float) -> None:
    """The fault lasts as long as it lasts: a length of time is what is tested, not a condition."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, deadline=seconds + 5)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Write down a figure of this test, for docs/benchmarks.md."""
    folder = os.environ.get("FAULT_FIGURES")

    def note(name: str, value: float) -> None:
        print(f"{request.node.name}: {name} = {value:.3g}")
        if folder:
            with Path(folder).open("a") as file:
                file.write(json.dumps({"test": request.node.name, "name": name, "value": value}) + "\n")

    return note


@pytest.mark.stack
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", FAULTS)
def test_all_stores_and_the_collector_failing_at_once_cost_nothing(stack: Stack, kind: str, figures: Callable[[str, float], None]) -> None:
    """Six seconds without any of them."""

    @contextmanager
    def all_at_once() -> Iterator[None]:
        with ExitStack() as faults:
            for name in STORES:
                faults.enter_context(FAULTS[kind](stack, name))
            yield

    under_load(stack, all_at_once, seconds=6.0, figures=figures)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", STORES)
def test_one_of_them_failing_for_a_minute_costs_nothing(stack: Stack, name: str, kind: str, figures: Callable[[str, float], None]) -> None:
    """Each alone, each kind, for a minute."""
    under_load(stack, lambda: FAULTS[kind](stack, name), seconds=60.0, figures=figures)


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_the_service_killed_under_load_accounts_for_what_was_open(stack: Stack) -> None:
    """Its open inferences are closed as `process_died` by the next start; what was not yet collected is `unflushed`, not a difference."""
    load = stack.start_load(rate=RATE, seconds=12, mix="valid=1")
    until_moment(5)
    stack.kill("service")
    assert load.report()["outcomes"]["unreachable"] > 0
    stack.wait_healthy("service")
    stack.load(rate=RATE, seconds=3, mix="valid=1")

    found = stack.audit(settle=120.0)

    assert found["difference"] == 0, found
    assert found["unflushed"] >= 0


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_full_disk_under_the_collectors_queue_costs_nothing(tmp_path: Path, figures: Callable[[str, float], None]) -> None:
    """The stores are away, others fill the queues' disk to its last byte, and the fullest queue refuses: the spool keeps what comes."""
    queue = 1_048_576
    stack = Stack(data_dir=tmp_path / "full", profile="full", variables={"MGEO_COLLECTOR_QUEUE_BYTES": str(queue)})
    folder = stack.data_dir / "stack" / "collector"
    folder.parent.mkdir(parents=True)
    with small_disk(folder, 3 * queue_space(queue) + 100_000) as disk:
        try:
            stack.up()
            fill_up(disk / "of-others")
            calm = stack.load(rate=RATE, seconds=10, mix=MIX)
            with stopped(stack, "loki"), stopped(stack, "jaeger"):
                report = stack.load(rate=RATE, seconds=20, mix=MIX)
                assert eventually(lambda: stack.query('otelcol_exporter_enqueue_failed_spans{exporter="otlp_http/jaeger"} > 0'))
                assert free_bytes(disk) == 0
            stack.wait_healthy()
            assert report["outcomes"]["unreachable"] == 0
            assert stack.audit(settle=180.0)["difference"] == 0
            figures("p99 over calm", p99(report) / p99(calm))
        finally:
            stack.down()


def free_bytes(disk: Path) -> int:
    """What is left."""
    usage = os.statvfs(disk)
    return usage.f_bavail * usage.f_frsize


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_spool_six_hours_old_is_taken_behind_fresh_data(stack: Stack) -> None:
    """Loki, Prometheus and Jaeger take what is six hours older than what they have, and audit finds it where it belongs."""
    httpx.post(f"{stack.service_url}/v1/match", json={"address1": "甲路1号", "address2": "甲路1号"}, timeout=30)
    eventually(lambda: stack.lines('{service_name="mgeo"} |= "mgeo.inference"'))
    ago = 6 * 3600
    past = Stack(data_dir=stack.data_dir.with_name("past"), profile="lite", ports=stack.ports)
    identity = {"MGEO_INSTANCE_NAME": "from-the-past", "MGEO_SHUTDOWN_GRACE": "1"}
    (closed,) = free_ports(1)
    # Six hours ago by its own clock a process answers, finds no Collector, and ends: its telemetry stays in its spool.
    past.mgeo(
        "match",
        "甲路1号",
        "甲路2号",
        within=("faketime", "-f", f"-{ago}s"),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed}",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        **identity,
    )
    assert [file for file in (past.data_dir / "spool").rglob("*") if file.is_file() and file.stat().st_size]

    past.mgeo("match", "甲路3号", "甲路4号", OTEL_EXPORTER_OTLP_ENDPOINT=stack.url("collector_grpc_port"), **identity)

    lines = '{service_name="mgeo"} |= "mgeo.inference" | mgeo_instance_name="from-the-past"'
    found = eventually(lambda: two(stack.lines(lines, since=ago + 3600)))
    assert {line["trace_id"] for line in found if not eventually(lambda line=line: stack.trace(line["trace_id"]))} == set()
    value = eventually(
        lambda: stack.value_at('mgeo_requests_total{mgeo_instance_name="from-the-past",status="success"}', time.time() - ago)
    )
    assert value == 1


def two(found: list[Any]) -> list[Any]:
    return found if len(found) == 2 else []
