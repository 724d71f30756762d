"""SIGINT, SIGTERM and SIGHUP as one exception, for a command that has something to clean up."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the program to end; not an error, so that nothing but its caller catches it."""


@contextmanager
def interrupts() -> Iterator[None]:
    """Inside, the first such signal raises `Interrupted` where the program stands; further ones wait no less than the clean-up."""
    before = {number: signal.signal(number, _raise) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(_number: int, _frame: object) -> NoReturn:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted
