"""A bounded hand-over from request threads to the one thread that writes: to put never waits."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Items in order, at most about `size` of them; one more is refused.

    The consumer is not woken for each item, which would cost every request a thread switch: it looks by itself every
    interval, and is woken when the box is half full. Threads that put at the same instant may overshoot `size` by one each.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._half = max(size // 2, 1)
        self._items: deque[T] = deque()
        self._wake = threading.Event()

    def __len__(self) -> int:
        """Items that wait."""
        return len(self._items)

    def put(self, item: T) -> bool:
        """Add one item; False when the box is full. Any thread; never blocks."""
        waiting = len(self._items)
        if waiting >= self._size:
            return False
        self._items.append(item)
        if waiting >= self._half:
            self._wake.set()
        return True

    def take(self, most: int) -> list[T]:
        """Remove and return up to `most` items, oldest first. One consumer thread only."""
        items = self._items
        return [items.popleft() for _ in range(min(most, len(items)))]

    def wait(self, seconds: float) -> None:
        """Wait until the box is half full, `wake` is called or the time is over. One consumer thread only."""
        self._wake.wait(seconds)
        self._wake.clear()

    def wake(self) -> None:
        """End the consumer's wait now."""
        self._wake.set()
