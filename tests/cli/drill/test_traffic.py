"""The load under which drills run: a real `mgeo load` against a server that counts, at one rate after the other."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from cli.drill.free_ports import free_ports
from cli.drill.traffic import END_WITHIN, Traffic
from tests.deadline import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]


class Service:
    """Answers everything, or nothing; notes when it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = True

    async def __call__(self, scope, receive, send):
        self.asked.append(time.monotonic())
        while not self.answers:
            await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b"{}"})


def children():
    """Our own processes that are a load."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rpartition(")")[2].split()[1]
            words = path.with_name("cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == str(os.getpid()) and b"load" in words:
            found.append([word.decode() for word in words])
    return found


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def traffic(service, serve_app):
    traffic = Traffic(serve_app(service), {**os.environ, "PYTHONPATH": str(ROOT)})
    yield traffic
    service.answers = True
    traffic.stop()
    assert children() == []


def asked_within(service, seconds):
    """How many requests come in so many seconds, from the first of them on."""
    service.asked.clear()
    until(lambda: service.asked and time.monotonic() - service.asked[0] > seconds)
    return sum(moment <= service.asked[0] + seconds for moment in service.asked)


def test_it_flows_at_the_rate_that_was_asked_for_until_it_is_stopped(service, traffic):
    """One process at a time, each with requests of its own; then none, and nothing comes any more."""
    traffic.flow(20.0)
    assert 12 <= asked_within(service, 2.0) <= 80
    (first,) = children()
    traffic.flow(100.0)
    service.asked.clear()
    assert 100 <= asked_within(service, 2.0) <= 320
    (second,) = children()
    assert [word for word in first if word not in second] == ["--rate=20", "--seed=1"]
    assert [word for word in second if word not in first] == ["--rate=100", "--seed=2"]

    traffic.stop()
    assert children() == []
    service.asked.clear()
    traffic.stop()
    assert service.asked == []


def test_no_traffic_is_no_process(service, traffic):
    """As when all requests stay away."""
    traffic.flow(0.0)
    assert children() == []
    traffic.flow(20.0)
    until(lambda: service.asked)
    traffic.flow(0.0)
    assert children() == []


def test_a_service_that_answers_nobody_does_not_keep_it(service, traffic):
    """It would wait for its answers; a drill may have none answered."""
    service.answers = False
    traffic.flow(20.0)
    until(lambda: len(service.asked) > 5)
    begun = time.monotonic()
    traffic.stop()
    assert time.monotonic() - begun < END_WITHIN + 3
    assert children() == []


def served(service, port):
    """Serve it on a port, on a thread, until the function that is given back is called."""
    server = uvicorn.Server(
        uvicorn.Config(service, host="127.0.0.1", port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)

    def end():
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()

    return end


def test_a_service_that_goes_away_and_comes_back_is_sent_requests_again(service):
    """Some drills kill it; the load lives on, and whoever starts the service again finds it."""
    (port,) = free_ports(1)
    traffic = Traffic(f"http://127.0.0.1:{port}", {**os.environ, "PYTHONPATH": str(ROOT)})
    end = served(service, port)
    try:
        traffic.flow(50.0)
        until(lambda: len(service.asked) > 10)
        end()
        begun = time.monotonic()
        until(lambda: time.monotonic() - begun > 2.0)
        assert len(children()) == 1
        service.asked.clear()
        end = served(service, port)
        until(lambda: len(service.asked) > 10)
    finally:
        traffic.stop()
        end()
    assert children() == []
