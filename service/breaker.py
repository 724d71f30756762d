"""The circuit breaker: refuses at once while the model keeps failing, and finds out by single probes when it has recovered. Pure."""

from __future__ import annotations

import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from service.errors import ErrorType, Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_COOLDOWN = 60.0
"""Seconds at which the doubling of the cooldown stops, unless the first is longer still."""

PROBE_WAIT = 1.0
"""Seconds until a retry makes sense while a probe is out."""


class BreakerState(StrEnum):
    """Closed lets everything through, open nothing, half-open one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Counts failed runs in a row. Safe on any thread.

    `failures` in a row open it. After the cooldown it lets one probe through: a success closes it, a failure opens it
    again for twice the time, up to `MAX_COOLDOWN`. A success of what was admitted before it opened closes it as well.

    Args:
        failures: failed runs in a row that open it.
        cooldown: seconds it stays open the first time.
        clock: monotonic seconds.
        on_change: told when it has opened (again), and when it has closed; not of a probe.
    """

    def __init__(
        self,
        *,
        failures: int,
        cooldown: float,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        self._failures = failures
        self._cooldown = cooldown
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        self._in_a_row = 0
        self._wait = cooldown
        self._opened_at = 0.0
        self._probe: int | None = None
        self._probes = 0

    @property
    def state(self) -> BreakerState:
        """The state; open until somebody is admitted after the cooldown."""
        return self._state

    def admit(self) -> int | None:
        """Let one request through.

        Returns:
            The number of the probe this request is, None in the ordinary case. A probe that ends without having
            reached the model must be released by its number, or no other will follow.

        Raises:
            Overloaded: the breaker is open, or its probe is out.
        """
        if self.state is BreakerState.CLOSED:
            return None  # Without the lock: nearly every request ends here.
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return None
            if self._state is BreakerState.OPEN:
                left = self._opened_at + self._wait - self._clock()
                if left > 0:
                    raise Overloaded(ErrorType.BREAKER_OPEN, retry_after=left)
                self._state = BreakerState.HALF_OPEN
            elif self._probe is not None:
                raise Overloaded(ErrorType.BREAKER_OPEN, retry_after=PROBE_WAIT)
            self._probes += 1
            self._probe = self._probes
            return self._probe

    def release(self, probe: int | None) -> None:
        """Let another probe follow this one, which ended without a verdict. Nothing happens for any other request."""
        with self._lock:
            if probe is not None and self._probe == probe:
                self._probe = None

    def succeeded(self) -> None:
        """A run of the model succeeded."""
        if self.state is BreakerState.CLOSED and not self._in_a_row:
            return
        with self._lock:
            changed = self._state is not BreakerState.CLOSED
            self._state = BreakerState.CLOSED
            self._in_a_row = 0
            self._wait = self._cooldown
            self._probe = None
        if changed:
            self._on_change(BreakerState.CLOSED)

    def failed(self) -> None:
        """A run of the model failed."""
        with self._lock:
            if self._state is BreakerState.OPEN:
                return  # Admitted before it opened; says nothing new.
            self._in_a_row += 1
            if self._state is BreakerState.HALF_OPEN:
                self._wait = max(min(self._wait * 2, MAX_COOLDOWN), self._cooldown)
            elif self._in_a_row < self._failures:
                return
            self._state = BreakerState.OPEN
            self._opened_at = self._clock()
            self._probe = None
        self._on_change(BreakerState.OPEN)
