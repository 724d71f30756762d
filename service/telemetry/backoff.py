"""When to try again after a failure: later each time, up to a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Backoff:
    """Waits that double from `first` to `longest` seconds of the given monotonic clock. For one thread."""

    def __init__(self, monotonic: Callable[[], float], *, first: float = 0.25, longest: float = 15.0) -> None:
        self._monotonic = monotonic
        self._first = first
        self._longest = longest
        self._wait = 0.0
        self._until = 0.0

    @property
    def waiting(self) -> bool:
        """Whether it is too early to try again."""
        return self._wait > 0 and self._monotonic() < self._until

    def failed(self) -> None:
        """Note a failure; the next wait begins now."""
        self._wait = min(self._wait * 2, self._longest) if self._wait else self._first
        self._until = self._monotonic() + self._wait

    def succeeded(self) -> None:
        """Note a success; the next failure waits `first` again."""
        self._wait = 0.0
