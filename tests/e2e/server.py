"""A server process for tests: started on a free port and a folder of its own, stopped by a signal, judged by its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ENTRY = Path(__file__).with_name("entry.py")
ROOT = Path(__file__).parents[2]
START_DEADLINE = 60.0


class Server:
    """One run of the service.

    Args:
        folder: where its output goes, and its data unless `data_dir` says otherwise.
        model: `fake` and the like run `python -m service`; a number runs `entry.py` with a model that takes so many seconds.
        otel: `OTEL_` variables.
        settings: `MGEO_` variables by their names in lower case.
    """

    def __init__(self, folder: Path, *, model: str | float = "fake", otel: dict[str, str] | None = None, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = Path(settings.pop("data_dir", folder / "data"))
        number = len(list(folder.glob("stdout.*")))
        self._out, self._err = folder / f"stdout.{number}", folder / f"stderr.{number}"
        scripted = not isinstance(model, str)
        given = {"data_dir": self.data_dir, "port": 0, "gpu": "off", "model": "fake" if scripted else model, **settings}
        environment = {
            **os.environ,
            **(otel or {}),
            **{f"MGEO_{name.upper()}": str(value) for name, value in given.items()},
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, str(ENTRY), str(model)] if scripted else [sys.executable, "-m", "service"]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        self.url = ""

    @property
    def stdout(self) -> str:
        """What it has printed."""
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        """What it has complained."""
        return self._err.read_text()

    def ready(self) -> Server:
        """Wait until `/readyz` answers 200."""
        self.wait_for(lambda: self.process.poll() is not None or "MGeo listens on" in self.stdout, within=START_DEADLINE)
        found = re.search(r"MGeo listens on (http://\S+)", self.stdout)
        assert found, f"the server ended with {self.process.poll()}: {self.stderr}"
        self.url = found[1]
        self.wait_for(lambda: self.get("/readyz").status_code == 200)
        return self

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET on a connection of its own."""
        return httpx.get(self.url + path, timeout=30, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """A POST on a connection of its own."""
        return httpx.post(self.url + path, timeout=30, **options)

    def match(self, address1: str, address2: str, **headers: str) -> httpx.Response:
        """Ask for one pair; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.post("/v1/match", json={"address1": address1, "address2": address2}, headers=named)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self, *, within: float = 40.0) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(within)

    def stop(self) -> None:
        """Stop it by SIGTERM, and have it end well: exit code 0 and nothing to complain of."""
        self.signal()
        assert self.ended() == 0, self.stderr
        assert self.stderr == "", self.stderr

    def kill(self) -> None:
        """End it at once, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def wait_for(self, condition: Callable[[], object], *, within: float = 20.0) -> None:
        """Wait for a condition, with what the server said when it does not come."""
        until = time.monotonic() + within
        while True:
            with contextlib.suppress(httpx.TransportError):
                if condition():
                    return
            assert time.monotonic() < until, f"not within {within} s; the server said: {self.stderr}"
            time.sleep(0.02)
