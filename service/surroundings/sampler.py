"""The sampler: reads something on a thread of its own, so that neither an export nor a request ever waits for a disk or a network."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)

STALE_INTERVALS: Final = 5  # a single late or failed read must not make a series blink


class Sampler(Generic[T_co]):
    """Reads on its own daemon thread and keeps the last value.

    `latest` never waits: a read that hangs or fails only lets the value go stale.

    Args:
        name: of the thread.
        read: gives the value; it may block, and raise.
        interval: seconds between reads.
        clock: monotonic seconds.
    """

    def __init__(self, name: str, read: Callable[[], T_co], *, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._read = read
        self._interval = interval
        self._clock = clock
        self._kept: tuple[float, T_co] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; no effect while one lives, be it one that `stop` left inside a hung read."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread end after the read that it is in; returns at once."""
        self._stopping.set()

    def stop(self, timeout: float) -> bool:
        """Ask the thread to end and wait at most `timeout` seconds; whether it has ended. May be called twice."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def sample_once(self) -> None:
        """Read now, on the calling thread, and keep the value; a read that fails leaves the one before."""
        taken_at = self._clock()  # before the read: a slow one never claims to be newer than it is
        try:
            value = self._read()
        except Exception:  # noqa: BLE001 - whatever a disk or a network does, the sampling goes on
            return
        self._kept = (taken_at, value)

    def latest(self) -> T_co | None:
        """The last value; None when it is `STALE_INTERVALS` intervals old or older, or there is none."""
        kept = self._kept
        if kept is None or self._clock() - kept[0] >= STALE_INTERVALS * self._interval:
            return None
        return kept[1]

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.sample_once()
            self._stopping.wait(self._interval)
