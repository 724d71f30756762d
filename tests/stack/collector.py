"""A Collector of its own for a test: the configuration that ships, on free ports, with other stores."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import httpx

from cli.drill.free_ports import free_ports
from tests.deadline import until

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "otel-collector"


class Collector:
    """One run of the Collector.

    Args:
        program: its binary.
        folder: for its queues and its log.
        overlays: configuration files beside config.yaml and redaction.yaml, by name.
        variables: what it reads beside its ports.

    Attributes:
        queues: the folder of its queues.
    """

    def __init__(self, program: Path, folder: Path, *overlays: str, **variables: str) -> None:
        self.grpc_port, self.http_port, self.metrics_port, self.health_port, self.ingest_port = free_ports(5)
        self._log = folder / "collector.log"
        self.queues = folder / "queue"
        environment = {
            **os.environ,
            "MGEO_COLLECTOR_GRPC_PORT": str(self.grpc_port),
            "MGEO_COLLECTOR_HTTP_PORT": str(self.http_port),
            "MGEO_COLLECTOR_METRICS_PORT": str(self.metrics_port),
            "MGEO_COLLECTOR_HEALTH_PORT": str(self.health_port),
            "MGEO_COLLECTOR_INGEST_PORT": str(self.ingest_port),
            "MGEO_COLLECTOR_QUEUE_DIR": str(self.queues),
            **variables,
        }
        files = [CONFIGURATION / name for name in ("config.yaml", "redaction.yaml", *overlays)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(program), *(f"--config={file}" for file in files)], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        until(self._healthy, deadline=60.0)

    @property
    def said(self) -> str:
        """Its log."""
        return self._log.read_text()

    def post(self, signal: str, body: bytes, *, port: int | None = None, **headers: str) -> httpx.Response:
        """Send an OTLP message by HTTP."""
        url = f"http://127.0.0.1:{port or self.http_port}/v1/{signal}"
        return httpx.post(url, content=body, headers={"Content-Type": "application/x-protobuf", **headers}, timeout=10)

    def own_metrics(self) -> str:
        """What it says of itself."""
        return httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10).text

    def kill(self) -> None:
        """End it as the OOM killer would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """End it well."""
        self.process.terminate()
        assert self.process.wait(30) == 0, self.said

    def _healthy(self) -> bool:
        assert self.process.poll() is None, self.said
        try:
            return httpx.get(f"http://127.0.0.1:{self.health_port}/", timeout=5).status_code == 200
        except httpx.TransportError:
            return False
