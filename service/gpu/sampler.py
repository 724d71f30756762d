"""The sampler: asks a GPU reader on a thread of its own, so that neither an export nor a request ever waits for the driver."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from service.gpu.reader import GpuSample

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.gpu.reader import GpuReader

STALE_INTERVALS: Final = 5  # a single late or failed read must not make a series blink
HISTORY_SAMPLES: Final = 60
MAX_BACKOFF_SECONDS: Final = 60.0


class GpuSampler:
    """Reads on its own daemon thread and keeps the last `HISTORY_SAMPLES` samples.

    `latest` and `nearest` never wait for the reader: one that hangs or fails only lets the sample go stale. The
    thread that reads also closes the reader when it ends, so the two never overlap.

    Args:
        reader: who is asked.
        interval: seconds between reads; doubled at each failure in a row after the first, up to a minute.
        clock: monotonic seconds.
        wall: nanoseconds since 1970.
    """

    def __init__(
        self,
        reader: GpuReader,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._reader = reader
        self._interval = interval
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._history: tuple[GpuSample, ...] = ()
        self._failures_in_a_row = 0
        self._errors = 0
        self._last_error: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def errors(self) -> int:
        """How many reads have failed."""
        return self._errors

    @property
    def last_error(self) -> str | None:
        """Why the most recent read failed; None when it did not."""
        return self._last_error

    @property
    def delay(self) -> float:
        """Seconds from the end of the most recent read to the next."""
        doublings = min(max(self._failures_in_a_row - 1, 0), 16)
        return max(self._interval, min(self._interval * 2.0**doublings, MAX_BACKOFF_SECONDS))

    def start(self) -> None:
        """Start the thread; no effect while one lives, be it one that `stop` left inside a hung read."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="gpu-sampler", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 2.0) -> bool:
        """Ask the thread to end and wait at most `timeout` seconds; whether it has ended. May be called twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def sample_once(self) -> GpuSample | None:
        """Read now, on the calling thread, and keep the sample; None when the reader failed, which is counted."""
        taken_at_monotonic, taken_at_unix_ns = self._clock(), self._wall()
        try:
            devices = self._reader.read()
        except Exception as error:  # noqa: BLE001 - whatever a driver does, the sampling goes on
            self._failures_in_a_row += 1
            self._errors += 1
            self._last_error = f"{type(error).__name__}: {error}"
            return None
        self._failures_in_a_row = 0
        self._last_error = None
        sample = GpuSample(taken_at_monotonic=taken_at_monotonic, taken_at_unix_ns=taken_at_unix_ns, devices=devices)
        kept = self._history[1 - HISTORY_SAMPLES :]
        if kept and kept[-1].taken_at_unix_ns > taken_at_unix_ns:
            kept = ()  # the wall clock was set back: older stamps no longer tell which sample came first
        with self._lock:
            self._history = (*kept, sample)
        return sample

    def latest(self) -> GpuSample | None:
        """The last sample, or None when it is `STALE_INTERVALS` intervals old or older, or there is none."""
        with self._lock:
            history = self._history
        if not history or self._clock() - history[-1].taken_at_monotonic >= STALE_INTERVALS * self._interval:
            return None
        return history[-1]

    def nearest(self, unix_ns: int) -> GpuSample | None:
        """The kept sample nearest to a moment, the earlier of two as near; None when over `STALE_INTERVALS` intervals away.

        Args:
            unix_ns: the moment, in nanoseconds since 1970.
        """
        with self._lock:
            history = self._history
        at = bisect_left(history, unix_ns, key=attrgetter("taken_at_unix_ns"))
        around = history[max(at - 1, 0) : at + 1]
        best = min(around, key=lambda sample: abs(sample.taken_at_unix_ns - unix_ns), default=None)
        if best is None or abs(best.taken_at_unix_ns - unix_ns) > STALE_INTERVALS * self._interval * 1e9:
            return None
        return best

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.sample_once()
            self._stopping.wait(self.delay)
        with suppress(Exception):
            self._reader.close()
