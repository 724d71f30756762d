"""Where groups are taken over and silenced, whichever way somebody asks for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dingtalk.alertmanager import Matcher
from dingtalk.errors import GroupOver, GroupUnknown, LinkRefused, NothingNamed, StoreUnavailable, UpstreamFailed
from dingtalk.links import Refusal
from dingtalk.log import Event
from dingtalk.notice import Notice
from dingtalk.people.standing import matchers_text, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dingtalk.clock import Clock
    from dingtalk.escalation import Case
    from dingtalk.log import Log
    from dingtalk.notices import Notices
    from dingtalk.outbox.rows import StoredReceipt, UsedLink
    from dingtalk.outbox.store import Outbox
    from dingtalk.people.standing import Standing
    from dingtalk.people.wish import SilenceWish


class Silences(Protocol):
    """The part of `Alertmanager` that is needed."""

    async def silence(self, matchers: Sequence[Matcher], *, starts_at: float, ends_at: float, by: str, comment: str) -> str:
        """Make a silence; its id."""
        ...


class NoSilences:
    """Makes none: for a notifier without Alertmanager."""

    async def silence(self, matchers: Sequence[Matcher], *, starts_at: float, ends_at: float, by: str, comment: str) -> str:  # noqa: ARG002 -- of the Protocol
        """See `Silences`."""
        raise UpstreamFailed("there is no Alertmanager")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A group that somebody has; `first` says whether by this call."""

    by: str
    at: float
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Silenced:
    """A silence that was made.

    Attributes:
        id: Alertmanager's.
        until: seconds since 1970.
        told: whether the group hears of it.
    """

    id: str
    matchers: Mapping[str, str]
    until: float
    told: bool


class Desk:
    """Takes groups over and silences them.

    Args:
        outbox: what was received, and who has taken it.
        notices: says it in the groups.
        wake: called when something was said.
        silences: makes silences.
        log: what was done.
        clock: its wall half is used.
    """

    def __init__(self, *, outbox: Outbox, notices: Notices, wake: Callable[[], None], silences: Silences, log: Log, clock: Clock) -> None:
        self._outbox = outbox
        self._notices = notices
        self._wake = wake
        self._silences = silences
        self._log = log
        self._clock = clock

    async def standing(self, digest: str) -> Standing:
        """How a group stands.

        Raises:
            GroupUnknown: nothing of it is kept.
            StoreUnavailable: the outbox cannot be read.
        """
        return await asyncio.to_thread(self._standing, digest)

    async def receipts(self, digest: str, *, before: int | None = None) -> tuple[list[StoredReceipt], bool]:
        """What was received of a group, the newest first, and whether there is more."""
        return await asyncio.to_thread(self._outbox.receipts_of_group, digest, before=before)

    async def link_used(self, link_hash: str) -> bool:
        """Whether a link has counted already."""
        return await asyncio.to_thread(self._outbox.link_used, link_hash)

    async def take(self, digest: str, by: str, *, link: UsedLink | None = None) -> Taken:
        """Somebody takes a group over; whoever was first keeps it, and only that is said in the group.

        Raises:
            GroupUnknown: nothing of it is kept.
            GroupOver: nothing of it fires any more.
            LinkRefused: the link was used already, before all was over once.
            StoreUnavailable: it cannot be stored.
        """
        taken = await asyncio.to_thread(self._take, digest, by, link)
        if taken.first:
            self._wake()
        return taken

    async def silence(
        self, digest: str, wish: SilenceWish, *, matchers: Mapping[str, str] | None = None, link: UsedLink | None = None
    ) -> Silenced:
        """Silence a group, and say it there; whoever silences all that fires of it has taken it.

        Args:
            digest: of the group.
            wish: who, why, how long.
            matchers: the labels; those that name the group when they are not given.
            link: by which it came.

        Raises:
            GroupUnknown: nothing of it is kept.
            NothingNamed: there are no labels.
            LinkRefused: the link was used already.
            UpstreamFailed: Alertmanager makes none; nothing was said, and the link may be used again.
            StoreUnavailable: the outbox cannot be read or written, before anything was done.
        """
        found = await self.standing(digest)
        labels = dict(matchers or found.group.matchers)
        if not labels:
            raise NothingNamed("the alerts of this group have no label in common; silence them in Alertmanager")
        if link is not None and not await asyncio.to_thread(self._outbox.use_link, link):
            raise LinkRefused(Refusal.USED)
        now = self._clock.unix()
        until = now + wish.seconds
        try:
            number = await self._silences.silence(
                [Matcher(name=name, value=value) for name, value in sorted(labels.items())],
                starts_at=now,
                ends_at=until,
                by=wish.by,
                comment=wish.reason,
            )
        except UpstreamFailed:
            if link is not None:
                await asyncio.to_thread(self._outbox.release_link, link)
            raise
        told = await asyncio.to_thread(self._say_silenced, found, wish, labels)
        self._wake()
        return Silenced(id=number, matchers=labels, until=until, told=told)

    def _standing(self, digest: str) -> Standing:
        stored = self._outbox.group(digest)
        if stored is None:
            raise GroupUnknown(f"nothing is known of a group {digest}")
        return standing(stored)

    def _take(self, digest: str, by: str, link: UsedLink | None) -> Taken:
        found = self._standing(digest)
        says = self._notices.draft(found.receiver, Notice.ACKNOWLEDGED, who=by, what=found.what)
        done = self._outbox.take(digest, by, says=says, link=link)
        if done is None:
            raise GroupOver(f"nothing of the group {digest} fires any more")
        case, first = done
        if first:
            self._log.write(Event.ACKNOWLEDGED, subject=found.receiver)
        return _taken(case, first=first)

    def _say_silenced(self, found: Standing, wish: SilenceWish, labels: Mapping[str, str]) -> bool:
        self._log.write(Event.SILENCED, subject=found.receiver)
        try:
            if found.matching(labels) == found.alerts:
                self._outbox.take(found.digest, wish.by, says=None)
            self._notices.say(
                found.receiver, Notice.SILENCED, who=wish.by, seconds=wish.seconds, what=matchers_text(labels), reason=wish.reason
            )
        except StoreUnavailable:
            # The silence is there all the same; whoever asked for it is told that the group does not hear of it.
            return False
        return True


def _taken(case: Case, *, first: bool) -> Taken:
    assert case.taken_by is not None
    assert case.taken_at is not None
    return Taken(by=case.taken_by, at=case.taken_at, first=first)
