"""A Prometheus of a test's own, with one alert rule that fires while the queue is deep."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.deadline import until

CONFIG = """
global: {evaluation_interval: 1s}
rule_files: [rules.yml]
otlp: {promote_resource_attributes: [service.name, mgeo.instance.name]}
storage: {tsdb: {out_of_order_time_window: 12h}}
"""
RULES = """
groups:
  - name: sample
    rules:
      - alert: QueueDeep
        expr: mgeo_queue_depth > 5
        labels: {severity: warning}
      - alert: QueueEndless
        expr: mgeo_queue_depth > 1000
"""


@pytest.fixture
def alerting_prometheus(tmp_path: Path, program: Callable[[str], Path]) -> Iterator[str]:
    """Its address."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    (folder / "prometheus.yml").write_text(CONFIG)
    (folder / "rules.yml").write_text(RULES)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-otlp-receiver",
        "--log.level=warn",
    )
    with subprocess.Popen([str(program("prometheus")), *flags]) as process:
        try:
            until(lambda: _is_ready(f"http://{address}"))
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(20)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
