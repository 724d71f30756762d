"""How a server starts, is disturbed, and ends: each a real process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import aiohttp
import httpx
import pytest

from cli.drill.free_ports import free_ports
from service.hashing import AddressHasher
from tests import full_disk
from tests.e2e import ledger
from tests.e2e.receiver import Receiver, otlp_variables
from tests.e2e.server import ROOT, Server
from tests.e2e.test_parity import assert_parity, load

pytestmark = pytest.mark.slow

A, B = "浙江省杭州市西湖区文三路478号", "杭州市西湖区文三路478号"


def refused(server: Server) -> tuple[int, str]:
    """The exit code and the one message of a server that does not start; never a traceback."""
    code = server.ended(within=60)
    assert "Traceback" not in server.stderr + server.stdout
    assert "MGeo listens on" not in server.stdout
    return code, server.stderr


# Start-up that fails


def test_a_taken_port_is_said_with_its_owner(start):
    """Exit code 73, before anything heavy is loaded, naming the port, who has it, and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, message = refused(start(ready=False, port=port))
    assert code == 73
    name = Path("/proc/self/comm").read_text().strip()
    assert message == (
        f"mgeo cannot start: MGEO_PORT = {port}: 127.0.0.1:{port} is taken by {name} (pid {os.getpid()}); "
        "stop it, or choose a port with --port\n"
    )


