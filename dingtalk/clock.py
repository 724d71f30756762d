"""The two clocks: one that tells the time, and one that only goes forward."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks, passed to whoever needs one.

    Attributes:
        unix: seconds since 1970, by the wall clock; it may be set back.
        monotonic: seconds since some moment; for waits and durations.
    """

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
