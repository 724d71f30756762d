"""Log lines, from any thread to their sinks by a thread of their own."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Protocol

from service.telemetry.backoff import Backoff
from service.telemetry.log_record import encode
from service.telemetry.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INTERVAL = 0.1
MAX_LINES = 100
_PIPE_BYTES = 4096


class LineSink(Protocol):
    """Where lines go. Called by one thread."""

    @property
    def name(self) -> str:
        """What a message calls it; no secrets."""
        ...

    def write(self, lines: bytes) -> None:
        """Take whole lines. An OSError means that they are to be brought again later."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class StdoutSink:
    """Standard output, for a collector that reads it. A reader that does not read raises, and does not hang the log.

    Args:
        descriptor: stays open.
        patience: seconds a write may wait for the reader.
    """

    name = "standard output"

    def __init__(self, descriptor: int = 1, *, patience: float = 1.0) -> None:
        self._descriptor = descriptor
        self._patience = patience
        self._torn = False

    def write(self, lines: bytes) -> None:
        """Write in pieces that a pipe takes whole once it is writable."""
        if self._torn:
            lines = b"\n" + lines
        self._torn = True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        for start in range(0, len(lines), _PIPE_BYTES):
            piece = memoryview(lines)[start : start + _PIPE_BYTES]
            while piece:
                if not poll.poll(self._patience * 1000):
                    raise TimeoutError(f"nobody reads {self.name}")
                piece = piece[os.write(self._descriptor, piece) :]
        self._torn = False

    def close(self) -> None:
        """Leave the descriptor to its owner."""


class LogWriter:
    """Encodes and writes records on its own thread, from construction to `close`.

    A failing sink keeps its lines, up to a bound, and is tried again.

    Args:
        sinks: each gets every line, in order; a line may come twice after a failure.
        queue_size: records that may wait, and lines that a failing sink may keep; more are dropped and counted.
        monotonic: the clock of the retries.
    """

    def __init__(self, sinks: Sequence[LineSink], *, queue_size: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._outlets = [_Outlet(sink, queue_size, monotonic) for sink in sinks]
        self._box: Mailbox[Mapping[str, object]] = Mailbox(queue_size)
        self._dropped: Counter[str] = Counter(queue_full=0, write_failed=0)
        self._mutex = threading.Lock()
        self._abandoned = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """Lines that every sink has taken."""
        return min((outlet.written for outlet in self._outlets), default=0)

    @property
    def dropped(self) -> dict[str, int]:
        """Lines lost, by reason: `queue_full` at the door, `write_failed` by a sink that failed for too long."""
        with self._mutex:
            return dict(self._dropped)

    @property
    def depth(self) -> int:
        """Records and lines that wait, those of the slowest sink."""
        return len(self._box) + max((len(outlet.lines) for outlet in self._outlets), default=0)

    @property
    def degraded(self) -> str | None:
        """Why lines are not written now; None while all is well."""
        return "; ".join(outlet.trouble for outlet in self._outlets if outlet.trouble is not None) or None

    def write(self, record: Mapping[str, object]) -> None:
        """Queue one record. Any thread; never blocks, never raises. The record must not change afterwards."""
        if self._closing.is_set():
            self._lose("write_failed")
        elif not self._box.put(record):
            self._lose("queue_full")

    def close(self, timeout: float) -> bool:
        """Write what waits, for at most `timeout` seconds, and close the sinks; whether nothing was left. Safe to call again."""
        self._closing.set()
        self._box.wake()
        self._thread.join(timeout)
        return not self._thread.is_alive() and self._abandoned == 0

    def _run(self) -> None:
        while not self._closing.is_set():
            self._box.wait(INTERVAL)
            self._drain()
        self._drain(last=True)
        self._abandoned = sum(outlet.close() for outlet in self._outlets)
        self._lose("write_failed", self._abandoned)

    def _drain(self, *, last: bool = False) -> None:
        while True:
            records = self._box.take(MAX_LINES)
            lines = [line for line in map(self._encoded, records) if line is not None]
            for outlet in self._outlets:
                self._lose("write_failed", outlet.offer(lines))
                outlet.flush(at_once=last)
            if not records:
                return

    def _encoded(self, record: Mapping[str, object]) -> bytes | None:
        try:
            return encode(record)
        except (TypeError, ValueError):
            self._lose("write_failed")
            return None

    def _lose(self, reason: str, count: int = 1) -> None:
        if count:
            with self._mutex:
                self._dropped[reason] += count


class _Outlet:
    """One sink with the lines it still has to take."""

    def __init__(self, sink: LineSink, size: int, monotonic: Callable[[], float]) -> None:
        self._sink = sink
        self._size = size
        self._backoff = Backoff(monotonic)
        self.lines: deque[bytes] = deque()
        self.written = 0
        self.trouble: str | None = None

    def offer(self, lines: Sequence[bytes]) -> int:
        """Add lines; how many had to go, the oldest first, because the sink has failed for too long."""
        self.lines.extend(lines)
        excess = max(len(self.lines) - self._size, 0)
        for _ in range(excess):
            self.lines.popleft()
        return excess

    def flush(self, *, at_once: bool = False) -> None:
        """Write what there is, unless a failure is too recent and it need not be `at_once`."""
        if self._backoff.waiting and not at_once:
            return
        while self.lines:
            batch = [self.lines[index] for index in range(min(MAX_LINES, len(self.lines)))]
            try:
                self._sink.write(b"".join(batch))
            except Exception as error:  # noqa: BLE001 -- whatever a sink does, the thread and the other sinks go on
                self._backoff.failed()
                self.trouble = f"{self._sink.name}: {_reason(error)}"
                return
            for _ in batch:
                self.lines.popleft()
            self.written += len(batch)
            self._backoff.succeeded()
            self.trouble = None

    def close(self) -> int:
        """Close the sink; how many lines it never took."""
        self._sink.close()
        lost = len(self.lines)
        self.lines.clear()
        return lost


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else type(error).__name__
