"""The full native stack in a temporary folder: brought up by `mgeo up` as a user would, on free ports, with the fake model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.drill.free_ports import free_ports
from service.stack_settings import StackPortSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
UP_TIMEOUT = 3600.0
"""Seconds `mgeo up` may take; it builds the programs when they are nowhere on this machine."""

COMMAND_TIMEOUT = 300.0
PORTS = ("port", *(name for name in StackPortSettings.model_fields if name.endswith("_port")))
"""The settings of every port that is taken."""


class StackFailedError(Exception):
    """A command of the stack did not do what it should."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process of the stack, as `mgeo status` has it."""

    pid: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class NativeStack:
    """A running stack; every setting that is not a port, the folder or the model is the default.

    Attributes:
        data_dir: everything it keeps.
        ports: by setting.
    """

    data_dir: Path
    ports: dict[str, int]

    @property
    def environment(self) -> dict[str, str]:
        """What its commands run with; `MGEO_*` and `OTEL_*` of the caller's own environment are left out."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MGEO_", "OTEL_"))}
        ports = {f"MGEO_{name.upper()}": str(port) for name, port in self.ports.items()}
        return {**own, "PYTHONPATH": str(ROOT), "MGEO_DATA_DIR": str(self.data_dir), "MGEO_MODEL": "fake", **ports}

    @property
    def urls(self) -> dict[str, str]:
        """The settings by which a service looks into this stack."""
        return {
            "MGEO_JAEGER_URL": self.url("jaeger_query_port"),
            "MGEO_LOKI_URL": self.url("loki_port"),
            "MGEO_PROMETHEUS_URL": self.url("prometheus_port"),
        }

    def url(self, port: str) -> str:
        """The address behind one of the ports."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def mgeo(self, *arguments: str, timeout: float = COMMAND_TIMEOUT) -> str:
        """Run a command of the program; what it wrote to standard output.

        Raises:
            StackFailedError: it ended with an exit code other than 0.
        """
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env=self.environment,
            cwd=self.data_dir.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise StackFailedError(f"mgeo {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def processes(self) -> dict[str, ProcessState]:
        """All processes by name.

        Raises:
            StackFailedError: one is not healthy.
        """
        rows: list[dict[str, Any]] = json.loads(self.mgeo("status", "--json"))
        return {row["name"]: ProcessState(pid=row["pid"], memory_bytes=row["memory_bytes"]) for row in rows}


@contextmanager
def native_stack() -> Iterator[NativeStack]:
    """Bring one up; inside the context it is ready, after it nothing of it is left.

    Raises:
        StackFailedError: it did not come up.
    """
    with tempfile.TemporaryDirectory(prefix="mgeo-bench-") as folder:
        stack = NativeStack(Path(folder, "data"), dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))
        try:
            stack.mgeo("up", "--profile", "full", "--detach", timeout=UP_TIMEOUT)
            yield stack
        finally:
            stack.mgeo("down")
