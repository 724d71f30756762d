"""The product's server with every garbage collection timed: `python -m benchmarks.collector_server FILE`.

SIGUSR1 asks for a full collection. On its end, FILE has a line for each collection: when it began, by the monotonic clock,
its seconds, and its generation.
"""

from __future__ import annotations

import gc
import signal
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from service.__main__ import run
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class PauseLog:
    """Times collections, for `gc.callbacks`; keeps plain numbers, which are no work for the collector itself.

    Args:
        monotonic: clock in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._begun = 0.0
        self._numbers = array("d")

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        """Note the begin of a collection, or its end."""
        now = self._monotonic()
        if phase == "start":
            self._begun = now
        else:
            self._numbers.extend((self._begun, now - self._begun, info["generation"]))

    def lines(self) -> str:
        """All collections so far, a line each, as `Pause.parse` reads them."""
        rows = zip(*[iter(self._numbers)] * 3, strict=True)
        return "".join(f"{begun!r} {seconds!r} {generation:.0f}\n" for begun, seconds, generation in rows)


def main(file: Path) -> int:
    """Serve by the settings of the environment until SIGTERM; the exit code of the service."""
    pauses = PauseLog()
    gc.callbacks.append(pauses)
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
    code = run(Settings.load())
    gc.callbacks.remove(pauses)
    file.write_text(pauses.lines())
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
