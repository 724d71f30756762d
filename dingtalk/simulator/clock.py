"""The two clocks of the simulator, passed in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for windows, bans and memories; seconds since 1970 for signatures, months and what is shown."""

    def monotonic(self) -> float:
        """Seconds from any origin; never goes back."""
        ...

    def unix(self) -> float:
        """Seconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds from the machine's start."""
        return time.monotonic()

    def unix(self) -> float:
        """Seconds since 1970."""
        return time.time()
