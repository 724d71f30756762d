"""The notifier as a process of its own."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash import Alertmanager
from tests.deadline import until
from tests.notifier import alert, payload
from tests.simulator import SECRET, Simulator

pytestmark = pytest.mark.slow
RUN = """
import sys
from pathlib import Path
from dingtalk.app import run
from dingtalk.config import load_config
from dingtalk.errors import NotifierError
from dingtalk.renders import BareRenderer

try:
    run(load_config(Path(sys.argv[1])), renderer=BareRenderer(), instance="box")
except NotifierError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def robots(tmp_path):
    server = Simulator(tmp_path, token="very-secret-token")
    yield server
    server.close()


@pytest.fixture
def config(tmp_path, robots, unused_port):
    (tmp_path / "token").write_text(f"{robots.token}\n")
    path = tmp_path / "notifier.toml"
    path.write_text(
        f"""
port = {unused_port}
data_dir = "{tmp_path / "data"}"
allowed_hosts = ["127.0.0.1"]
prometheus_url = ""
alertmanager_url = ""
[[robots]]
name = "r1"
token_file = "token"
secret = "{SECRET}"
url = "{robots.url}"
[[receivers]]
name = "main"
robots = ["r1"]
"""
    )
    return path


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(config):
    return subprocess.Popen([sys.executable, "-c", RUN, str(config)], stderr=subprocess.PIPE, text=True)


def answers(port, path="/readyz"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return None
    finally:
        connection.close()


def test_it_runs_until_it_is_asked_to_stop(config, unused_port, robots):
    """Ready, delivering, measured, with a log of JSON lines and status 0; a second one on the same folder says why it cannot run."""
    process = start(config)
    until(lambda: (found := answers(unused_port)) is not None and found[0] == 200)
    second = start(config)
    _, words = second.communicate(timeout=30)
    assert second.returncode == 1
    assert "another notifier uses" in words
    Alertmanager(unused_port).post(payload(alert()))
    until(lambda: robots.lines() == ["[告警] warning HighLatency box-1"])
    until(lambda: 'mgeo_notifier_messages_total{outcome="delivered",robot="r1"} 1.0' in answers(unused_port, "/metrics")[1])
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in lines] == ["mgeo.notifier.started", "mgeo.notifier.stopped"]
    assert {line["instance"] for line in lines} == {"box"}
    assert "very-secret" not in log
    assert SECRET not in log


def test_its_folder_keeps_no_secret(config, unused_port, robots, tmp_path):
    """Neither file names the token."""
    process = start(config)
    until(lambda: answers(unused_port) is not None)
    Alertmanager(unused_port).post(payload(alert()))
    until(robots.lines)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    files = [path for path in Path(tmp_path / "data").rglob("*") if path.is_file()]
    assert files
    assert not any(secret in path.read_bytes() for path in files for secret in (b"very-secret", SECRET.encode()))
