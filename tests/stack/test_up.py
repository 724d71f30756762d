"""`mgeo up` with the real programs: what it refuses, what it says when one fails, and what the doors look like."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import httpx
import pytest

from cli.stack.marked import marked_processes
from tests.stack.running import Stack

pytestmark = pytest.mark.stack

GRAFANA = """#!{python} -S
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        shown = {{name: value for name, value in os.environ.items() if name.startswith(("GF_", "MGEO_"))}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"path": self.path, "arguments": sys.argv[1:], "variables": shown}}).encode())

    def log_message(self, *arguments):
        pass

if "server" not in sys.argv:
    print("grafana version 13.2.3")
    sys.exit()
http.server.HTTPServer((os.environ["MGEO_STACK_HOST"], int(os.environ["MGEO_GRAFANA_PORT"])), Handler).serve_forever()
"""


def test_a_taken_port_is_named_with_its_owner_and_nothing_starts(tmp_path: Path) -> None:
    """The setting, the port, the program that wants it, and who has it."""
    stack = Stack(data_dir=tmp_path / "data", profile="lite")
    with socket.create_server(("127.0.0.1", stack.ports["alertmanager_port"])):
        refused = stack.mgeo("up", "--detach", check=False)

    port = stack.ports["alertmanager_port"]
    assert refused.returncode == 73
    assert f"MGEO_ALERTMANAGER_PORT = {port} (alertmanager): 127.0.0.1:{port} is taken by " in refused.stderr
    assert f"(pid {os.getpid()}); stop it, or set another MGEO_ALERTMANAGER_PORT" in refused.stderr
    assert marked_processes(stack.data_dir / "stack") == []


def test_a_program_that_cannot_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    """Prometheus finds a file where its data should be; everything else is ended again."""
    stack = Stack(data_dir=tmp_path / "data", profile="lite")
    (stack.data_dir / "stack" / "prometheus").mkdir(parents=True)
    (stack.data_dir / "stack" / "prometheus" / "data").write_text("not a folder")

    failed = stack.mgeo("up", "--detach", check=False)

    assert failed.returncode == 69
    assert "prometheus did not come up: it ended as soon as it was started\nits last lines:\n" in failed.stderr
    assert "not a directory" in failed.stderr
    assert marked_processes(stack.data_dir / "stack") == []


def test_a_grafana_that_is_installed_is_started_with_our_provisioning(tmp_path: Path) -> None:
    """A stand-in, since Grafana cannot be had here: it answers with what it was given. Behind the gateway, under its prefix."""
    grafana = tmp_path / "grafana"
    grafana.write_text(GRAFANA.format(python=sys.executable))
    grafana.chmod(0o755)
    stack = Stack(
        data_dir=tmp_path / "data",
        profile="full",
        options=("--gateway",),
        variables={"MGEO_GRAFANA_BINARY": str(grafana)},
    )
    try:
        stack.up()
        rows = stack.status()
        password = (stack.data_dir / "gateway.password").read_text()
        shown = httpx.get(f"{stack.url('gateway_port')}/grafana/api/health", auth=("mgeo", password), timeout=20).json()
        again = stack.mgeo("up", "--profile", "full", "--detach", check=False)
    finally:
        stack.down()

    assert list(rows) == [
        "simulator",
        "notifier",
        "prometheus",
        "loki",
        "jaeger",
        "alertmanager",
        "collector",
        "service",
        "grafana",
        "gateway",
    ]
    assert all(row["healthy"] for row in rows.values()), json.dumps(rows)
    assert shown["path"] == "/grafana/api/health"
    assert shown["arguments"][0] == "server"
    assert Path(shown["variables"]["GF_PATHS_PROVISIONING"]).name == "provisioning"
    assert shown["variables"]["MGEO_LOKI_URL"] == stack.loki_url
    assert shown["variables"]["MGEO_JAEGER_URL"] == stack.jaeger_url
    assert shown["variables"]["MGEO_GRAFANA_URL"] == f"{stack.url('gateway_port')}/grafana/"
    assert (again.returncode, "the stack is up already, profile full" in again.stderr) == (1, True)
    assert marked_processes(stack.data_dir / "stack") == []
