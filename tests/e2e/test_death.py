"""What a process had open when it was killed is closed by the next one, once, in every signal."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.errors import Outcome
from service.open_table import read_table
from service.requeststore.ledger import LedgerReader
from tests.deadline import until
from tests.e2e import ledger
from tests.e2e.receiver import Receiver, attributes
from tests.e2e.server import ENTRY, ROOT, Server

pytestmark = pytest.mark.slow

A, B = "浙江省杭州市西湖区文三路478号", "杭州市西湖区文三路478号"
FOREVER = {"deadline": 60, "stuck_after": 90}


@contextlib.contextmanager
def callers(server: Server, *bodies: tuple[str, dict[str, Any]]) -> Iterator[None]:
    """Calls that wait for an answer while the block runs; each is a request id and a body."""

    def call(request_id: str, body: dict[str, Any]) -> None:
        with contextlib.suppress(httpx.TransportError):
            server.post("/v1/match/batch" if "pairs" in body else "/v1/match", json=body, headers={"X-Request-ID": request_id})

    threads = [threading.Thread(target=call, args=body) for body in bodies]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def one(request_id: str) -> tuple[str, dict[str, Any]]:
    return request_id, {"address1": A, "address2": B}


def batch(request_id: str, size: int) -> tuple[str, dict[str, Any]]:
    return request_id, {"pairs": [{"address1": A, "address2": B}] * size}


def kill_with_open(server: Server, count: int) -> dict[str, str]:
    """Kill it once it has so many inferences open; their span ids by request id, as the dead process left them."""
    (table,) = (server.data_dir / "open").glob("serve.*.table")
    until(lambda: len(read_table(table.read_bytes()).inferences) == count)
    server.signal(signal.SIGKILL)
    assert server.ended() == -signal.SIGKILL
    return {inference.request_id: inference.span_id for inference in read_table(table.read_bytes()).inferences}


def adopted(server: Server) -> bool:
    """Whether all that the dead have left is safe, so that nothing of it needs to be kept."""
    return not list((server.data_dir / "open").glob("*.dead"))


def died(folder: Path) -> dict[str, list[str]]:
    """The span ids of the inferences that ended by the death of their process, in the log and in the store."""
    lines = [line for line in ledger.log_lines(folder) if line.get("error_type") == "process_died"]
    assert {(line["status"], line["level"]) for line in lines} <= {("error", "ERROR")}
    with closing(sqlite3.connect(folder / "telemetry.db")) as connection:
        rows = connection.execute("SELECT span FROM inference WHERE error_type = 'process_died' ORDER BY span").fetchall()
    return {"log": sorted(line["span_id"] for line in lines), "store": [span.hex() for (span,) in rows]}


def sent(receiver: Receiver) -> dict[str, str]:
    """Span ids by request id, of the spans of inferences whose process died; none comes twice."""
    spans = [span for span in receiver.spans if span.name == "mgeo.inference" and attributes(span).get("error.type") == "process_died"]
    logs = [log for log in receiver.logs if attributes(log).get("error_type") == "process_died"]
    found = {attributes(span)["mgeo.request.id"]: span.span_id.hex() for span in spans}
    assert {attributes(log)["request_id"]: log.span_id.hex() for log in logs} == found
    assert (len(spans), len(logs)) == (len(found), len(found))
    return found


def test_what_was_open_at_a_kill_9_is_closed_by_the_next_start(start, receiver):
    """In log, store, metrics and at the receiver, with its own span id and parent; what had been answered is not touched."""
    server = start(model=0.0, otel=receiver.variables, **FOREVER)
    assert server.match(A, B).status_code == 200
    server.stop()
    server = start(model=30.0, otel=receiver.variables, **FOREVER)
    with callers(server, one("single"), batch("both", 2)):
        lost = kill_with_open(server, 3)
    assert set(lost) == {"single", "both:0", "both:1"}

    server = start(model=0.0, otel=receiver.variables)
    server.wait_for(lambda: adopted(server))
    exposition = server.get("/metrics").text
    story = server.get("/v1/requests/single").json()
    server.stop()

    assert died(server.data_dir) == dict.fromkeys(("log", "store"), sorted(lost.values()))
    assert sent(receiver) == lost
    assert ledger.scraped(exposition, "mgeo_requests_total", "error_type") == {"process_died": 3}
    assert ledger.scraped(exposition, "mgeo_inference_duration_seconds_count", "status") == {"error": 3}
    assert receiver.counted() == {"error": 3}
    assert ledger.stored(server.data_dir) == {"success": 1, "error": 3}
    assert "process_died" in json.dumps(story["attempts"])
    spans = {span.span_id.hex(): span for span in receiver.spans}
    assert all(spans[span_id].parent_span_id != b"" for span_id in lost.values())
    assert not list((server.data_dir / "open").iterdir())


def test_the_dead_life_gets_its_final_entry_in_the_ledger(start):
    """With what it had counted, in the lite profile too: the audit knows what was lost and what never ended."""
    server = start(model=0.0, otel={"OTEL_METRIC_EXPORT_INTERVAL": "300"}, **FOREVER)
    assert [server.match(A, B).status_code for _ in range(5)] == [200] * 5
    assert server.match("", B).status_code == 422
    (table,) = (server.data_dir / "open").glob("serve.*.table")
    server.signal(signal.SIGKILL)
    server.ended()
    life = read_table(table.read_bytes()).life
    server = start(model=0.0, otel={"OTEL_METRIC_EXPORT_INTERVAL": "300"})
    server.stop()

    with LedgerReader(server.data_dir / "telemetry.db") as reader:
        dead, living = reader.lives()
        *_, last = reader.entries(life)
        numbers = [row.seq for row in reader.rows(life)]
    assert (dead.life, dead.final, dead.died) == (life, True, True)
    assert (living.final, living.died) == (True, False)
    assert Counter(last.counts) == {outcome: {"success": 5, "invalid": 1}.get(outcome, 0) for outcome in Outcome}
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) <= last.total


def test_two_deaths_in_a_row_close_each_inference_once(start, receiver):
    """The second server dies with one of its own open, after it closed what the first one left."""
    first = start(model=30.0, otel=receiver.variables, **FOREVER)
    with callers(first, one("first")):
        lost = kill_with_open(first, 1)
    second = start(model=30.0, otel=receiver.variables, **FOREVER)
    second.wait_for(lambda: adopted(second))
    with callers(second, one("second")):
        lost |= kill_with_open(second, 1)
    third = start(model=0.0, otel=receiver.variables)
    third.wait_for(lambda: adopted(third))
    third.stop()

    assert set(lost) == {"first", "second"}
    assert died(third.data_dir) == dict.fromkeys(("log", "store"), sorted(lost.values()))
    assert sent(receiver) == lost


def test_a_server_that_dies_over_the_tables_of_the_dead_loses_and_doubles_nothing(start, receiver):
    """It is killed as soon as it listens, most likely before what it closed was safe: each row is there once all the same."""
    first = start(model=30.0, otel=receiver.variables, **FOREVER)
    with callers(first, *(one(f"r-{number}") for number in range(20))):
        lost = kill_with_open(first, 20)
    second = start(model=0.0, otel=receiver.variables | {"OTEL_METRIC_EXPORT_INTERVAL": "60000"})
    second.signal(signal.SIGKILL)
    second.ended()
    third = start(model=0.0, otel=receiver.variables)
    third.wait_for(lambda: adopted(third))
    third.stop()

    assert died(third.data_dir)["store"] == sorted(lost.values())
    assert set(died(third.data_dir)["log"]) == set(lost.values())
    spans = {attributes(span)["mgeo.request.id"]: span.span_id.hex() for span in receiver.spans if span.name == "mgeo.inference"}
    assert spans == lost


def test_a_server_closes_what_a_match_run_left(start, receiver, tmp_path):
    """Its table is another command's: whoever opens the folder next adopts it."""
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"address1,address2\n{A},{B}\n" * 1)
    data = tmp_path / "data"
    environment = {"MGEO_DATA_DIR": str(data), "MGEO_GPU": "off", "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    options = ["--input", str(pairs), "--output", str(tmp_path / "out.csv")]
    process = subprocess.Popen(
        [sys.executable, str(ENTRY), "30", "match", *options],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    table = data / "open/match.0.table"
    until(lambda: table.exists() and len(read_table(table.read_bytes()).inferences) == 1, deadline=60)
    process.kill()
    process.wait()
    (left,) = read_table(table.read_bytes()).inferences

    server = start(model=0.0, otel=receiver.variables)
    server.wait_for(lambda: adopted(server))
    server.stop()
    assert died(data) == {"log": [left.span_id], "store": [left.span_id]}
    assert sent(receiver) == {left.request_id: left.span_id}
    (line,) = [line for line in ledger.log_lines(data) if line.get("error_type") == "process_died"]
    assert line == line | {"function": "match", "error_message": "the process died while the inference was open"}
    assert json.dumps(line).count(A) == 0
