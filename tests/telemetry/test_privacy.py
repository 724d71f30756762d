"""No address leaves by telemetry, whoever quotes it: models, callers, libraries, decorated functions.

Addresses are personal data. What may be known of one is its length and a keyed hash; with `capture_text` the embedded store
keeps the text, and nothing else does.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from service.model.fake import FakeModel
from tests.telemetry.in_process import Running, until
from tests.telemetry.leaks import ADDRESS, OTHER, disguises, leaking_files, leaks

PAIR = {"address1": ADDRESS, "address2": OTHER}
JSON = {"Content-Type": "application/json"}
DAY = 86_400.0


class QuotingModel(FakeModel):
    """Raises an exception that quotes its input, with another one as its cause and notes on both."""

    def predict(self, pairs):
        cause = KeyError(pairs[0].address1)
        cause.add_note(pairs[0].address2)
        raise ValueError(f"cannot tokenize {pairs[0].address1!r} and {pairs[0].address2}", pairs) from cause


async def provoke(service: Running) -> list[bytes]:
    """Send the addresses by every way there is; the answers of all that may not quote them."""
    client = service.client
    raw = ADDRESS.encode()
    everywhere = {
        b"X-Request-ID": raw, b"User-Agent": b"agent/1.0 (" + raw + b")", b"Referer": raw, b"traceparent": raw, b"tracestate": b"a=" + raw,
        b"baggage": b"address=" + quote(ADDRESS).encode(), b"Cookie": b"mgeo_session=" + raw, b"Authorization": b"Bearer " + raw,
        b"X-Forwarded-For": raw, b"X-Forwarded-Host": raw, b"Accept": raw, b"Accept-Language": raw,
    }  # fmt: skip
    answers = [
        await client.post("/v1/match", json=PAIR),
        await client.post("/v1/match", json=PAIR, headers=everywhere),
        await client.post("/v1/match", json=PAIR, headers={"User-Agent": ADDRESS.encode()}),
        await client.post("/v1/match", json=PAIR, headers={"X-Request-Timeout": ADDRESS.encode()}),
        await client.post("/v1/match", content=f'{{"address1": "{ADDRESS}", "address2"'.encode(), headers=JSON),
        await client.post("/v1/match", content=f'{{"address1": "{ADDRESS}" oops}}'.encode("gbk"), headers=JSON),
        await client.post("/v1/match", content=raw, headers={"Content-Type": "text/" + quote(ADDRESS)}),
        await client.post("/v1/match", json={ADDRESS: OTHER}),
        await client.post("/v1/match", json=[ADDRESS, OTHER]),
        await client.post("/v1/match", json={"address1": {"text": ADDRESS}, "address2": [OTHER]}),
        await client.post("/v1/match", content=json.dumps({"address1": ADDRESS + "\ud800", "address2": OTHER}).encode(), headers=JSON),
        await client.post("/v1/match", json={"address1": ADDRESS * 20, "address2": OTHER}),
        await client.post("/v1/match/batch", json={"pairs": [PAIR, {"address1": ADDRESS}, ADDRESS]}),
        await client.post("/v1/match/batch", json={"pairs": ADDRESS}),
        await client.post(f"/v1/match/{ADDRESS}?address1={ADDRESS}", json=PAIR),
        await client.get(f"/{ADDRESS}"),
        await client.get(f"/{ADDRESS}", headers={"Accept": "text/html"}),
        await client.get(f"/v1/requests/{ADDRESS}"),
        await client.get(f"/v1/requests/{ADDRESS}", headers={"Accept": "text/html"}),
        await client.get(f"/lookup?request_id={ADDRESS}", headers={"Accept": "text/html"}),
        await client.get(f"/v1/requests?status={ADDRESS}"),
        await client.get(f"/v1/requests?since={ADDRESS}"),
        await client.get(f"/v1/requests?cursor={ADDRESS}"),
        await client.post("/v1/requests/search", json={"address1": ADDRESS, "limit": OTHER}),
        await client.post("/v1/requests/search", json={"address1": ADDRESS, "cursor": OTHER}),
        await client.post("/v1/requests/search", content=f'{{"address1": "{ADDRESS}'.encode(), headers=JSON),
        await client.post("/v1/requests/search", data={"address1": ADDRESS}, headers={"Accept": "text/html"}),
        await client.request("PUT", f"/v1/match?{ADDRESS}"),
    ]
    logging.getLogger("some.library").warning("cannot parse %s", ADDRESS)
    logging.getLogger("some.library").error(OTHER, exc_info=ValueError(ADDRESS))
    return [answer.content + repr(answer.headers.raw).encode() for answer in answers]


async def everything_let_out(service: Running) -> dict[str, bytes]:
    """What leaves by OTLP byte for byte, what a scrape shows, and what the pages and the API tell of the past."""
    recent = (await service.client.get("/v1/requests?limit=500")).json()["requests"]
    html = {"Accept": "text/html"}
    shown = [await service.client.get(path, headers=headers) for headers in ({}, html) for path in ("/v1/requests?limit=500", "/")]
    shown += [await service.client.get(each["link"], headers=headers) for each in recent for headers in ({}, html)]
    shown.append(await service.client.post("/v1/requests/search", json={"address1": ADDRESS}))
    return {
        "spans": encode_spans(service.spans_out.get_finished_spans()).SerializeToString(),
        "logs": encode_logs(service.otlp_logs()).SerializeToString(),
        "metrics": encode_metrics(service.reader.get_metrics_data()).SerializeToString(),
        "scrape": (await service.client.get("/metrics")).content,
        "openmetrics": (await service.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})).content,
        "answers": b"".join(answer.content for answer in shown),
    }


@pytest.mark.parametrize("text", [ADDRESS, OTHER])
def test_the_search_for_leaks_finds_every_disguise(text):
    """A test that finds nothing is worth something only if it could."""
    assert all(leaks(b"before" + form + b"after") for form in disguises(text))
    assert leaks(json.dumps({"a": text})) != []
    assert leaks("浙江省杭州市余杭区文一西路 969 号") == []


@pytest.mark.parametrize("model", [FakeModel, QuotingModel])
async def test_no_signal_has_the_text_of_an_address(start, ticking, model):
    """By the body, broken or whole, by path, query and headers, by exceptions and by libraries: lengths and hashes are all there is."""
    service = await start(model=model())
    answers = await provoke(service)
    await until(lambda: service.runtime.recording.store.depth == 0 and service.runtime.recording.log_writer.depth == 0)
    let_out = await everything_let_out(service)
    assert [content for content in answers if leaks(content)] == []
    assert [name for name, content in let_out.items() if leaks(content)] == []
    assert leaking_files(service.data_dir) == []
    hashed = service.runtime.recording.hasher.hash(ADDRESS)
    assert hashed.encode() in let_out["spans"]
    assert hashed.encode() in let_out["answers"]
    # A day later the log is rotated and compressed.
    ticking.tick(DAY)
    await service.client.post("/v1/match", json=PAIR)
    await until(lambda: list((service.data_dir / "logs").glob("*.gz")))
    assert leaking_files(service.data_dir) == []
    assert service.rows() > 10


async def test_captured_text_is_in_the_embedded_store_and_its_story_alone(start):
    """With `capture_text=all` the story shows the two texts, marked; every other signal is as it was."""
    service = await start(model=QuotingModel(), capture_text="all")
    await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "kept"})
    await service.written(inferences=1, lines=3)
    let_out = await everything_let_out(service)
    assert [name for name, content in let_out.items() if leaks(content)] == ["answers"]
    assert {Path(name).name.partition("-")[0] for name in leaking_files(service.data_dir)} == {"telemetry.db"}
    assert leaks((await service.client.get("/v1/requests")).content) == []
    (attempt,) = (await service.client.get("/v1/requests/kept")).json()["attempts"]
    assert attempt["text"] == {"captured": True, **PAIR}
    assert leaks(json.dumps(attempt["logs"], ensure_ascii=False)) == []
    page = (await service.client.get("/v1/requests/kept", headers={"Accept": "text/html"})).text
    assert "Captured text" in page
    assert ADDRESS in page


async def test_failed_text_is_kept_of_failures_alone(start):
    """`capture_text=failed`: the refused one has its text, the answered one has not."""
    service = await start(capture_text="failed")
    await service.client.post("/v1/match", json={"address1": OTHER, "address2": OTHER}, headers={"X-Request-ID": "well"})
    await service.client.post("/v1/match", json={"address1": ADDRESS, "address2": ""}, headers={"X-Request-ID": "ill"})
    await service.written(inferences=2, lines=4)
    texts = {
        request_id: (await service.client.get(f"/v1/requests/{request_id}")).json()["attempts"][0]["text"] for request_id in ("well", "ill")
    }
    assert texts == {"well": {"captured": False}, "ill": {"captured": True, "address1": ADDRESS, "address2": ""}}


SCRIPT = """
import asyncio, sys
from service import monitor_performance

