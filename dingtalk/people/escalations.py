"""Asks the next of the rota while nobody takes a critical alert, and the phone channel last."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from dingtalk import wording
from dingtalk.escalation import Rota
from dingtalk.links import group_digest
from dingtalk.log import Event
from dingtalk.mention import called
from dingtalk.notice import Notice
from dingtalk.part import Part, Shape
from dingtalk.people.standing import standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.escalation import Case
    from dingtalk.fallback import Fallback
    from dingtalk.log import Log
    from dingtalk.metrics import Metrics
    from dingtalk.notices import Notices
    from dingtalk.outbox.store import Outbox
    from dingtalk.people.standing import Standing

TICK = 1.0
"""Seconds between looks."""
PHONE_TRIES = 5
"""Calls of the phone channel that it does not take, after which nobody is left to be asked."""
PHONE_AGAIN = 30.0
"""Seconds between those."""
CALLS_AT_ONCE = 4


class Escalations:
    """A background task. What it has done is in the store before it is told; a phone call that is cut off by a death is made again.

    Args:
        config: rota, people, scale.
        outbox: the cases.
        notices: says it in the groups.
        wake: called when something was said.
        fallback: the phone channel.
        metrics, log: what it does.
        clock: both clocks.
    """

    def __init__(
        self,
        config: Config,
        *,
        outbox: Outbox,
        notices: Notices,
        wake: Callable[[], None],
        fallback: Fallback,
        metrics: Metrics,
        log: Log,
        clock: Clock,
    ) -> None:
        self._config = config
        self._rota = Rota(people=tuple(config.rota.people), phone=config.rota.phone is not None, after=config.rota.after * config.scale)
        self._outbox = outbox
        self._notices = notices
        self._wake = wake
        self._fallback = fallback
        self._metrics = metrics
        self._log = log
        self._clock = clock
        # Calls of the phone channel under way, and those that failed: how often, and when the next may be made.
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, tuple[int, float]] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Ask until `stop`; nothing that goes wrong ends it."""
        if not self._rota.people and not self._rota.phone:
            return
        while not self._stopping.is_set():
            try:
                await self.turn()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next look must come
                self._log.write(Event.WORKER_FAILED, subject="escalation", words=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK * max(self._config.scale, 0.05)):
                    await self._stopping.wait()

    async def stop(self) -> None:
        """Ask nobody any more. A call of the phone channel that is under way is cut off, and the next process makes it again."""
        self._stopping.set()
        calls = list(self._calls.values())
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def turn(self) -> None:
        """Look once at every case.

        Raises:
            StoreUnavailable: the outbox cannot be read or written.
        """
        cases = await asyncio.to_thread(self._outbox.cases)
        now = self._clock.unix()
        for digest in self._failed.keys() - {_digest(case) for case in cases}:
            del self._failed[digest]
        for case in cases:
            if case.asked_at > now:
                # The clock was set back; nobody shall have more time by it.
                await asyncio.to_thread(self._outbox.asked, case, replace(case, asked_at=now))
            elif (found := self._rota.next(case, now)) is not None:
                ask, after = found
                if ask.person is None:
                    self._call(case, after)
                elif await asyncio.to_thread(self._ask, ask.person, case, after):
                    self._metrics.escalated("rota")
                    self._wake()

    async def settle(self) -> None:
        """Wait until no call of the phone channel is under way."""
        while self._calls:
            await asyncio.wait(set(self._calls.values()))

    def _ask(self, name: str, case: Case, after: Case) -> bool:
        found = self._standing(case)
        if found is None:
            # Nothing is kept of it any more: there is nothing to say.
            self._outbox.asked(case, after)
            return False
        says = self._notices.draft(
            case.receiver,
            Notice.ESCALATED,
            mention=called(self._config.person(name)),
            what=found.what,
            seconds=after.asked_at - case.opened_at,
            who=name,
        )
        if not self._outbox.asked(case, after, says=says):
            return False
        self._log.write(Event.ESCALATED, subject=case.receiver, words="rota")
        return True

    def _call(self, case: Case, after: Case) -> None:
        digest = _digest(case)
        tries, not_before = self._failed.get(digest, (0, 0.0))
        if digest in self._calls or len(self._calls) >= CALLS_AT_ONCE or self._clock.monotonic() < not_before:
            return
        task = asyncio.create_task(self._phone(digest, case, after, tries))
        self._calls[digest] = task

        def ended(task: asyncio.Task[None]) -> None:
            self._calls.pop(digest, None)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._log.write(Event.WORKER_FAILED, subject="escalation", words=type(error).__name__)

        task.add_done_callback(ended)

    async def _phone(self, digest: str, case: Case, after: Case, tries: int) -> None:
        found = await asyncio.to_thread(self._standing, case)
        phone = self._config.rota.phone
        if found is None or phone is None:
            await asyncio.to_thread(self._outbox.asked, case, after)
            return
        taken = False
        with contextlib.suppress(Exception):
            # A channel that fails, in whatever way, has called nobody.
            taken = await self._fallback.send([phone], _call_text(found, after.asked_at - case.opened_at))
        if not taken:
            self._log.write(Event.ESCALATION_FAILED, subject=case.receiver, words="phone")
            self._failed[digest] = tries + 1, self._clock.monotonic() + PHONE_AGAIN * self._config.scale
        if taken or tries + 1 >= PHONE_TRIES:
            # Noted only now: a call too many is better than none.
            await asyncio.to_thread(self._outbox.asked, case, after)
        if taken:
            self._metrics.escalated("phone")
            self._log.write(Event.ESCALATED, subject=case.receiver, words="phone")

    def _standing(self, case: Case) -> Standing | None:
        stored = self._outbox.group(_digest(case))
        return None if stored is None else standing(stored)


def _digest(case: Case) -> str:
    return group_digest(case.receiver, case.group_key)


def _call_text(found: Standing, seconds: float) -> Part:
    """For a voice or a text message: the names of alerts, and nothing that an alert or a person brings."""
    text = f"严重告警 {found.names} 已 {wording.duration(seconds)}无人接手，请查看钉钉群。组 {found.digest}"
    return Part(title="严重告警无人接手", text=text, shape=Shape.TEXT)
