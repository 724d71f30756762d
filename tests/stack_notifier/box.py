"""The whole way of an alert with its true programs, for tests: Prometheus, Alertmanager, the notifier and the simulator of DingTalk.

Every one is a process of its own on a free port. Durations are a fiftieth of the usual ones, but for Alertmanager's ten seconds, in which
it goes on trying however short its group interval is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from cli.drill.free_ports import free_ports
from tests.deadline import until
from tests.stack.collector import ROOT

SCALE = 0.02
PATIENT = 90.0
"""Seconds that tests wait at most; the machine may be busy."""
SECRET = "SECsimulator"
PROMETHEUS = """
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: switches
    fallback_scrape_protocol: PrometheusText0.0.4
    static_configs: [{{targets: ["{switches}"], labels: {{instance: box-1}}}}]
alerting: {{alertmanagers: [{{static_configs: [{{targets: [{alertmanagers}]}}]}}]}}
"""
RULES = """
groups:
  - name: switches
    rules:
      - alert: Burning
        expr: switch{name="Burning"} == 1
        labels: {severity: warning}
        annotations: {summary: 着火, value: "{{ $value }}"}
      - alert: Watchdog
        expr: vector(1)
        labels: {severity: none}
"""
ALERTMANAGER = """
route:
  receiver: main
  group_by: [alertname]
  group_wait: {wait}
  group_interval: 1s
  repeat_interval: {repeat}
  routes: [{{matchers: ['severity="none"'], receiver: nobody}}]
receivers:
  - name: nobody
  - name: main
    webhook_configs: [{{url: "{url}", send_resolved: true, timeout: 2s, max_alerts: 0, http_config: {{follow_redirects: false}}}}]
