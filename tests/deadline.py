"""Waiting in tests: for a condition, never for a time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 20.0


def until(condition: Callable[[], object], *, deadline: float = DEADLINE) -> None:
    """Return as soon as the condition holds; fail when it does not within `deadline` seconds."""
    end = time.monotonic() + deadline
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        pause.wait(0.002)
