"""Pure: whether the groups were told exactly what a drill must cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from cli.drill.heard import Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One alert that a drill must cause.

    Attributes:
        name: of the alert.
        robot: of the group that has to hear it.
        mobiles: who has to be called.
    """

    name: str
    robot: str
    mobiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was heard, and what is wrong with it.

    Attributes:
        delivered: the alerts that were told, in their order.
        unexpected: those of them that nobody may hear.
        told_at: when each expected one was told first, seconds since 1970.
        ended_at: when its end was told.
        faults: in words; none where all is as it must be.
    """

    delivered: tuple[str, ...]
    unexpected: tuple[str, ...]
    told_at: dict[str, float]
    ended_at: dict[str, float]
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all is as it must be."""
        return not self.faults


def tellings(said: Iterable[Heard], name: str) -> list[Heard]:
    """Where the beginning of an alert is told: reminders are not, and of an alert that began unheard its late end is."""
    found: list[Heard] = []
    for one in said:
        if one.name != name or one.reminder:
            continue
        if one.fired or (one.late and not found):
            found.append(one)
    return found


def endings(said: Iterable[Heard], name: str) -> list[Heard]:
    """Where its end is told, once its beginning was; an end before that is of an earlier time."""
    said = list(said)
    told = tellings(said, name)
    return [one for one in said if one.name == name and one.over and one.message >= told[0].message] if told else []


def judge(said: Sequence[Heard], expected: Sequence[Expected], *, permitted: Iterable[str], known: Container[str]) -> Verdict:
    """Compare what was heard since the fault with what had to be.

    Args:
        said: since the fault, in order.
        expected: each has to be told once, in its group, with its people, and its end too.
        permitted: may come or not.
        known: the alerts that there are; what has another name is a notice of the notifier, and no alert.
    """
    # A notice of the notifier about itself may have the name of an alert, but it is about no instance.
    said = [one for one in said if one.where or one.name not in known]
    wanted = {one.name for one in expected}
    delivered = tuple(dict.fromkeys(one.name for one in said if (one.fired and not one.reminder) or one.late))
    delivered = tuple(name for name in delivered if name in known or name in wanted)
    unexpected = tuple(name for name in delivered if name not in wanted and name not in set(permitted))
    faults = [f"{name} was told, and must not be" for name in unexpected]
    told_at, ended_at = {}, {}
    for one in expected:
        told, ended = tellings(said, one.name), endings(said, one.name)
        if told:
            told_at[one.name] = told[0].at
        if ended:
            ended_at[one.name] = ended[0].at
        faults += _faults(one, told, ended)
    return Verdict(delivered=delivered, unexpected=unexpected, told_at=told_at, ended_at=ended_at, faults=tuple(faults))


def _faults(one: Expected, told: Sequence[Heard], ended: Sequence[Heard]) -> Iterable[str]:
    if not told:
        yield f"{one.name} was not told"
        return
    places = [each.where for each in told]
    if len(set(places)) < len(places):
        yield f"{one.name} was told {len(places)} times"
    elsewhere = sorted({each.robot for each in (*told, *ended)} - {one.robot})
    if elsewhere:
        yield f"{one.name} was told by {', '.join(elsewhere)}, not by {one.robot} alone"
    called = {each.mobiles for each in told if not each.over}
    if called and called != {one.mobiles}:
        yield f"{one.name} called {' or '.join(sorted(map(_people, called)))}, not {_people(one.mobiles)}"
    if any(each.mobiles for each in ended):
        yield f"the end of {one.name} called somebody"
    if not ended:
        yield f"the end of {one.name} was not told"
    elif len({each.where for each in ended}) < len(ended):
        yield f"the end of {one.name} was told {len(ended)} times"


def _people(mobiles: Sequence[str]) -> str:
    return " and ".join(mobiles) or "nobody"
