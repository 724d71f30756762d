"""Inferences sent = spans = log lines = log records = counter = histogram count = rows, per outcome, on a real server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e import ledger
from tests.e2e.receiver import Receiver
from tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.slow

PAIRS = """address1,address2
浙江省杭州市西湖区文三路478号,杭州市西湖区文三路478号
上海市浦东新区世纪大道100号,上海浦东世纪大道100号
北京市海淀区中关村大街27号,广州市天河区体育西路1号
北京市海淀区中关村大街28号,广州市天河区体育西路2号
北京市海淀区中关村大街29号,广州市天河区体育西路3号
北京市海淀区中关村大街30号,广州市天河区体育西路4号
北京市海淀区坏路31号,广州市天河区体育西路5号
"""
EVERY_OUTCOME = {"success", "invalid", "overloaded", "timeout", "cancelled", "error"}


def assert_parity(receiver: Receiver, server: Server, sent: int) -> Counter[str]:
    """Every signal of a server that has ended tells of the same inferences; returns them by status."""
    stored = ledger.stored(server.data_dir)
    assert {
        "rows": stored,
        "log lines": ledger.logged(server.data_dir),
        "spans": receiver.inference_spans(),
        "log records": receiver.inference_logs(),
        "counter": receiver.counted(),
        "histogram": receiver.observed(),
    } == dict.fromkeys(("rows", "log lines", "spans", "log records", "counter", "histogram"), stored)
    assert stored.total() == sent
    return stored


def load(server: Server, tmp_path: Path, *, rate: int, seconds: int, mix: str) -> subprocess.Popen[str]:
    """`mgeo load` in a process of its own; its report comes on standard output."""
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(PAIRS)
    options = ["--rate", str(rate), "--duration", f"{seconds}s", "--mix", mix, "--pairs", str(pairs), "--connections", "900", "--json"]
    command = [sys.executable, "-m", "cli.main", "load", "--url", server.url, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_under_a_load_of_all_outcomes_every_signal_counts_the_same_inferences(start, receiver, tmp_path):
    """A small queue, a model that raises on some texts, a breaker that opens, callers that leave and callers in a hurry."""
    settings = {"queue_size": 8, "max_batch_size": 4, "breaker_failures": 2, "breaker_cooldown": 0.2}
    server = start(model=0.02, otel=receiver.variables, **settings)
    mix = "valid=0.66,invalid=0.1,oversized=0.02,cancelled=0.15,batch=0.07"
    process = load(server, tmp_path, rate=120, seconds=8, mix=mix)
    hurried: Counter[int] = Counter()

    def hurry() -> None:
        while process.poll() is None:
            hurried[server.match("杭州慢路1号", "杭州慢路2号", X_Request_Timeout="0.2").status_code] += 1

    callers = [threading.Thread(target=hurry) for _ in range(2)]
    for caller in callers:
        caller.start()
    report = json.loads(process.communicate(timeout=60)[0])
    for caller in callers:
        caller.join()
    exposition = server.get("/metrics").text
    server.stop()
    assert (report["not_sent"], report["outcomes"]["unreachable"], report["outcomes"]["unexpected"]) == (0, 0, 0)
    assert set(hurried) <= {503, 504, 500}
    counted = assert_parity(receiver, server, report["inferences"] + hurried.total())
    assert set(counted) == EVERY_OUTCOME
    # Who left may have been answered, refused or failed before that was noticed; all others know how they ended.
    answered = Counter(report["inferences_by_outcome"]) + Counter(
        {"overloaded": hurried[503], "timeout": hurried[504], "error": hurried[500]}
    )
    assert all(counted[outcome] >= answered[outcome] for outcome in EVERY_OUTCOME - {"cancelled"})
    assert 0 < counted["cancelled"] <= answered["cancelled"]
    assert ledger.scraped(exposition, "mgeo_requests_total", "status") == counted
    assert ledger.scraped(exposition, "mgeo_inference_duration_seconds_count", "status") == counted
    assert ledger.scraped(exposition, "mgeo_telemetry_dropped_total", "signal") == Counter()


def test_a_stop_under_load_ends_every_inference_and_flushes_every_signal(start, receiver, tmp_path):
    """SIGTERM in the middle: what was accepted is answered or ended, and counted the same everywhere; the exit code is 0."""
    server = start(model=0.02, otel=receiver.variables)
    process = load(server, tmp_path, rate=100, seconds=6, mix="valid=0.9,batch=0.1")
    server.wait_for(lambda: ledger.scraped(server.get("/metrics").text, "mgeo_requests_total", "status").total() > 150)
    server.stop()
    report = json.loads(process.communicate(timeout=60)[0])
    known = Counter(report["inferences_by_outcome"])
    counted = assert_parity(receiver, server, ledger.stored(server.data_dir).total())
    assert counted["success"] == known["success"]
    assert counted.total() == known.total() - known["unreachable"]


def test_what_is_in_the_model_when_a_stop_comes_is_answered(start, receiver):
    """Its run takes 1.5 s, its caller gets the answer, and only then the process ends."""
    server = start(model=1.5, otel=receiver.variables)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(server.match("杭州", "杭州").status_code))
    caller.start()
    server.wait_for(lambda: "mgeo_requests_active 1.0" in server.get("/metrics").text)
    server.stop()
    caller.join()
    assert answers == [200]
    assert assert_parity(receiver, server, 1) == {"success": 1}


def test_what_outlasts_the_grace_is_ended_as_shutting_down(start, receiver):
    """The model needs 8 s, the grace is 1 s: the caller is told, or cut off, and the event says that we were the cause."""
    server = start(model=8.0, otel=receiver.variables, shutdown_grace=1.0)
    caller = threading.Thread(target=lambda: _quietly(server))
    caller.start()
    server.wait_for(lambda: "mgeo_requests_active 1.0" in server.get("/metrics").text)
    server.signal()
    assert server.ended(within=7.0) == 0
    caller.join()
    assert assert_parity(receiver, server, 1) == {"overloaded": 1}
    (line,) = [line for line in ledger.log_lines(server.data_dir) if line["event"] == "mgeo.inference"]
    assert line["error_type"] == "shutting_down"


def _quietly(server: Server) -> None:
    import httpx

    try:
        server.match("杭州", "杭州")
    except httpx.TransportError:
        return
