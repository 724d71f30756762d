"""Keeps the maintenance of this box: silences Alertmanager, tells the watchers, and says beginning and end in the groups."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dingtalk import wording
from dingtalk.alertmanager import Matcher, rfc3339
from dingtalk.errors import StoreUnavailable, UpstreamFailed
from dingtalk.heartbeat import WATCHDOG
from dingtalk.log import Event
from dingtalk.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dingtalk.alertmanager import Alertmanager, Silence
    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.log import Log
    from dingtalk.notices import Notices
    from dingtalk.outbox.store import Outbox
    from dingtalk.watch.maintenance import Maintenance
    from dingtalk.watch.pulse import Pulse

EVERYTHING = (
    Matcher(name="alertname", value=".+", is_regex=True),
    # Its heartbeats go on: they tell the watchers of the maintenance, and that it is over.
    Matcher(name="alertname", value=WATCHDOG, is_equal=False),
)
MARK = "mgeo maintenance until "
"""How the comments of our silences begin."""
LOOK = 1.0
SILENCE_AGAIN = 30.0
"""Seconds until a silence that could not be made is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """What was done for a maintenance, or for its end.

    Attributes:
        silence: why Alertmanager is not silenced; empty when it is.
        watchers: by watcher, why it was not told; empty where it was.
    """

    silence: str = ""
    watchers: Mapping[str, str] = field(default_factory=dict)


class Upkeep:
    """Keeps one maintenance at a time, over restarts.

    Args:
        config: the time zone.
        outbox: remembers it.
        alertmanager: is silenced.
        pulse: tells the watchers.
        notices: tells the groups.
        wake: something waits to be told.
        log: what changed, and what could not be silenced.
        clock: both clocks.

    Raises:
        StoreUnavailable: what is remembered cannot be read.
    """

    def __init__(
        self,
        config: Config,
        *,
        outbox: Outbox,
        alertmanager: Alertmanager,
        pulse: Pulse,
        notices: Notices,
        wake: Callable[[], None],
        log: Log,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._alertmanager = alertmanager
        self._pulse = pulse
        self._notices = notices
        self._wake = wake
        self._log = log
        self._clock = clock
        self._zone = ZoneInfo(config.time_zone)
        self._scale = config.scale
        self._current = outbox.maintenance()
        self._silenced = False
        self._failing = False
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()
        pulse.keep_quiet(self._current)

    @property
    def current(self) -> Maintenance | None:
        """What is going on or planned."""
        return self._current

    async def begin(self, one: Maintenance) -> Arranged:
        """Keep a maintenance in the place of the one before. What cannot be silenced now is tried again until it is over.

        Raises:
            StoreUnavailable: it cannot be remembered; nothing was done.
        """
        async with self._lock:
            before, now = self._current, self._clock.unix()
            if before is not None and before.said:
                if not one.going_on(now):
                    await self._over(before, f"{one.by} 改期")
                # Where it goes on, only another end is news.
                one = replace(one, said=one.going_on(now) and before.ends_at == one.ends_at)
            await self._keep(one)
            silence = await self._silence(one, anew=True)
            watchers = await self._pulse.tell()
            self._log.write(Event.MAINTENANCE_CHANGED, words="begun" if one.going_on(now) else "planned")
            # What cannot be said now is said by a later turn.
            with contextlib.suppress(StoreUnavailable):
                await self._look()
        return Arranged(silence=silence, watchers=watchers)

    async def end(self, by: str) -> Arranged:
        """End it, or call a planned one off.

        Raises:
            UpstreamFailed: Alertmanager would stay silent; nothing was done.
            StoreUnavailable: it cannot be remembered, and goes on.
        """
        async with self._lock:
            before = self._current
            for silence in await self._ours():
                await self._alertmanager.expire(silence.id)
            self._silenced = False
            await self._over(before, by and f"{by} 结束")
            return Arranged(watchers=await self._pulse.tell())

    async def turn(self) -> None:
        """Say what is to be said by now, and silence what is not silenced yet.

        Raises:
            StoreUnavailable: it cannot be stored; a later turn does it.
        """
        async with self._lock:
            await self._look()

    async def run(self) -> None:
        """Look until it is cancelled; nothing that goes wrong in a turn ends it."""
        while True:
            try:
                await self.turn()
            except StoreUnavailable:
                pass
            except Exception as error:  # noqa: BLE001 -- whatever it is, an end must not be missed
                self._log.write(Event.WORKER_FAILED, words=type(error).__name__)
            await asyncio.sleep(LOOK * self._scale)

    async def _look(self) -> None:
        one, now = self._current, self._clock.unix()
        if one is None:
            return
        if now >= one.ends_at:
            await self._over(one, "到时")
            self._pulse.beat()
            return
        if one.going_on(now) and not one.said:
            await asyncio.to_thread(self._say_begun, one, now)
            self._wake()
            one = replace(one, said=True)
            await self._keep(one)
        if not self._silenced and (self._tried_at is None or self._clock.monotonic() - self._tried_at >= SILENCE_AGAIN * self._scale):
            await self._silence(one, anew=False)

    def _say_begun(self, one: Maintenance, now: float) -> None:
        until = wording.local_time(one.ends_at, self._zone, now)
        self._notices.say_all(Notice.MAINTENANCE_BEGUN, who=one.by, until=until, reason=one.reason)

    async def _keep(self, one: Maintenance | None) -> None:
        await asyncio.to_thread(self._outbox.keep_maintenance, one)
        self._current = one
        self._pulse.keep_quiet(one)

    async def _over(self, one: Maintenance | None, reason: str) -> None:
        if one is not None and one.said:
            await asyncio.to_thread(lambda: self._notices.say_all(Notice.MAINTENANCE_ENDED, reason=reason or "手动结束"))
            self._wake()
        await self._keep(None)
        self._silenced = False
        if one is not None:
            self._log.write(Event.MAINTENANCE_CHANGED, words="ended")

    async def _silence(self, one: Maintenance, *, anew: bool) -> str:
        """Have it silenced, unless it is and `anew` is not asked for; why that is not possible, or nothing."""
        self._silenced = False
        self._tried_at = self._clock.monotonic()
        comment = f"{MARK}{rfc3339(one.ends_at)}: {one.reason}"
        try:
            ours = await self._ours()
            there = not anew and comment in {silence.comment for silence in ours}
            if not there:
                begins = max(one.starts_at, self._clock.unix())
                await self._alertmanager.silence(EVERYTHING, starts_at=begins, ends_at=one.ends_at, by=one.by, comment=comment)
            for silence in ours:
                if not (there and silence.comment == comment):
                    await self._alertmanager.expire(silence.id)
        except UpstreamFailed as error:
            if not self._failing:
                self._failing = True
                self._log.write(Event.SILENCE_FAILED, words=str(error))
            return str(error)
        self._failing = False
        self._silenced = True
        return ""

    async def _ours(self) -> list[Silence]:
        return [silence for silence in await self._alertmanager.silences() if silence.comment.startswith(MARK)]