def test_a_data_folder_that_cannot_be_made_is_said(start, tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    code, message = refused(start(ready=False, data_dir=tmp_path / "file" / "data"))
    assert code == 78
    assert message == (
        f"mgeo cannot start: MGEO_DATA_DIR: the data folder {tmp_path}/file/data cannot be made (Not a directory); "
        "make it writable for this user, or set MGEO_DATA_DIR to a folder that is\n"
    )


@pytest.mark.skipif(shutil.which("setpriv") is None or os.getuid() != 0, reason="needs root and setpriv to become a user who may not write")
def test_a_data_folder_that_may_not_be_written_is_said():
    """It belongs to root, the service runs as somebody else."""
    # Not under pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        settings = {"MGEO_DATA_DIR": folder, "MGEO_PORT": "0", "MGEO_MODEL": "fake", "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-m", "service"]
        done = subprocess.run(command, env=settings, cwd="/", capture_output=True, text=True, timeout=60, check=False)
        if not done.stderr.startswith("mgeo"):
            pytest.skip("another user may not read this environment")
        assert done.returncode == 78
        assert done.stderr == (
            f"mgeo cannot start: MGEO_DATA_DIR: the data folder {folder} cannot be written; "
            "make it writable for this user, or set MGEO_DATA_DIR to a folder that is\n"
        )


def test_a_model_folder_without_weights_is_said(start, tmp_path):
    """Named: the folder, what is missing, what to do."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    code, message = refused(start(ready=False, model=str(folder)))
    assert code == 78
    assert message == (
        f"mgeo cannot start: MGEO_MODEL = {folder}: {folder}: holds neither model.safetensors nor pytorch_model.bin; "
        "download the weights into this folder\n"
    )


def test_a_model_folder_that_is_not_there_is_said(start, tmp_path):
    """Also by its name."""
    code, message = refused(start(ready=False, model=str(tmp_path / "nowhere")))
    assert code == 78
    assert message.startswith(f"mgeo cannot start: MGEO_MODEL = {tmp_path}/nowhere: {tmp_path}/nowhere: is not a folder; ")


def test_every_wrong_setting_is_said_in_one_go(start):
    """Each with its value, its unit, its default, and what it is for."""
    code, message = refused(start(ready=False, deadline="soon", queue_size=-1, max_batch_size=64))
    assert code == 78
    assert message.startswith("mgeo cannot start: the settings are wrong:\n")
    assert "MGEO_DEADLINE = 'soon': " in message
    assert "MGEO_QUEUE_SIZE = '-1': " in message
    assert "the default is 10.0 seconds" in message


def test_a_keys_file_that_cannot_be_read_is_said(start, tmp_path):
    """An API without its keys must not open."""
    code, message = refused(start(ready=False, api_keys_file=tmp_path / "nowhere"))
    assert code == 78
    assert f"MGEO_API_KEYS_FILE = {tmp_path}/nowhere" in message


def test_a_store_of_a_newer_version_is_left_alone(start):
    """It is neither used nor changed; the message says so."""
    server = start()
    server.stop()
    with closing(sqlite3.connect(server.data_dir / "telemetry.db")) as connection:
        connection.execute("INSERT INTO migration VALUES ('m999_of_the_future')")
        connection.commit()
    code, message = refused(start(ready=False))
    assert code == 78
    assert message == (
        "mgeo cannot start: the store was written by a newer version (it knows m999_of_the_future); "
        "use that version, or another MGEO_DATA_DIR\n"
    )
    assert ledger.sound(server.data_dir)


def test_a_model_that_fails_its_warm_up_is_said_without_its_message(start):
    """Exit code 74, by type alone: what the exception quotes may be an address."""
    code, message = refused(start(ready=False, model=-1.0, shutdown_grace=3))
    assert code == 74
    assert message == "mgeo ends with exit code 74: the model failed its warm-up (ValueError)\n"


def test_a_full_disk_at_the_start_is_said(start, small_disk):
    """Better not to start than to start without a record."""
    (small_disk / "data").mkdir()
    full_disk.fill_up(small_disk / "ballast")
    code, message = refused(start(ready=False, data_dir=small_disk / "data"))
    assert code == 78
    assert message.startswith(f"mgeo cannot start: MGEO_DATA_DIR: {small_disk}/data/")
    assert "No space left on device" in message


# Signals


def test_a_second_sigterm_changes_nothing_about_a_good_end(start, receiver):
    """Impatient supervisors send two; what is in flight is still answered."""
    server = start(model=1.0, otel=receiver.variables)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(server.match(A, B).status_code))
    caller.start()
    server.wait_for(lambda: "mgeo_requests_active 1.0" in server.get("/metrics").text)
    server.signal()
    server.wait_for(lambda: _closed(server))
    server.stop()
    caller.join()
    assert answers == [200]
    assert assert_parity(receiver, server, 1) == {"success": 1}


def _closed(server: Server) -> bool:
    try:
        server.get("/livez")
    except httpx.TransportError:
        return True
    return False


def test_a_kill_under_load_leaves_a_store_that_is_sound_and_a_service_that_starts(start, tmp_path):
    """A kill -9 takes what was in flight; rows and lines that were written stay, and the next life goes on in the same files."""
    server = start(model=0.01)
    process = load(server, tmp_path, rate=100, seconds=30, mix="valid=1")
    server.wait_for(lambda: ledger.scraped(server.get("/metrics").text, "mgeo_requests_total", "status").total() > 150)
    server.kill()
    # Not by SIGTERM: where coverage is measured its handler may wait for a lock that the interrupted code holds.
    process.kill()
    process.communicate()
    assert ledger.sound(server.data_dir)
    before = ledger.stored(server.data_dir)
    assert before["success"] > 50
    second = start()
    assert second.match(A, B, X_Request_ID="after").status_code == 200
    second.wait_for(lambda: second.get("/v1/requests/after").status_code == 200)
    second.stop()
    assert ledger.stored(server.data_dir)["success"] == before["success"] + 1
    assert ledger.logged(server.data_dir)["success"] >= before["success"]
    instances = {line["instance"] for line in ledger.log_lines(server.data_dir)}
    assert len(instances) == 1


# Callers


def test_a_caller_that_hangs_up_during_its_inference_is_cancelled_and_delays_nobody(start, receiver):
    """Its event says so everywhere, and the next caller is answered."""
    server = start(otel=receiver.variables, model=0.0)
    body = json.dumps({"address1": "慢" + A, "address2": B}).encode()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/match HTTP/1.1\r\nHost: x\r\nX-Request-ID: gone\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        server.wait_for(lambda: "mgeo_requests_active 1.0" in server.get("/metrics").text)
    server.wait_for(lambda: server.get("/v1/requests/gone").status_code == 200)
    (attempt,) = server.get("/v1/requests/gone").json()["attempts"]
    assert (attempt["outcome"]["status"], attempt["outcome"]["error_type"]) == ("cancelled", "client_disconnected")
    assert server.match(A, B).status_code == 200
    server.stop()
    assert assert_parity(receiver, server, 2) == {"cancelled": 1, "success": 1}


def test_a_thousand_concurrent_requests_are_not_mixed_up(start):
    """Id, addresses and answer of each agree in the HTTP answer, the log line and the story's row."""
    server = start(model=0.005, queue_size=2000)
    answers = asyncio.run(_thousand(server.url))
    server.stop()
    hasher = AddressHasher((server.data_dir / "hash.key").read_bytes().rstrip())
    expected = {
        f"id-{number}": (hasher.hash(f"甲{number}"), hasher.hash(f"{'甲' if number % 2 else '乙'}{number}")) for number in range(1000)
    }
    assert answers == {f"id-{number}": (f"id-{number}", "exact_match" if number % 2 else "not_match") for number in range(1000)}
    lines = [line for line in ledger.log_lines(server.data_dir) if line["event"] == "mgeo.inference"]
    assert len(lines) == 1000
    assert {line["request_id"]: (line["address1_hash"], line["address2_hash"]) for line in lines} == expected
    assert {line["request_id"]: line["label"] for line in lines} == {request_id: label for request_id, (_, label) in answers.items()}
    from service.requeststore.base import Search
    from service.requeststore.sqlite import SqliteRequestStore

    async def found_by_address() -> dict[str, str]:
        store = SqliteRequestStore(server.data_dir / "telemetry.db", service="mgeo")
        try:
            pages = [await store.search(Search(address_hashes=expected[request_id])) for request_id in expected]
        finally:
            store.close()
        return {request_id: request.request_id for request_id, page in zip(expected, pages, strict=True) for request in page.requests}

    assert asyncio.run(found_by_address()) == {request_id: request_id for request_id in expected}


async def _thousand(url: str) -> dict[str, tuple[str, str]]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(number: int) -> tuple[str, tuple[str, str]]:
            pair = {"address1": f"甲{number}", "address2": f"{'甲' if number % 2 else '乙'}{number}"}
            async with session.post(f"{url}/v1/match", json=pair, headers={"X-Request-ID": f"id-{number}"}) as response:
                body = await response.json()
                return response.headers["X-Request-ID"], (body["request_id"], body["label"])

        return dict(await asyncio.gather(*(one(number) for number in range(1000))))


# A model that is beyond help


def test_a_stuck_model_is_replaced_once_and_ends_the_process_the_second_time(start, receiver):
    """The first costs its batch alone; the second within ten minutes is exit code 70, with everything flushed."""
    server = start(model=0.0, otel=receiver.variables, stuck_after=0.5, shutdown_grace=3)
    stuck = server.match("卡" + A, B, X_Request_ID="first")
    assert (stuck.status_code, stuck.json()["error_type"]) == (500, "worker_stuck")
    assert server.match(A, B).status_code == 200
    assert server.get("/readyz").status_code == 200
    assert ledger.scraped(server.get("/metrics").text, "mgeo_worker_restarts_total", "reason") == {"stuck": 1}
    assert server.match("卡" + A, B).json()["error_type"] == "worker_stuck"
    assert server.ended(within=15) == 70
    assert server.stderr == ("mgeo ends with exit code 70: the model worker was stuck twice within 600 s (a batch ran over 0.5 s)\n")
    assert assert_parity(receiver, server, 3) == {"error": 2, "success": 1}


def test_a_device_that_is_beyond_repair_ends_the_process(start, receiver):
    """Exit code 71: only a new process helps."""
    server = start(model=0.0, otel=receiver.variables, shutdown_grace=3)
    assert server.match(A, B).status_code == 200
    poisoned = server.match("毒" + A, B)
    assert (poisoned.status_code, poisoned.json()["error_type"]) == (500, "device_failed")
    assert server.ended(within=15) == 71
    assert server.stderr == "mgeo ends with exit code 71: the device failed and cannot be used by this process again\n"
    assert assert_parity(receiver, server, 2) == {"error": 1, "success": 1}


# Telemetry that has nowhere to go


@pytest.mark.parametrize("endpoint", ["dead", "hanging"])
def test_an_endpoint_that_does_not_take_it_costs_neither_an_answer_nor_telemetry(start, endpoint):
    """Requests are answered as ever, `/readyz` says what is amiss, nothing is lost, the stop is bounded, and all waits on disk."""
    hanging = Receiver("hanging") if endpoint == "hanging" else None
    try:
        variables = hanging.variables if hanging else otlp_variables(*free_ports(1))
        server = start(otel={**variables, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}, shutdown_grace=3)
        assert Counter(server.match(A, B).status_code for _ in range(30)) == {200: 30}
        server.wait_for(lambda: server.get("/readyz").json()["degraded"], within=30)
        readiness = server.get("/readyz").json()
        assert (readiness["status"], len(readiness["degraded"])) == ("ready", 1)
        assert re.fullmatch(r"otlp 127\.0\.0\.1:\d+ takes no [a-z, ]+: [A-Za-z]+", readiness["degraded"][0])
        assert ledger.scraped(server.get("/metrics").text, "mgeo_telemetry_dropped_total", "signal") == Counter()
        began = time.monotonic()
        server.signal()
        assert server.ended() == 0
        assert time.monotonic() - began < 8
        assert ledger.stored(server.data_dir) == ledger.logged(server.data_dir) == {"success": 30}
        (life,) = (server.data_dir / "spool").iterdir()
        assert {path.name.partition(".")[0] for path in life.iterdir()} == {"lock", "traces", "metrics", "logs"}
    finally:
        if hanging:
            hanging.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    with full_disk.small_disk(tmp_path / "disk", 8_388_608) as folder:
        yield folder


def test_a_disk_that_fills_later_stops_the_log_and_the_store_but_not_the_service(start, small_disk):
    """Answers go on; `/readyz` stays 200 and says why it is degraded; with room again both catch up."""
    server = start(data_dir=small_disk / "data", log_max_bytes=4_194_304, store_max_bytes=4_194_304)
    assert server.match(A, B).status_code == 200
    server.wait_for(lambda: ledger.stored(server.data_dir).total() == 1)
    full_disk.fill_up(small_disk / "ballast")
    degraded = []

    def both_degraded() -> bool:
        assert server.match(A, B).status_code == 200
        readiness = server.get("/readyz")
        assert (readiness.status_code, readiness.json()["status"]) == (200, "ready")
        degraded[:] = readiness.json()["degraded"]
        return len(degraded) == 2

    server.wait_for(both_degraded, within=60)
    assert sorted(degraded) == [
        f"log file {small_disk}/data/logs/inference.log: No space left on device",
        f"store {small_disk}/data/telemetry.db: the disk is full",
    ]
    (small_disk / "ballast").unlink()
    server.wait_for(lambda: server.get("/readyz").json()["degraded"] == [], within=60)
    answered = ledger.scraped(server.get("/metrics").text, "mgeo_requests_total", "status")["success"]
    server.wait_for(lambda: ledger.stored(server.data_dir)["success"] == answered)
    server.stop()
    lost = ledger.logged(server.data_dir)["success"]
    assert (ledger.stored(server.data_dir)["success"], lost) == (answered, answered)
    events = [line["event"] for line in ledger.log_lines(server.data_dir) if line["event"].startswith("mgeo.store")]
    assert events == ["mgeo.store.degraded", "mgeo.store.recovered"]
