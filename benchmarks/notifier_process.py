"""The notifier as its users run it, in a process of its own, and the configuration it is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

import httpx

from benchmarks.native_stack import ROOT
from benchmarks.notifications import RECEIVER
from benchmarks.server_process import START_TIMEOUT, STOP_TIMEOUT, ServerFailedError
from cli.drill.free_ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

NOBODY = "http://127.0.0.1:1/robot/send"
"""Where nobody listens: robots there cannot be reached."""

LOOK_PAUSE = 0.05
_ENOUGH = 1_000_000_000


def configuration(robot_url: str, *, scale: float = 1.0, per_minute: int | None = None) -> str:
    """TOML with one receiver and its one robot. What is not said is the default, but no quota of a month shall matter.

    Args:
        robot_url: where the robot is; the token and the secret are those of the simulator.
        scale: shortens every duration, the minute in which a robot's messages are counted among them.
        per_minute: how many those may be; the default when it is None.
    """
    lines = [
        'allowed_hosts = ["127.0.0.1"]',
        # Neither is there: what was missed and what is silenced is not what is measured.
        'alertmanager_url = ""',
        'prometheus_url = ""',
        f"scale = {scale}",
        "[[organisations]]",
        'name = "default"',
        f"monthly_quota = {_ENOUGH}",
        "[[robots]]",
        'name = "critical"',
        'token = "simulator-critical"',
        'secret = "SECsimulator"',
        f"url = {json.dumps(robot_url)}",
        *([f"per_minute = {per_minute}"] if per_minute is not None else []),
        "[[receivers]]",
        f"name = {json.dumps(RECEIVER)}",
        'robots = ["critical"]',
    ]
    return "\n".join(lines) + "\n"


class NotifierProcess:
    """Runs `mgeo notifier run`; a context manager, inside of which it is ready and listens on `port`.

    Args:
        folder: gets its configuration and its log; its outbox is `outbox` there.
        config: the text of its configuration.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self._folder = folder
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            ServerFailedError: it ended, or was not ready within `START_TIMEOUT` seconds.
        """
        file = self._folder / "notifier.toml"
        file.write_text(self._config)
        (self.port,) = free_ports(1)
        arguments = ("--config", str(file), "--port", str(self.port), "--data-dir", str(self._folder / "outbox"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MGEO_", "OTEL_"))}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "notifier", "run", *arguments],
                env={**environment, "PYTHONPATH": str(ROOT)},
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it by SIGTERM.

        Raises:
            ServerFailedError: it ended with an exit code of its own, or not within `STOP_TIMEOUT` seconds.
        """
        assert self._process is not None
        self._process.terminate()
        try:
            code = self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise ServerFailedError(f"the notifier did not end within {STOP_TIMEOUT:.0f} s") from None
        if code != 0 and kind is None:
            raise ServerFailedError(f"the notifier ended with exit code {code}: {self._said()}")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def _log(self) -> Path:
        return self._folder / "notifier.log"

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-1000:] or "nothing"

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with httpx.Client(trust_env=False, timeout=START_TIMEOUT) as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise ServerFailedError(f"the notifier ended before it was ready; it said: {self._said()}")
                try:
                    if client.get(f"http://127.0.0.1:{self.port}/readyz").status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(LOOK_PAUSE)
        raise ServerFailedError(f"the notifier was not ready within {START_TIMEOUT:.0f} s; it said: {self._said()}")
