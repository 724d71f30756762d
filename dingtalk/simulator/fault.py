"""What can be made to go wrong while the simulator runs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dingtalk.simulator import answer, errcode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dingtalk.simulator.answer import Answer
    from dingtalk.simulator.errcode import Refusal

MOST_FAULTS = 100


class FaultKind(StrEnum):
    """Closed. `SLOW` delays whatever the answer is; the others stand in its place."""

    SLOW = "slow"
    AMBIGUOUS_TIMEOUT = "ambiguous_timeout"
    AMBIGUOUS_CLOSE = "ambiguous_close"
    DROP = "drop"
    STRING_ERRCODE = "string_errcode"
    HTML = "html"
    BAD_GATEWAY = "bad_gateway"
    BROKEN_JSON = "broken_json"
    DISABLED = "disabled"
    DISSOLVED = "dissolved"
    BUSY = "busy"
    ERRCODE = "errcode"

    @property
    def delivers(self) -> bool:
        """Whether the group gets the message all the same, unless the fault says otherwise."""
        return self in {FaultKind.SLOW, FaultKind.AMBIGUOUS_TIMEOUT, FaultKind.AMBIGUOUS_CLOSE, FaultKind.STRING_ERRCODE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        kind: what goes wrong.
        robot: whose calls; None for all robots.
        times: how many calls are left for it; None until it is cleared.
        delay: seconds before the answer, or before the connection is closed.
        delivers: whether the group gets the message.
        refusal: the business answer of `ERRCODE`.
        number: tells it from others.
    """

    kind: FaultKind
    robot: str | None = None
    times: int | None = None
    delay: float = 0.0
    delivers: bool = False
    refusal: Refusal = errcode.BUSY
    number: int = 0

    def answer(self) -> Answer | None:
        """What the caller gets; None when the connection is closed without an answer."""
        return answer.refused(self.refusal) if self.kind is FaultKind.ERRCODE else _ANSWERS[self.kind]


_ANSWERS: Mapping[FaultKind, Answer | None] = {
    FaultKind.SLOW: answer.ok(),
    FaultKind.AMBIGUOUS_TIMEOUT: None,
    FaultKind.AMBIGUOUS_CLOSE: None,
    FaultKind.DROP: None,
    FaultKind.STRING_ERRCODE: answer.ok_as_text(),
    FaultKind.HTML: answer.html(),
    FaultKind.BAD_GATEWAY: answer.bad_gateway(),
    FaultKind.BROKEN_JSON: answer.broken_json(),
    FaultKind.DISABLED: answer.refused(errcode.ROBOT_DISABLED),
    FaultKind.DISSOLVED: answer.refused(errcode.GROUP_DISSOLVED),
    FaultKind.BUSY: answer.refused(errcode.BUSY),
}


class Faults:
    """The faults in the order they were set; of those that fit a call the first is used."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Set a fault; returns it with its number.

        Raises:
            OverflowError: there are too many.
        """
        if len(self._faults) >= MOST_FAULTS:
            message = f"there are {MOST_FAULTS} faults already; clear some"
            raise OverflowError(message)
        fault = replace(fault, number=next(self._numbers))
        self._faults.append(fault)
        return fault

    def take(self, robot: str, *, slow: bool, delivers: bool) -> Fault | None:
        """The first fault for this robot that only slows, or else does not, and that delivers, or else does not; one use is spent."""
        for position, fault in enumerate(self._faults):
            fits = fault.robot in {None, robot} and (fault.kind is FaultKind.SLOW) == slow and fault.delivers == delivers
            if not fits:
                continue
            if fault.times is not None:
                if fault.times <= 1:
                    del self._faults[position]
                else:
                    self._faults[position] = replace(fault, times=fault.times - 1)
            return fault
        return None

    def clear(self, *, number: int | None = None, robot: str | None = None) -> int:
        """End faults: one by its number, those of one robot, or all; how many ended."""
        kept = [
            fault
            for fault in self._faults
            if (number is not None and fault.number != number) or (robot is not None and fault.robot != robot)
        ]
        ended = len(self._faults) - len(kept)
        self._faults = kept
        return ended

    def all(self) -> tuple[Fault, ...]:
        """The faults that are set."""
        return tuple(self._faults)
