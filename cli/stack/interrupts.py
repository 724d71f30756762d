"""SIGINT, SIGTERM and SIGHUP as one exception, for a command that has something to clean up."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the program to end; not an error, so that nothing but its caller catches it."""


class Interrupts:
    """Raises `Interrupted` where the program stands: at the first signal, and once; further ones wait for the clean-up."""

    def __init__(self) -> None:
        self._held = False
        self._came = False

    def hold(self) -> None:
        """From now on a signal is only noted, so that what follows is done whole.

        Raises:
            Interrupted: the first signal came just before.
        """
        self._held = True

    def let_go(self) -> None:
        """From now on a signal raises again.

        Raises:
            Interrupted: one came meanwhile.
        """
        self._held = False
        if self._came:
            raise Interrupted

    def __call__(self, _number: int, _frame: object) -> None:
        """Take a signal; the handler."""
        first, self._came = not self._came, True
        if first and not self._held:
            raise Interrupted


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Inside, the first such signal raises `Interrupted`; one that is still noted at the end is forgotten."""
    taken = Interrupts()
    before = {number: signal.signal(number, taken) for number in SIGNALS}
    try:
        yield taken
    finally:
        taken.hold()
        for number, handler in before.items():
            signal.signal(number, handler)
