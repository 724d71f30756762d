"""Waiting for what comes next, with a deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Feed:
    """Tells those who wait that there is news. For one event loop.

    Args:
        most_waiting: those above this number do not wait.

    Attributes:
        waiting: how many wait now.
    """

    def __init__(self, most_waiting: int = 100) -> None:
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._most_waiting = most_waiting
        self.waiting = 0

    def announce(self) -> None:
        """There is news."""
        self._news.set()
        self._news = asyncio.Event()

    def close(self) -> None:
        """Let all who wait go, now and later."""
        self._closing.set()
        self.announce()

    async def closed(self) -> None:
        """Wait until it is closed."""
        await self._closing.wait()

    async def first(self, find: Callable[[], T], wait: float) -> T:
        """What `find` gives, as soon as that is something, or after `wait` seconds."""
        found = find()
        if found or wait <= 0 or self.waiting >= self._most_waiting:
            return found
        self.waiting += 1
        try:
            async with asyncio.timeout(wait):
                while not found and not self._closing.is_set():
                    await self._news.wait()
                    found = find()
        except TimeoutError:
            pass
        finally:
            self.waiting -= 1
        return found
