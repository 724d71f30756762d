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
_TIME = rf"(?:(?:(?:\d{{4}}-)?\d\d-\d\d )?\d\d:\d\d:\d\d|{wording.UNKNOWN_TIME})"
_NAME = r"(?P<name>[A-Z][A-Za-z]+)"
# What an instance calls itself is anything, so it reaches as far as it can: to the name, the time, that the notifier puts behind it.
_HEADLINE = re.compile(
    rf"### (?P<mark>{_MARKS}) (?P<state>[^：（]*)(?P<late>（{wording.LATE}）)?：.*?(?: · (?P<where>.*))?（{_NAME}(?:，[^）]*)?）"
    r"(?:等 \d+ 条)?(?P<reminder> · 第 \d+ 次提醒)?"
)
_BRIEF = re.compile(
    rf"(?P<mark>{_MARKS}) {_NAME}(?: · (?P<where>.*))? · (?:{_TIME} 起|{_TIME} 至 {_TIME})(?P<late>（{wording.LATE}）)?(?:：.*| · .*)?"
)
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
    lines = [line.strip() for line in message["text"].splitlines()]
    matches = [_HEADLINE.fullmatch(line) or _BRIEF.fullmatch(line) for line in lines]
    found = [match.groupdict() for match in matches if match is not None]
    # Only the first line of a message says so, and means all of them.
    reminder = any(one.get("reminder") for one in found)
    for one in found:
        name = one["name"]
        over = one["mark"] == wording.OVER_MARK or name in _BACK
        yield Heard(
            name=_BACK.get(name, name),
            where=one["where"] or "",
            fired=not over or one.get("state") == wording.FIRED_AND_RESOLVED,
            over=over,
            late=one["late"] is not None,
            reminder=reminder,
            robot=message["robot"],
            mobiles=tuple(message["at"]["mobiles"]),
            at=message["received_seconds"],
            message=message["index"],
        )