@monitor_performance
def infer(first, second, *, third=None):
    raise ValueError(f"cannot compare {first} and {second}")

@monitor_performance(name="later")
async def infer_later(first):
    raise RuntimeError(first)

first, second = sys.stdin.read().split()
for call in (lambda: infer(first, second), lambda: infer(first, second=second), lambda: asyncio.run(infer_later(first))):
    try:
        call()
    except (ValueError, RuntimeError) as error:
        assert first in str(error)
"""


def test_a_decorated_function_that_quotes_its_arguments_leaks_nothing(tmp_path, monkeypatch):
    """In a script: the exception reaches the script untouched, and nothing of its message reaches folder or terminal."""
    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MGEO_GPU", "off")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=f"{ADDRESS}\n{OTHER}".encode(), capture_output=True, timeout=60, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert leaking_files(tmp_path / "data") == []
    lines = [json.loads(line) for line in (tmp_path / "data" / "logs" / "inference.log").read_text().splitlines()]
    assert [(line["function"], line["error_type"], line["address1_length"]) for line in lines] == [
        ("infer", "function_failed", 20), ("infer", "function_failed", 20), ("later", "function_failed", 20),
    ]  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "data" / "telemetry.db")) as connection:
        assert connection.execute("SELECT count(*) FROM inference").fetchone() == (3,)


@pytest.mark.slow
def test_a_real_server_prints_nothing_of_an_address(tmp_path):
    """Standard output (with the log on it), standard error, data folder, and OTLP on the wire."""
    from tests.e2e.receiver import Receiver
    from tests.e2e.server import Server

    receiver = Receiver()
    server = Server(tmp_path, model=0.0, otel=receiver.variables, log_stdout=True)
    try:
        server.ready()
        for address1, address2 in ((ADDRESS, OTHER), (ADDRESS + "坏", OTHER), (ADDRESS, " ")):
            server.match(address1, address2, User_Agent=quote(ADDRESS), X_Forwarded_For=quote(ADDRESS))
        server.get(f"/{ADDRESS}?q={ADDRESS}")
        server.post("/v1/match", content=f'{{"address1": "{ADDRESS}'.encode(), headers=JSON)
        server.stop()
        assert leaks(server.stdout) == []
        assert server.stdout.count('"event":"mgeo.inference"') == 4
        assert leaking_files(server.data_dir) == []
        assert receiver.inference_spans().total() == 4
        assert leaks(b"".join(receiver.raw)) == []
    finally:
        server.kill()
        receiver.close()
