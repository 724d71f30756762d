"""Who is really @ed by a message, and why others are not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from dingtalk.mention import masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dingtalk.simulator.bodies import Body
    from dingtalk.simulator.settings import Member


class Ignored(StrEnum):
    """Why somebody the sender named is not @ed."""

    NOT_IN_TEXT = "not_in_text"
    NOT_A_MEMBER = "not_a_member"
    TOO_MANY = "too_many"
    NOT_POSSIBLE = "not_possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Somebody the sender named: how, under which name the group sees them, and why they are not @ed, if so."""

    written: str
    shown: str
    by_mobile: bool
    ignored: Ignored | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """All whom a message names."""

    everyone: bool = False
    people: tuple[Mention, ...] = ()

    @property
    def mobiles(self) -> tuple[str, ...]:
        """The mobile numbers that are @ed."""
        return tuple(each.written for each in self.people if each.by_mobile and each.ignored is None)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The user ids that are @ed."""
        return tuple(each.written for each in self.people if not each.by_mobile and each.ignored is None)

    @property
    def ignored(self) -> tuple[Mention, ...]:
        """Those who are not @ed."""
        return tuple(each for each in self.people if each.ignored is not None)


def mentions(body: Body, members: Sequence[Member], limit: int) -> Mentions:
    """Decide who is @ed.

    Text and markdown @ who is in the list and in the text; an actionCard @s the user ids written in its text; the others
    nobody.

    Args:
        body: the message.
        members: of the group; when there are none, everyone counts as one.
        limit: how many people one message can @.
    """
    user_ids = list(body.at.user_ids)
    if body.msgtype == "actionCard":
        user_ids += [each.user_id for each in members if each.user_id and _stands_in(each.user_id, body.text)]
    people: list[Mention] = []
    room = limit
    for written, by_mobile in [(each, True) for each in body.at.mobiles] + [(each, False) for each in dict.fromkeys(user_ids)]:
        mention = _mention(written, by_mobile=by_mobile, body=body, members=members, room=room)
        room -= mention.ignored is None
        people.append(mention)
    return Mentions(everyone=body.at.everyone and body.msgtype in {"text", "markdown"}, people=tuple(people))


def _mention(written: str, *, by_mobile: bool, body: Body, members: Sequence[Member], room: int) -> Mention:
    member = next((each for each in members if written == (each.mobile if by_mobile else each.user_id)), None)
    shown = member.name if member is not None else masked(written) if by_mobile else written
    ignored = None
    if body.msgtype not in {"text", "markdown", "actionCard"} or (by_mobile and body.msgtype == "actionCard"):
        ignored = Ignored.NOT_POSSIBLE
    elif not _stands_in(written, body.text):
        ignored = Ignored.NOT_IN_TEXT
    elif members and member is None:
        ignored = Ignored.NOT_A_MEMBER
    elif room <= 0:
        ignored = Ignored.TOO_MANY
    return Mention(written=written, shown=shown, by_mobile=by_mobile, ignored=ignored)


def marked(text: str, found: Mentions) -> Markup:
    """The text as HTML: escaped, with the @s that count and the masked ones of strangers."""
    people = {each.written: each for each in found.people}
    if not people:
        return escape(text)
    pieces: list[Markup] = []
    end = 0
    for match in _pattern(people).finditer(text):
        pieces += [escape(text[end : match.start()]), _mark(people[match[1]])]
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])


def _mark(mention: Mention) -> Markup:
    kind = "at" if mention.ignored is None else "at ignored"
    return Markup('<span class="{}">@{}</span>').format(kind, mention.shown)


def _stands_in(written: str, text: str) -> bool:
    return _pattern([written]).search(text) is not None


def _pattern(written: Sequence[str] | dict[str, Mention]) -> re.Pattern[str]:
    # The longest first, and nothing that would make it a longer number or id after it.
    alternatives = "|".join(re.escape(each) for each in sorted(written, key=len, reverse=True))
    return re.compile(rf"@({alternatives})(?![0-9A-Za-z_])")
