"""The load under which drills run: `mgeo load`, at a rate that may be changed."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = "24h"
END_WITHIN = 3.0
"""Seconds in which it may wait for the answers that are due; then it is killed, for a drill may have none answered."""


class Traffic:
    """Traffic for one service.

    Args:
        url: of the service.
        environment: of the load; it may hold an API key.
    """

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self._url = url
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._seed = 0

    def flow(self, rate: float) -> None:
        """Send so many requests in a second from now on; 0 sends none."""
        self.stop()
        if rate <= 0:
            return
        self._seed += 1
        self._process = subprocess.Popen(  # noqa: S603 -- this very program
            [
                *(sys.executable, "-P", "-m", "cli.main", "load", f"--url={self._url}", f"--rate={rate:g}", f"--duration={LONGEST}"),
                *(f"--seed={self._seed}", "--patience=12s", "--connections=4000", "--json"),
            ],
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the drill, which then ends its load.
            start_new_session=True,
        )

    def stop(self) -> None:
        """Send no more."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_WITHIN)
        if process.poll() is None:
            process.kill()
            process.wait()
