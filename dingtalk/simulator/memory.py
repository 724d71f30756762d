"""Which `msgUuid` a robot has delivered, and for how long it knows."""

from __future__ import annotations

from collections import OrderedDict


class UuidMemory:
    """Remembers deliveries from their first moment on; a repetition does not prolong it.

    Args:
        size: entries kept; the oldest go first.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._delivered: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def recall(self, robot: str, uuid: str, now: float, duration: float) -> int | None:
        """The index of the message delivered under this uuid less than `duration` seconds ago; None when there is none."""
        at, index = self._delivered.get((robot, uuid), (-float("inf"), 0))
        return index if now - at < duration else None

    def keep(self, robot: str, uuid: str, now: float, index: int) -> None:
        """Remember a delivery."""
        self._delivered.pop((robot, uuid), None)
        self._delivered[robot, uuid] = (now, index)
        if len(self._delivered) > self._size:
            self._delivered.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._delivered.clear()
