"""A restart of Prometheus while an alert fires: nobody hears of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from prometheus.alerting.file import rule_files
from prometheus.alerting.scale import TimeScale
from tests.deadline import until
from tests.rules.alertmanager import free_port, running, started

# Five minutes are fifteen seconds, and the ten that HighErrorRate must hold are thirty.
SCALE = 0.05
CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules/*.yml, alerts/*.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}
scrape_configs:
  - job_name: mgeo
    static_configs: [{{targets: ['{service}'], labels: {{instance: id-1, mgeo_instance_name: box}}}}]
"""


@contextmanager
def failing_service() -> Iterator[str]:
    """A service of which a tenth fails, hundred requests a second; its address."""
    began = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served = (time.monotonic() - began) * 100
            lines = (
                f'mgeo_requests_total{{status="success"}} {int(served * 0.9)}\n'
                f'mgeo_requests_total{{status="error",error_type="model_failed"}} {int(served * 0.1)}\n'
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(lines.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def state(url: str) -> str:
    """What Prometheus says of HighErrorRate: inactive, pending or firing."""
    found = [
        alert["state"]
        for alert in httpx.get(f"{url}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
        if alert["labels"]["alertname"] == "HighErrorRate"
    ]
    return found[0] if found else "inactive"


def evaluations(url: str) -> float:
    """How often the rules about inference were evaluated since its start."""
    lines = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
    counts = [
        float(line.split()[-1]) for line in lines if line.startswith("prometheus_rule_group_iterations_total") and ";inference" in line
    ]
    return counts[0] if counts else 0.0


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_restart_while_an_alert_fires_sends_nothing(program: Callable[[str], Path], tmp_path: Path) -> None:
    """Killed and started anew it goes on firing, and the message stays the only one. Without the flag it would begin to wait anew."""
    folder = tmp_path / "prometheus"
    for name, text in rule_files(TimeScale(SCALE)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "alertmanager").mkdir()
    address = f"127.0.0.1:{free_port()}"
    url = f"http://{address}"
    argv = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}"]
    kept, naive = "--rules.alert.for-grace-period=0s", "--rules.alert.for-grace-period=10m"

    with failing_service() as service, running(program("alertmanager"), tmp_path / "alertmanager", scale=SCALE) as manager:
        where = manager.url.removeprefix("http://")
        (folder / "prometheus.yml").write_text(CONFIG.format(alertmanager=where, service=service), encoding="utf-8")
        told = lambda: [each for each in manager.receiver.told("critical") if each[0] == "HighErrorRate"]  # noqa: E731 -- asked again and again
        with started([*argv, kept, "--log.level=warn"], folder, f"{url}/-/ready") as prometheus:
            until(lambda: told() == [("HighErrorRate", "id-1", "firing")], deadline=120)
            prometheus.kill()
        with started([*argv, kept, "--log.level=warn"], folder, f"{url}/-/ready") as prometheus:
            until(lambda: evaluations(url) >= 5, deadline=60)
            assert state(url) == "firing"
            # A group of its own that fires and resolves: longer than the other group would need to say something.
            canary = {"alertname": "Canary", "severity": "critical"}
            manager.post(canary)
            until(lambda: ("Canary", "", "firing") in manager.receiver.told("critical"))
            manager.post(canary, resolved=True)
            until(lambda: ("Canary", "", "resolved") in manager.receiver.told("critical"))
            assert told() == [("HighErrorRate", "id-1", "firing")]
            prometheus.kill()
        with started([*argv, naive, "--log.level=warn"], folder, f"{url}/-/ready"):
            until(lambda: evaluations(url) >= 5, deadline=60)
            assert state(url) == "pending"
