"""Pure: what a group was told, read back from the messages that it saw."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dingtalk import wording
from dingtalk.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MARKS = "|".join([*wording.SEVERITY_MARKS.values(), wording.OVER_MARK])
_HEADLINE = re.compile(rf"^### (?:{_MARKS}) (?P<state>[^：]*)：(?P<summary>.*)$")
_BRIEF = re.compile(rf"^(?:[-*] )?(?P<mark>{_MARKS}) (?P<name>[A-Z][A-Za-z]+) · (?P<where>.*?) · (?P<since>.*)$")
_NAME = re.compile(r"（(?P<name>[A-Z][A-Za-z]+)(?:，[^）]*)?）")
_REMINDER = re.compile(r"第 \d+ 次提醒")
_BACK = {Notice.BOX_BACK.english: Notice.BOX_SILENT.english}
"""What ends what, of the notices that say so by another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One alert in one message.

    Attributes:
        name: its English name.
        where: the instance, as it was written; empty for a notice of the notifier itself.
        fired: the message says that it began.
        over: the message says that it ended.
        late: it says that it is late.
        reminder: it says again what was said.
        robot: who told it, which is as much as in which group.
        mobiles: who was called.
        at: seconds since 1970 when the group saw it.
        message: its number.
    """

    name: str
    where: str
    fired: bool
    over: bool
    late: bool
    reminder: bool
    robot: str
    mobiles: tuple[str, ...]
    at: float
    message: int


def heard(messages: Iterable[Mapping[str, Any]]) -> list[Heard]:
    """Everything that was said of alerts, in the order in which the groups saw it.

    Args:
        messages: as the simulator lists them.
    """
    return [one for message in messages for one in _of_message(message)]


def _of_message(message: Mapping[str, Any]) -> Iterator[Heard]:
    lines = message["text"].splitlines()
    for line in lines:
        found = _headline(line) or _brief(line)
        if found is None:
            continue
        name, where, state = found
        over = wording.OVER_MARK in line or name in _BACK
        late = wording.LATE in line
        began = wording.FIRED_AND_RESOLVED in state
        yield Heard(
            name=_BACK.get(name, name),
            where=where,
            fired=not over or began,
            over=over,
            late=late,
            reminder=_REMINDER.search(line) is not None,
            robot=message["robot"],
            mobiles=tuple(message["at"]["mobiles"]),
            at=message["received_seconds"],
            message=message["index"],
        )


def _headline(line: str) -> tuple[str, str, str] | None:
    found = _HEADLINE.match(line)
    name = None if found is None else _NAME.search(found["summary"])
    if found is None or name is None:
        return None
    _, separator, rest = found["summary"].partition(" · ")
    return name["name"], rest.partition("（")[0].strip() if separator else "", found["state"]


def _brief(line: str) -> tuple[str, str, str] | None:
    found = _BRIEF.match(line.strip())
    if found is None:
        return None
    return found["name"], found["where"], ""
