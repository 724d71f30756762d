"""A real Alertmanager with our configuration, and somebody it notifies."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from prometheus.alerting.routing import RECEIVERS, alertmanager
from prometheus.alerting.scale import TimeScale
from tests.deadline import until

TOKEN = "a-token-between-the-two"


@dataclass(slots=True)
class Receiver:
    """What was notified, and how the caller proved who it is."""

    url: str
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def told(self, receiver: str) -> list[tuple[str, str, str]]:
        """Alert, instance and status of everything that a receiver was told, in order."""
        return [
            (alert["labels"]["alertname"], alert["labels"].get("instance", ""), alert["status"])
            for path, _, payload in list(self.calls)
            if path == f"/v1/alertmanager/{receiver}"
            for alert in payload["alerts"]
        ]


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """One that runs."""

    url: str
    receiver: Receiver

    def post(self, *alerts: dict[str, str], resolved: bool = False) -> None:
        """Tell it of alerts, as Prometheus does."""
        now = datetime.now(UTC)
        ends = {"endsAt": now.isoformat()} if resolved else {}
        body = [{"labels": labels, "startsAt": (now - timedelta(minutes=1)).isoformat(), **ends} for labels in alerts]
        assert httpx.post(f"{self.url}/api/v2/alerts", json=body, trust_env=False).status_code == 200

    def inhibited(self, **labels: str) -> dict[tuple[str, str], bool]:
        """Whether each alert it knows, or each with these labels, is inhibited, by name and instance."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("instance", "")): bool(alert["status"]["inhibitedBy"])
            for alert in httpx.get(f"{self.url}/api/v2/alerts", trust_env=False).json()
            if all(alert["labels"].get(name, "") == value for name, value in labels.items())
        }


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.calls.append((self.path, self.headers.get("Authorization", ""), payload))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()


def prepare(folder: Path, receiver_url: str, scale: float) -> Path:
    """A configuration beside its targets, as `mgeo up` and compose lay them out."""
    path = folder / "alertmanager.yml"
    path.write_text(alertmanager(TimeScale(scale)), encoding="utf-8")
    targets = folder / "targets"
    targets.mkdir()
    for name in RECEIVERS:
        (targets / f"{name}.url").write_text(f"{receiver_url}/v1/alertmanager/{name}", encoding="utf-8")
    (targets / "token").write_text(TOKEN, encoding="utf-8")
    return path


@contextmanager
def running(program: Path, folder: Path, *, scale: float) -> Iterator[Alertmanager]:
    """Alertmanager with our configuration, its times at this scale."""
    with receiving() as receiver:
        prepare(folder, receiver.url, scale)
        address = f"127.0.0.1:{free_port()}"
        flags = ("--config.file=alertmanager.yml", "--storage.path=data", f"--web.listen-address={address}", "--cluster.listen-address=")
        with started([program, *flags, "--log.level=warn"], folder, f"http://{address}/-/ready"):
            yield Alertmanager(f"http://{address}", receiver)
        shutil.rmtree(folder / "data", ignore_errors=True)


@contextmanager
def started(argv: Sequence[object], folder: Path, ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a folder, once it is ready; ended with the context."""
    with subprocess.Popen([str(each) for each in argv], cwd=folder) as process:
        try:
            until(lambda: answers(ready), deadline=60)
            yield process
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    """Whether it says 200."""
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
