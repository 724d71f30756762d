"""One signal's way out: a thread that sends what is spooled, in order, for as long as it takes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry.instrumentation.utils import suppress_instrumentation

from service.telemetry.sdk.spool.pause import Pause
from service.telemetry.sdk.spool.spool import LOOK_INTERVAL
from service.telemetry.sdk.spool.transport import Accepted, Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.telemetry.sdk.spool.spool import Spool
    from service.telemetry.sdk.spool.transport import Transport

PATIENCE = 5.0
"""Seconds an endpoint may fail before that is worth a word."""
_LAST_PAUSE = 0.1


class Sender:
    """Sends one signal, from `start` to `close`. One for each, so that an endpoint that hangs holds up its own signal only.

    Args:
        signal: `traces`, `metrics` or `logs`.
        spool: what is sent.
        transport: how.
        on_refusal: told the signal and the status of each payload that the endpoint will never take; on the thread that sends.
        monotonic: the clock of all waits.
        pause: how long to wait after a failure.
    """

    def __init__(
        self,
        signal: str,
        spool: Spool,
        transport: Transport,
        *,
        on_refusal: Callable[[str, str], object] = lambda _signal, _reason: None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Pause | None = None,
    ) -> None:
        self.signal = signal
        self._spool = spool
        self._transport = transport
        self._on_refusal = on_refusal
        self._monotonic = monotonic
        self._pause = pause or Pause()
        self._failing: tuple[float, str] | None = None
        self._failures = 0
        self._closing = threading.Event()
        self._end = float("inf")
        self._left = True
        self._thread = threading.Thread(target=self._run, name=f"otlp-{signal}", daemon=True)

    @property
    def endpoint(self) -> str:
        """Where it sends."""
        return self._transport.endpoint

    @property
    def trouble(self) -> str | None:
        """Why the endpoint has taken nothing for longer than `PATIENCE` seconds; None while it takes all, or nothing is sent."""
        failing = self._failing
        return failing[1] if failing is not None and self._monotonic() - failing[0] >= PATIENCE else None

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self, deadline: float) -> None:
        """Send what waits, until the endpoint fails or `deadline` comes on the monotonic clock, and end. Does not wait for that."""
        self._end = deadline
        self._closing.set()
        self._spool.wake()

    def join(self) -> bool:
        """Wait for the end, until the deadline: whether it came and nothing was left."""
        if self._thread.ident is not None:
            self._thread.join(max(self._end - self._monotonic(), 0.0))
        self._transport.close()
        return not self._thread.is_alive() and not self._left

    def _run(self) -> None:
        # A program that is instrumented must not see our requests among its own.
        with suppress_instrumentation():
            while self._monotonic() < self._end:
                try:
                    if not self._step():
                        return
                except Exception as error:  # noqa: BLE001 -- whatever it is, the next attempt may do better
                    if not self._wait(Failed(type(error).__name__), self._monotonic()):
                        return

    def _step(self) -> bool:
        """Send one payload, or wait for one; whether there is more to do."""
        with suppress(OSError):
            self._spool.look()
        closing = self._closing.is_set()
        batch = self._spool.take(self.signal)
        if batch is None:
            self._left, self._failing = not closing, None
            if not closing:
                self._spool.wait(self.signal, LOOK_INTERVAL)
            return not closing
        began = self._monotonic()
        answer: Accepted | Refused | Failed = Failed("not sent")
        try:
            answer = self._transport.send(batch.payload, min(self._transport.timeout, self._end - began))
        finally:
            match answer:
                case Accepted(rejected):
                    self._spool.acknowledge(batch, rejected=rejected)
                case Refused():
                    self._spool.refuse(batch)
                case Failed():
                    self._spool.give_back(batch)
        if isinstance(answer, Failed):
            return self._wait(answer, began)
        if isinstance(answer, Refused):
            self._on_refusal(self.signal, answer.reason)
        self._pause.succeeded()
        self._failing, self._failures = None, 0
        return True

    def _wait(self, failed: Failed, began: float) -> bool:
        self._failing = (self._failing[0] if self._failing is not None else began, failed.reason)
        self._failures += 1
        if not self._closing.is_set():
            self._closing.wait(self._pause.failed(failed.after))
            return True
        if self._failures > 1:
            return False
        time.sleep(_LAST_PAUSE)  # a connection that went stale while nothing was sent is no reason to leave it all to the next process
        return True