"""
NOTIFIER = """
scale = {scale}
allowed_hosts = ["127.0.0.1"]
[[robots]]
name = "warning"
token = "simulator-warning"
secret = "SECsimulator"
url = "{simulator}/robot/send"
[[receivers]]
name = "main"
robots = ["warning"]
"""


class Box:
    """One of each, but for what a test starts itself.

    Args:
        folder: everything is kept there.
        program: finds the true programs.
    """

    def __init__(self, folder: Path, program: Callable[[str], Path]) -> None:
        self.folder = folder
        self._program = program
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = dict(zip(("simulator", "notifier", "prometheus"), free_ports(3), strict=True))
        self._alertmanagers: dict[str, int] = {}
        self._pause = threading.Event()
        self._http = httpx.Client(trust_env=False, timeout=20)
        self.switches = Switches()
        self.data_dir = folder / "notifier"

    def url(self, name: str) -> str:
        """The address of one of them."""
        return f"http://127.0.0.1:{self._ports.get(name) or self._alertmanagers[name]}"

    # Starting and stopping.

    def start_simulator(self) -> None:
        """A DingTalk whose minute is short too."""
        self._start("simulator", *_mgeo("simulate", "--port", str(self._ports["simulator"]), "--scale", str(SCALE)), ready="/livez")

    def start_notifier(self) -> None:
        """On the folder that an earlier one left."""
        config = self.folder / "notifier.toml"
        config.write_text(NOTIFIER.format(scale=SCALE, simulator=self.url("simulator")))
        self._start(
            "notifier",
            *_mgeo("run", "--config", str(config), "--port", str(self._ports["notifier"]), "--data-dir", str(self.data_dir)),
            *(f"--prometheus-url={self.url('prometheus')}", f"--alertmanager-url={self.url('alertmanager')}"),
            ready="/readyz",
        )

    def start_alertmanager(
        self, name: str = "alertmanager", *flags: str, wait: str = "200ms", repeat: str = "1h", config: str | None = None
    ) -> None:
        """One that tells the notifier, unless its configuration is another."""
        if name not in self._alertmanagers:
            (self._alertmanagers[name],) = free_ports(1)
        url = f"{self.url('notifier')}/v1/alertmanager/main"
        file = self.folder / f"{name}.yml"
        file.write_text(config or ALERTMANAGER.format(url=url, wait=wait, repeat=repeat))
        self._start(
            name,
            str(self._program("alertmanager")),
            f"--config.file={file}",
            f"--storage.path={self.folder / name}",
            f"--web.listen-address=127.0.0.1:{self._alertmanagers[name]}",
            *(flags or ("--cluster.listen-address=",)),
            ready="/-/ready",
        )

    def start_prometheus(self) -> None:
        """One that tells every Alertmanager there is."""
        folder = self.folder / "prometheus"
        folder.mkdir(exist_ok=True)
        alertmanagers = ", ".join(f'"127.0.0.1:{port}"' for port in self._alertmanagers.values())
        (folder / "prometheus.yml").write_text(PROMETHEUS.format(switches=self.switches.address, alertmanagers=alertmanagers))
        (folder / "rules.yml").write_text(RULES)
        self._start(
            "prometheus",
            str(self._program("prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._ports['prometheus']}",
            ready="/-/ready",
        )

    def start(self, *, repeat: str = "1h") -> None:
        """All of them; the notifier has compared once."""
        self.start_simulator()
        self.start_alertmanager(repeat=repeat)
        self.start_prometheus()
        self.start_notifier()
        self.wait(lambda: self.metric("notifier", "mgeo_notifier_reconciled_timestamp_seconds") > 0)

    def kill(self, name: str) -> None:
        """As by kill -9."""
        self._end(name, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """In good order."""
        self._end(name, signal.SIGTERM)

    def signal(self, name: str, number: int) -> None:
        """Send a signal."""
        self._processes[name].send_signal(number)

    def close(self) -> None:
        """End all."""
        for name in list(self._processes):
            self.kill(name)
        self.switches.close()
        self._http.close()

    def _start(self, name: str, *argv: str, ready: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
        self.wait(lambda: self._answers(self.url(name) + ready) or self._died(name))

    def _answers(self, url: str) -> bool:
        try:
            return self._http.get(url).status_code == 200
        except httpx.HTTPError:
            return False

    def _died(self, name: str) -> bool:
        assert self._processes[name].poll() is None, (self.folder / f"{name}.log").read_text()[-2000:]
        return False

    def _end(self, name: str, number: int) -> None:
        process = self._processes.pop(name)
        process.send_signal(number)
        process.wait(PATIENT)

    # Doing and looking.

    def wait(self, condition: Callable[[], object]) -> None:
        """Until it holds. What is asked is busy itself, so it is not asked all the time."""
        until(lambda: self._pause.wait(0.05) or condition(), deadline=PATIENT)

    def fire(self) -> None:
        """Let Burning fire, as far as Prometheus knows."""
        self.switches.on = True
        self.wait(lambda: self.firing("Burning"))

    def resolve(self) -> None:
        """Let it end."""
        self.switches.on = False
        self.wait(lambda: not self.firing("Burning"))

    def firing(self, name: str) -> bool:
        """Whether an alert fires in Prometheus."""
        alerts = self.get("prometheus", "/api/v1/alerts")["data"]["alerts"]
        return any(one["labels"]["alertname"] == name and one["state"] == "firing" for one in alerts)

    def times(self, name: str) -> tuple[float, float]:
        """The first and the last evaluation at which an alert fired, in seconds since 1970."""
        query = f'ALERTS{{alertname="{name}",alertstate="firing"}}[1h]'
        (series,) = self.get("prometheus", "/api/v1/query", query=query)["data"]["result"]
        return float(series["values"][0][0]), float(series["values"][-1][0])

    def alerts(self, alertmanager: str = "alertmanager") -> list[dict[str, Any]]:
        """The alerts that Alertmanager has, without the Watchdog."""
        found: list[dict[str, Any]] = self.get(alertmanager, "/api/v2/alerts")
        return [one for one in found if one["labels"]["alertname"] != "Watchdog"]

    def post(self, *alerts: dict[str, Any], to: tuple[str, ...] = ("alertmanager",)) -> None:
        """Tell Alertmanagers of alerts, as Prometheus does."""
        for name in to:
            assert self._http.post(f"{self.url(name)}/api/v2/alerts", json=list(alerts)).status_code == 200

    def received(self, result: str) -> float:
        """How many calls of the notifier ended so."""
        return self.metric("notifier", "mgeo_notifier_received_total", result=result)

    def silence(self, name: str, *, seconds: float) -> None:
        """Silence an alert from now on."""
        now = time.time()
        silence = {
            "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
            "startsAt": rfc3339(now),
            "endsAt": rfc3339(now + seconds),
            "createdBy": "test",
            "comment": "test",
        }
        assert self._http.post(f"{self.url('alertmanager')}/api/v2/silences", json=silence).status_code == 200

    def messages(self) -> list[str]:
        """What the group shows, the oldest first, as it is seen: a new line is a new line."""
        found = self.get("simulator", "/messages")["messages"]
        return [one["text"].replace("  \n  ", "\n") for one in sorted(found, key=lambda one: one["index"])]

    def metric(self, name: str, metric: str, **labels: str) -> float:
        """The sum of the samples of a metric that have these labels; 0 when there are none."""
        text = self._http.get(f"{self.url(name)}/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def status(self, name: str, path: str) -> int:
        """The status of an answer."""
        return self._http.get(self.url(name) + path).status_code

    def get(self, name: str, path: str, **params: str) -> Any:  # JSON
        """The JSON of an answer."""
        return self._http.get(self.url(name) + path, params=params).json()


class Switches:
    """What Prometheus scrapes: one switch, which makes an alert fire."""

    def __init__(self) -> None:
        self.on = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f'switch{{name="Burning"}} {int(outer.on)}\n'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def sample_alert(name: str = "Posted", *, seconds: float = 300.0, **annotations: str) -> dict[str, Any]:
    """An alert that fires from now on, as Prometheus posts it; it ends by itself after some seconds."""
    now = time.time()
    return {
        "labels": {"alertname": name, "severity": "warning", "instance": "box-1"},
        "annotations": annotations,
        "startsAt": rfc3339(now),
        "endsAt": rfc3339(now + seconds),
    }


def rfc3339(unix: float) -> str:
    """A moment."""
    return datetime.fromtimestamp(unix, UTC).isoformat()


def _mgeo(*arguments: str) -> tuple[str, ...]:
    return sys.executable, "-P", "-m", "cli.main", "notifier", *arguments


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A log of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
