"""Pure: who is called by an @ for an alert, and how that stands in a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dingtalk.alert import Severity
from dingtalk.part import Mention

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import time

    from dingtalk.alert import Alert
    from dingtalk.config import Config, Owner, Person

EVERYONE = "@所有人"
NOBODY = Mention()

_SHOWN_FIRST = 3
_SHOWN_LAST = 4


class Roll:
    """Calls the roll: the first owner that matches an alert says who.

    Args:
        config: its owners, its people, its time zone.
    """

    def __init__(self, config: Config) -> None:
        self._owners = config.owners
        self._people = {person.name: person for person in config.people}
        self._zone = ZoneInfo(config.time_zone)

    def called(self, alert: Alert, *, over: bool, now: float, by_id: bool = False) -> Mention:
        """Who is called for an alert; nobody where no owner matches.

        Args:
            alert: the alert.
            over: whether it has ended.
            now: seconds since 1970.
            by_id: prefer a person's user id to their mobile, for messages that know no mobiles.
        """
        owner = next((owner for owner in self._owners if _matches(owner, alert)), None)
        if owner is None or not self._calls(owner, alert.severity, over=over, now=now):
            return NOBODY
        people = union(called(self._people[name], by_id=by_id) for name in owner.people)
        return replace(people, everyone=owner.everyone and alert.severity is Severity.CRITICAL)

    def _calls(self, owner: Owner, severity: Severity, *, over: bool, now: float) -> bool:
        if severity is Severity.NONE or (over and not owner.on_resolved):
            return False
        if owner.quiet_from is None or owner.quiet_until is None or severity not in owner.quiet_severities:
            return True
        moment = datetime.fromtimestamp(now, self._zone).time()
        return not is_within(moment, owner.quiet_from, owner.quiet_until)


def called(person: Person, *, by_id: bool = False) -> Mention:
    """One person; by one of the two, since both would count twice among the fifty."""
    if person.user_id and (by_id or not person.mobile):
        return Mention(user_ids=(person.user_id,))
    return Mention(mobiles=(person.mobile,))


def is_within(moment: time, start: time, end: time) -> bool:
    """Whether a time of day lies in a span that may go over midnight; the end does not belong to it, equal ends are no span."""
    return start <= moment < end if start <= end else moment >= start or moment < end


def union(mentions: Iterable[Mention]) -> Mention:
    """Everybody once, in the order of being called."""
    mobiles: dict[str, None] = {}
    user_ids: dict[str, None] = {}
    everyone = False
    for mention in mentions:
        mobiles |= dict.fromkeys(mention.mobiles)
        user_ids |= dict.fromkeys(mention.user_ids)
        everyone = everyone or mention.everyone
    return Mention(mobiles=tuple(mobiles), user_ids=tuple(user_ids), everyone=everyone)


def without(mention: Mention, called: Mention) -> Mention:
    """Who is not called yet."""
    return Mention(
        mobiles=tuple(mobile for mobile in mention.mobiles if mobile not in called.mobiles),
        user_ids=tuple(user_id for user_id in mention.user_ids if user_id not in called.user_ids),
        everyone=mention.everyone and not called.everyone,
    )


def count(mention: Mention) -> int:
    """How many people it calls by name."""
    return len(mention.mobiles) + len(mention.user_ids)


def first(mention: Mention, number: int) -> Mention:
    """The first so many people of it, and everyone."""
    return Mention(
        mobiles=mention.mobiles[:number],
        user_ids=mention.user_ids[: max(number - len(mention.mobiles), 0)],
        everyone=mention.everyone,
    )


def mention_text(mention: Mention) -> str:
    """What has to stand in the text, or DingTalk calls nobody; empty when it calls nobody."""
    names = [f"@{name}" for name in (*mention.mobiles, *mention.user_ids)]
    return " ".join([*names, EVERYONE] if mention.everyone else names)


def _matches(owner: Owner, alert: Alert) -> bool:
    return all(alert.labels.get(name) == value for name, value in owner.match.items())


def masked(mobile: str) -> str:
    """A mobile number as strangers see it: `138****8000`."""
    hidden = max(len(mobile) - _SHOWN_FIRST - _SHOWN_LAST, 0)
    return f"{mobile[:_SHOWN_FIRST]}{'*' * hidden}{mobile[-_SHOWN_LAST:]}" if hidden else "*" * len(mobile)
