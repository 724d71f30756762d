"""Where groups are taken over and silenced, whichever way somebody asks for it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from dingtalk.alertmanager import TIMEOUT, Matcher
from dingtalk.errors import GroupOver, GroupUnknown, LinkRefused, NothingNamed, StoreUnavailable, UpstreamFailed
from dingtalk.links import Refusal
from dingtalk.log import Event
from dingtalk.notice import Notice
from dingtalk.outbox.rows import LinkUse
from dingtalk.people.standing import matchers_text, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dingtalk.alertmanager import MadeSilence
    from dingtalk.clock import Clock
    from dingtalk.escalation import Case
    from dingtalk.log import Log
    from dingtalk.notices import Notices
    from dingtalk.outbox.rows import StoredReceipt, UsedLink
    from dingtalk.outbox.store import Outbox
    from dingtalk.people.standing import Standing
    from dingtalk.people.wish import SilenceWish

DEADLINE = 2 * TIMEOUT
"""Seconds in which Alertmanager makes a silence, or has not."""
PATIENCE = 3 * TIMEOUT
"""Seconds until a link may be used again whose use has told nothing of its end: longer than one can last."""
_MARK_CHARACTERS = 16
_MINUTE = 60


class Silences(Protocol):
    """The part of `Alertmanager` that is needed."""

    async def silence(self, matchers: Sequence[Matcher], *, starts_at: float, ends_at: float, by: str, comment: str) -> str:
        """Make a silence; its id."""
        ...

    async def silences_marked(self, mark: str) -> Sequence[MadeSilence]:
        """The silences whose comment ends with `mark`, also those that are over."""
        ...

    async def expire(self, silence: str) -> None:
        """End a silence."""
        ...


class NoSilences:
    """Makes none: for a notifier without Alertmanager."""

    async def silence(self, matchers: Sequence[Matcher], *, starts_at: float, ends_at: float, by: str, comment: str) -> str:  # noqa: ARG002 -- of the Protocol
        """See `Silences`."""
        raise UpstreamFailed("there is no Alertmanager")

    async def silences_marked(self, mark: str) -> Sequence[MadeSilence]:  # noqa: ARG002 -- of the Protocol
        """See `Silences`."""
        raise UpstreamFailed("there is no Alertmanager")

    async def expire(self, silence: str) -> None:  # noqa: ARG002 -- of the Protocol
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
        by, reason, seconds: who made it, why, and for how long.
        told: whether the group hears of it.
    """

    id: str
    matchers: Mapping[str, str]
    until: float
    by: str
    reason: str
    seconds: float
    told: bool = True


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
            link: by which it came. It makes one silence, however often it is tried: one that nobody knows of, since the answer was lost
                or the process was killed, is found by what its comment ends with, and is that of the link.

        Raises:
            GroupUnknown: nothing of it is kept.
            NothingNamed: there are no labels.
            LinkRefused: the link was used already, or is being used.
            UpstreamFailed: Alertmanager makes none, or does not say so; nothing was said, and the link may be used again.
            StoreUnavailable: the outbox cannot be read or written, before anything was done.
        """
        found = await self.standing(digest)
        labels = dict(matchers or found.group.matchers)
        if not labels:
            raise NothingNamed("the alerts of this group have no label in common; silence them in Alertmanager")
        done = await (self._make(labels, wish) if link is None else self._make_by(link, digest, labels, wish))
        told = await asyncio.to_thread(self._say_silenced, found, done, link)
        self._wake()
        return done if told else replace(done, told=False)

    async def _make(self, labels: Mapping[str, str], wish: SilenceWish, mark: str = "") -> Silenced:
        now = self._clock.unix()
        until = now + wish.seconds
        matchers = [Matcher(name=name, value=value) for name, value in sorted(labels.items())]
        number = await self._silences.silence(matchers, starts_at=now, ends_at=until, by=wish.by, comment=wish.reason + mark)
        return Silenced(id=number, matchers=labels, until=until, by=wish.by, reason=wish.reason, seconds=wish.seconds)

    async def _make_by(self, link: UsedLink, digest: str, labels: Mapping[str, str], wish: SilenceWish) -> Silenced:
        use = await asyncio.to_thread(self._outbox.begin_link, link, patience=PATIENCE)
        if use in {LinkUse.DONE, LinkUse.UNDER_WAY}:
            raise LinkRefused(Refusal.USED if use is LinkUse.DONE else Refusal.UNDER_WAY)
        mark = f" (link {link.hash[:_MARK_CHARACTERS]})"
        try:
            async with asyncio.timeout(DEADLINE):
                if use is LinkUse.FIRST:
                    return await self._make(labels, wish, mark)
                before = await self._silences.silences_marked(mark)
                if not before:
                    return await self._make_again(labels, wish, mark)
        except (UpstreamFailed, TimeoutError) as error:
            await asyncio.to_thread(self._outbox.end_link, link)
            if isinstance(error, UpstreamFailed):
                raise
            raise UpstreamFailed(f"Alertmanager does not answer within {DEADLINE:.0f} s") from error
        standing = [one for one in before if not one.over]
        if not standing:
            await asyncio.to_thread(self._outbox.silenced, digest, says=None, link=link)
            raise LinkRefused(Refusal.USED)
        return _found(standing[0], mark)

    async def _make_again(self, labels: Mapping[str, str], wish: SilenceWish, mark: str) -> Silenced:
        made = await self._make(labels, wish, mark)
        # What Alertmanager was asked before, and answers only now, would be a second one.
        with contextlib.suppress(UpstreamFailed):
            for other in await self._silences.silences_marked(mark):
                if not other.over and other.id != made.id:
                    await self._silences.expire(other.id)
        return made

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

    def _say_silenced(self, found: Standing, done: Silenced, link: UsedLink | None) -> bool:
        self._log.write(Event.SILENCED, subject=found.receiver)
        what = matchers_text(done.matchers)
        says = self._notices.draft(found.receiver, Notice.SILENCED, who=done.by, seconds=done.seconds, what=what, reason=done.reason)
        try:
            taken_by = done.by if found.matching(done.matchers) == found.alerts else None
            self._outbox.silenced(found.digest, says=says, by=taken_by, link=link)
        except StoreUnavailable:
            # The silence is there all the same; whoever asked for it is told that the group does not hear of it.
            return False
        return True


def _found(made: MadeSilence, mark: str) -> Silenced:
    # It begins when Alertmanager takes it, so that it lasts a little less than was asked for.
    seconds = math.ceil(round(made.ends_at - made.starts_at, 3) / _MINUTE) * _MINUTE
    reason = made.comment.removesuffix(mark)
    return Silenced(id=made.id, matchers=made.matchers, until=made.ends_at, by=made.by, reason=reason, seconds=seconds)


def _taken(case: Case, *, first: bool) -> Taken:
    assert case.taken_by is not None
    assert case.taken_at is not None
    return Taken(by=case.taken_by, at=case.taken_at, first=first)
