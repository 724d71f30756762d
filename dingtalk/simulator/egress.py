"""The limit on all calls of one network address, whatever robot they are for."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from dingtalk.simulator.ban import Ban
from dingtalk.simulator.window import SlidingWindow

_ADDRESSES = 1024  # those unheard of for longest are forgotten


@dataclass(slots=True)
class _Caller:
    window: SlidingWindow
    block: Ban = field(default_factory=Ban)


class EgressGate:
    """Blocks a network address that makes more than `limit` calls in a window."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    def admit(self, address: str, now: float, *, width: float, block: float) -> bool:
        """Count a call; whether it may pass. The one over the limit is blocked already, and `block` seconds of others after it."""
        caller = self._caller(address)
        if caller.block.remaining(now, block):
            return False
        if caller.window.admit(now, width):
            return True
        caller.block.start(now)
        return False

    def block(self, address: str, now: float) -> None:
        """Block an address now."""
        self._caller(address).block.start(now)

    def clear(self) -> None:
        """Forget all addresses."""
        self._callers.clear()

    def _caller(self, address: str) -> _Caller:
        caller = self._callers.setdefault(address, _Caller(SlidingWindow(self._limit)))
        self._callers.move_to_end(address)
        if len(self._callers) > _ADDRESSES:
            self._callers.popitem(last=False)
        return caller
