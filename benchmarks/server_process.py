"""A server in a process of its own, bound to some cores, from its announcement until its end."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

START_TIMEOUT = 60.0
"""Seconds a server may take until it announces its address; importing torch on a busy machine takes most of it."""

STOP_TIMEOUT = 30.0
"""Seconds it may take to end after SIGTERM, its last exports included."""

_ADDRESS = re.compile(r"listens on http://127\.0\.0\.1:(\d+)")


class ServerFailedError(Exception):
    """A server did not start, or did not end as it should."""


class ServerProcess:
    """Runs `python -m module arguments…`; a context manager, inside of which the server listens on `port`.

    Args:
        module: what to run; announces `listens on http://127.0.0.1:PORT` on standard output.
        arguments: of its command line.
        settings: environment variables; `MGEO_*` and `OTEL_*` of the caller's own environment are left out.
        cores: CPUs it may run on.

    Attributes:
        output: what it wrote after the announcement; complete once the context is left.
    """

    def __init__(self, module: str, *arguments: str, settings: Mapping[str, str], cores: Sequence[int]) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(("MGEO_", "OTEL_"))}
        self._environment.update(settings)
        self._cores = cores
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.output = ""

    def __enter__(self) -> Self:
        """Start it and wait for its announcement.

        Raises:
            ServerFailedError: it ended, or said nothing for `START_TIMEOUT` seconds.
        """
        self._process = subprocess.Popen(self._command, env=self._environment, stdout=subprocess.PIPE)
        # Before it has threads, which take the cores of the one that starts them.
        os.sched_setaffinity(self._process.pid, self._cores)
        try:
            self.port = self._announced(self._process)
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it by SIGTERM.

        Raises:
            ServerFailedError: it ended with an exit code of its own, or not within `STOP_TIMEOUT` seconds.
        """
        process = self._started()
        process.terminate()
        try:
            self.output = process.communicate(timeout=STOP_TIMEOUT)[0].decode()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise ServerFailedError(f"{' '.join(self._command)} did not end within {STOP_TIMEOUT:.0f} s") from None
        if process.returncode != 0 and kind is None:
            raise ServerFailedError(f"{' '.join(self._command)} ended with exit code {process.returncode}")

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._started().pid

    def send_signal(self, number: int) -> None:
        """Send a signal to it."""
        self._started().send_signal(number)

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _announced(self, process: subprocess.Popen[bytes]) -> int:
        assert process.stdout is not None
        said, deadline = "", time.monotonic() + START_TIMEOUT
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([process.stdout], [], [], left)[0]:
                break
            # Not `read`, which would wait for more than there is.
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                raise ServerFailedError(f"{' '.join(self._command)} ended before it listened; it said: {said or 'nothing'}")
            said += piece.decode()
            if found := _ADDRESS.search(said):
                return int(found[1])
        raise ServerFailedError(f"{' '.join(self._command)} did not listen within {START_TIMEOUT:.0f} s; it said: {said or 'nothing'}")
