"""Pure: how long to wait before the next attempt."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, LONGEST = 0.5, 5.0
LONGEST_HINT = 300.0
"""Seconds; an endpoint that asks for more is asked again after these all the same."""


class Pause:
    """Waits that double from `FIRST` to `LONGEST` seconds, each spread by half, so that many senders do not return at once.

    Args:
        spread: draws from 0 to 1. By default from a source of our own: `random` belongs to the script that is being watched.
    """

    def __init__(self, spread: Callable[[], float] | None = None) -> None:
        self._spread = spread or random.Random().random  # noqa: S311 -- no secret depends on it
        self._wait = FIRST

    def failed(self, hint: float | None = None) -> float:
        """Seconds to wait after one more failure; not less than the endpoint asked for."""
        wait, self._wait = self._wait, min(self._wait * 2, LONGEST)
        return max(wait * (0.5 + 0.5 * self._spread()), min(hint or 0.0, LONGEST_HINT))

    def succeeded(self) -> None:
        """The next failure waits `FIRST` again."""
        self._wait = FIRST
