"""The simulator as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from dingtalk.simulator.server import PortTaken, serve
from dingtalk.simulator.settings import SettingsError
from tests.deadline import until
from tests.unit.dingtalk.simulator.composition import text

ROOT = Path(__file__).parents[4]
SCRIPT = (
    "import sys; from pathlib import Path; from dingtalk.simulator.server import serve; sys.exit(serve(port=0, config=Path(sys.argv[1])))"
)
CONFIG = """
journal = "{journal}"
[[robots]]
name = "ops"
token = "very-secret"
group = "值班群"
[[robots]]
name = "listed"
token = "very-listed"
group = "值班群"
allow_ips = ["203.0.113.7"]
"""


class Process:
    """A simulator of its own process, and what it has said."""

    def __init__(self, process: subprocess.Popen[str], client: httpx.Client, first_line: str) -> None:
        self.process = process
        self.client = client
        self.first_line = first_line

    def send(self, body: dict) -> httpx.Response:
        return self.client.post("/robot/send?access_token=very-secret", json=body)

    def stop(self) -> tuple[int, str]:
        """End it; its exit code, and all that it said after its first line."""
        self.process.send_signal(signal.SIGTERM)
        said, errors = self.process.communicate(timeout=20)
        return self.process.returncode, said + errors


@contextmanager
def running(folder: Path):
    config = folder / "simulator.toml"
    config.write_text(CONFIG.format(journal=folder / "sim.jsonl"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        with httpx.Client(base_url=line.split()[4], timeout=20) as client:
            yield Process(process, client, line)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_it_serves_ends_on_a_signal_and_goes_on_where_it_was(tmp_path):
    """Its output names the robots and never a token."""
    with running(tmp_path) as simulator:
        assert simulator.first_line.startswith("DingTalk simulator listens on http://127.0.0.1:")
        assert simulator.first_line.endswith("(robots: ops, listed)\n")
        assert simulator.send(text("一", msgUuid="u")).json() == {"errcode": 0, "errmsg": "ok"}
        assert simulator.stop() == (0, "")
    with running(tmp_path) as simulator:
        assert simulator.send(text("一", msgUuid="u")).json() == {"errcode": 0, "errmsg": "ok"}
        (message,) = simulator.client.get("/messages").json()["messages"]
        assert (message["text"], message["duplicates"]) == ("一", 1)
        assert simulator.stop() == (0, "")


@pytest.mark.slow
def test_a_closed_connection_is_one_without_any_answer(tmp_path):
    """Not half an answer, and not a 500; the simulator serves on and says nothing."""
    with running(tmp_path) as simulator:
        for kind in ("ambiguous_close", "ambiguous_timeout", "drop"):
            simulator.client.post("/control/faults", json={"kind": kind, "times": 1, "delay_seconds": 0.01}).raise_for_status()
            with pytest.raises(httpx.TransportError):
                simulator.send(text(kind))
        assert simulator.send(text("after")).json()["errcode"] == 0
        shown = [message["text"] for message in simulator.client.get("/messages").json()["messages"]]
        assert shown == ["ambiguous_close", "ambiguous_timeout", "after"]
        assert simulator.stop() == (0, "")


@pytest.mark.slow
def test_a_gateway_on_this_machine_may_say_whose_call_it_hands_on(tmp_path):
    """The IP list then sees the caller, and the control API does so too."""
    with running(tmp_path) as simulator:
        told = simulator.client.post("/robot/send?access_token=very-listed", json=text()).json()
        assert told["errmsg"].startswith("description:ip 127.0.0.1 不在白名单中")
        simulator.client.headers["X-Forwarded-For"] = "203.0.113.7"
        assert simulator.client.post("/robot/send?access_token=very-listed", json=text()).json()["errcode"] == 0
        assert simulator.client.get("/control/state").status_code == 403


@pytest.mark.slow
def test_who_waits_does_not_keep_it_from_ending(tmp_path):
    """Neither a reader nor a held answer."""
    with running(tmp_path) as simulator:
        simulator.client.post("/control/faults", json={"kind": "slow", "delay_seconds": 3600}).raise_for_status()
        answers = []

        def ask(path: str, method: str) -> None:
            with httpx.Client(base_url=simulator.client.base_url, timeout=20) as client:
                answers.append(client.request(method, path, json=text() if method == "POST" else None).status_code)

        waiting = threading.Thread(target=ask, args=("/messages?since=1&wait=60", "GET"))
        held = threading.Thread(target=ask, args=("/robot/send?access_token=very-secret", "POST"))
        held.start()
        waiting.start()
        until(lambda: simulator.client.get("/control/state").json()["waiting"] == 1)
        until(lambda: simulator.client.get("/messages").json()["messages"])
        assert simulator.stop() == (0, "")
        held.join(20)
        waiting.join(20)
        assert answers == [200, 200]


def test_a_port_that_is_taken_is_said_at_once():
    """Before anything is served."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTaken, match="is taken by another process"):
            serve(port=other.getsockname()[1])


def test_an_address_of_another_machine_cannot_be_listened_on():
    """The host is named."""
    with pytest.raises(SettingsError, match=r"host 192\.0\.2\.1, port 0"):
        serve(host="192.0.2.1", port=0)


def test_a_wrong_config_is_told_before_the_port_is_taken(tmp_path):
    """With the setting's name."""
    path = tmp_path / "simulator.toml"
    path.write_text("limit = 0")
    with pytest.raises(SettingsError, match="limit"):
        serve(port=0, config=path)
