"""A whole stack for tests: brought up by `mgeo up` as a user would, on free ports and in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cli.drill.free_ports import free_ports
from cli.stack.layout import Layout
from cli.stack.state import read_state
from cli.stack.supervisor import Control
from service.stack_settings import StackPortSettings
from tests.deadline import until
from tests.stack.collector import ROOT

PORTS = ("port", *(name for name in StackPortSettings.model_fields if name.endswith("_port")))
# Collections as often as tests have patience for, and a small disk will do; every other setting is the default.
QUICK = {
    "OTEL_METRIC_EXPORT_INTERVAL": "2000",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BLRP_SCHEDULE_DELAY": "500",
    "MGEO_COLLECTOR_QUEUE_BYTES": "67108864",
}


@dataclass(slots=True, kw_only=True)
class Stack:
    """One stack on free ports.

    Attributes:
        data_dir: everything it keeps.
        profile: lite, full or agent.
        options: more of `mgeo up`.
        variables: more of its environment.
    """

    data_dir: Path
    profile: str
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=lambda: dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))

    @property
    def environment(self) -> dict[str, str]:
        """What every command of this stack is run with."""
        return {
            **os.environ,
            **QUICK,
            "PYTHONPATH": str(ROOT),
            "MGEO_DATA_DIR": str(self.data_dir),
            "MGEO_MODEL": "fake",
            "MGEO_GPU": "off",
            **{f"MGEO_{name.upper()}": str(port) for name, port in self.ports.items()},
            **self.variables,
        }

    def mgeo(
        self, *arguments: str, check: bool = True, timeout: float = 600, within: tuple[str, ...] = (), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the program, perhaps within another; its exit code must be 0 unless `check` is off."""
        done = subprocess.run(
            [*within, sys.executable, "-m", "cli.main", *arguments],
            env={**self.environment, **variables},
            cwd=self.data_dir.parent,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"mgeo {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def up(self) -> None:
        """Bring it up and wait until all of it is ready."""
        self.mgeo("up", "--profile", self.profile, "--detach", *self.options)

    def down(self) -> None:
        """Take it down."""
        self.mgeo("down")

    def status(self) -> dict[str, dict[str, Any]]:
        """What `mgeo status --json` tells, by name."""
        return {each["name"]: each for each in json.loads(self.mgeo("status", "--json", check=False).stdout)}

    def url(self, port: str) -> str:
        """The address of one of the ports."""
        return f"http://127.0.0.1:{self.ports[port]}"

    @property
    def service_url(self) -> str:
        """The service."""
        return self.url("port")

    @property
    def prometheus_url(self) -> str:
        """Prometheus."""
        return self.url("prometheus_port")

    @property
    def loki_url(self) -> str:
        """Loki."""
        return self.url("loki_port")

    @property
    def jaeger_url(self) -> str:
        """Jaeger's API."""
        return self.url("jaeger_query_port") + ("/jaeger" if "--gateway" in self.options else "")

    @property
    def lookup_variables(self) -> dict[str, str]:
        """What commands that look into the stores are told."""
        return {"MGEO_PROMETHEUS_URL": self.prometheus_url, "MGEO_LOKI_URL": self.loki_url, "MGEO_JAEGER_URL": self.jaeger_url}

    @property
    def control(self) -> Control:
        """Supervisord's socket."""
        state = read_state(Layout(self.data_dir))
        assert state is not None
        return Control(socket=state.socket, password=state.password)

    def pid(self, name: str) -> int | None:
        """The process id of one program; None while it does not run."""
        return self.control.processes()[name].pid

    def stop(self, name: str) -> None:
        """Stop a program in good order, and wait for its end; it stays away. Loki may take all the time it is given."""
        self.control.stop(name)
        until(lambda: self.pid(name) is None, deadline=90)

    def start(self, name: str) -> None:
        """Start a program that was stopped."""
        self.control.start(name)

    def kill(self, name: str) -> None:
        """Kill a program with -9; supervisord starts it again."""
        pid = self.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.pid(name) not in {pid, None}, deadline=60)

    def wait_healthy(self, *names: str, deadline: float = 180.0) -> None:
        """Wait until the named programs, or all, are healthy."""
        until(lambda: all(each["healthy"] for name, each in self.status().items() if not names or name in names), deadline=deadline)

    def load(self, *, rate: float, seconds: float, mix: str = "valid=1", seed: int = 1, **options: str) -> dict[str, Any]:
        """Send traffic and wait for its end; the report of `mgeo load`."""
        return self.start_load(rate=rate, seconds=seconds, mix=mix, seed=seed, **options).report()

    def start_load(self, *, rate: float, seconds: float, mix: str = "valid=1", seed: int = 1, **options: str) -> Load:
        """Send traffic beside the test."""
        more = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        arguments = ["load", "--url", self.service_url, "--rate", str(rate), "--duration", f"{seconds}s", "--mix", mix, "--seed", str(seed)]
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments, *more, "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return Load(process)

    def audit(self, *arguments: str, check: bool = True, settle: float = 120.0) -> dict[str, Any]:
        """What `mgeo audit --json` finds."""
        done = self.mgeo("audit", "--json", "--settle", f"{settle}s", *arguments, check=False)
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        assert not check or done.returncode == 0, f"audit ended with {done.returncode}: {done.stdout}\n{done.stderr}"
        return found

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query of Prometheus."""
        answer = httpx.get(f"{self.prometheus_url}/api/v1/query", params={"query": expression}, timeout=20).json()
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def value_at(self, expression: str, unix: float) -> float | None:
        """The newest value of a single series in the hour around a moment; None when it has none."""
        answer = httpx.get(
            f"{self.prometheus_url}/api/v1/query", params={"query": f"last_over_time({expression}[1h])", "time": unix + 1800}, timeout=20
        )
        result = answer.json()["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def lines(self, query: str, *, since: float = 3600.0) -> list[dict[str, str]]:
        """The labels and structured metadata of Loki's newest lines that a query finds.

        Few, since each line is a stream of its own in such an answer and Loki needs 20 s for 5,000 of them.
        """
        now = time.time_ns()
        answer = httpx.get(
            f"{self.loki_url}/loki/api/v1/query_range",
            params={"query": query, "start": now - int(since * 1e9), "end": now + 60_000_000_000, "limit": 100},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return [{**stream["stream"], "line": line[1]} for stream in answer.json()["data"]["result"] for line in stream["values"]]

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace in Jaeger; none when it has none."""
        answer = httpx.get(f"{self.jaeger_url}/api/v3/traces/{trace_id}", timeout=20)
        if answer.status_code == 404:
            return []
        assert answer.status_code == 200, answer.text
        return [
            span for resource in answer.json()["result"]["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]
        ]


@dataclass(slots=True)
class Load:
    """A load that runs."""

    process: subprocess.Popen[str]

    def report(self, timeout: float = 1200.0) -> dict[str, Any]:
        """Wait for its end; its report."""
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, f"the load ended with {self.process.returncode}: {err}"
        report: dict[str, Any] = json.loads(out)
        return report

    def stop(self) -> None:
        """End it early; it waits for the answers that are due."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        assert self.process.returncode == 130


def eventually(read: Callable[[], Any], *, deadline: float = 60.0) -> Any:
    """What `read` gives as soon as it gives something; fails when it does not within `deadline` seconds."""
    found: list[Any] = []

    def ask() -> bool:
        found[:] = [read()]
        return bool(found[0])

    until(ask, deadline=deadline)
    return found[0]
