"""Pure: who is asked next when nobody has taken a critical alert.

A case is opened when the first message of a critical group has been delivered, and closed when somebody takes it, or when it is
over. Until then the people of the rota are asked one after the other, then the phone channel once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A critical group that was told.

    Attributes:
        opened_at: seconds since 1970 when the group was told first.
        asked: how many were asked since: people of the rota, then the phone.
        asked_at: when the last of them was; at first `opened_at`.
        taken_by, taken_at: who took it, and when.
    """

    receiver: str
    group_key: str
    opened_at: float
    asked: int = 0
    asked_at: float
    taken_by: str | None = None
    taken_at: float | None = None

    @classmethod
    def opened(cls, receiver: str, group_key: str, at: float) -> Case:
        """One that begins."""
        return cls(receiver=receiver, group_key=group_key, opened_at=at, asked_at=at)

    def taken(self, by: str, at: float) -> Case:
        """The same, taken; whoever was first keeps it."""
        return self if self.taken_by is not None else replace(self, taken_by=by, taken_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Somebody to be asked; `person` None is the phone channel."""

    person: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """Who is asked, in which order.

    Attributes:
        people: their names.
        phone: whether there is a phone channel.
        after: seconds each has.
    """

    people: Sequence[str]
    phone: bool
    after: float

    def next(self, case: Case, now: float) -> tuple[Ask, Case] | None:
        """Who is to be asked now, and the case as it stands then; None while somebody has time, or nobody is left.

        A process that was away asks one at a time all the same: each needs the time to take it.
        """
        if case.taken_by is not None or now - case.asked_at < self.after:
            return None
        if case.asked < len(self.people):
            ask = Ask(person=self.people[case.asked])
        elif case.asked == len(self.people) and self.phone:
            ask = Ask(person=None)
        else:
            return None
        return ask, replace(case, asked=case.asked + 1, asked_at=now)
