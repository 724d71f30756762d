"""The second machine's side: hears the boxes, and has the groups told when one is silent or back."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dingtalk import wording
from dingtalk.alert import Alert, AlertStatus, Severity
from dingtalk.errors import ClockDiffers, HeartbeatRefused, StoreUnavailable
from dingtalk.heartbeat import MAX_AGE, Verifier
from dingtalk.log import Event
from dingtalk.mention import NOBODY, Roll
from dingtalk.notice import Notice
from dingtalk.watch.silence import Box, Vigil, Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.log import Log
    from dingtalk.notices import Notices
    from dingtalk.outbox.store import Outbox
    from dingtalk.watch.silence import BoxState, Saying

LOOK = 1.0
"""Seconds between two looks."""
REFUSED_AGAIN = 600.0
"""Seconds until a line of the log tells again that heartbeats are refused."""
MAX_UNSAID = 1_000
"""What could not be stored yet; more is more than anybody reads."""
_SILENT_KINDS = {Word.SILENT: Notice.BOX_SILENT, Word.STILL_SILENT: Notice.BOX_STILL_SILENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxStatus:
    """A box, now.

    Attributes:
        state: how it is.
        since: seconds since 1970 of its last heartbeat, or of the watcher's start when there never was one.
        clock_difference: seconds, when heartbeats of a wrong clock came since the last good one.
    """

    box: Box
    state: BoxState
    since: float
    clock_difference: float | None


class Lookout:
    """Watches over the boxes of a configuration.

    Args:
        config: boxes, receivers, owners.
        outbox: keeps what is known of boxes.
        notices: tells the groups.
        wake: something waits to be told.
        log: what is refused, and who is silent.
        clock: both clocks.

    Raises:
        StoreUnavailable: what is known of boxes cannot be read.
    """

    def __init__(self, config: Config, *, outbox: Outbox, notices: Notices, wake: Callable[[], None], log: Log, clock: Clock) -> None:
        self._outbox = outbox
        self._notices = notices
        self._wake = wake
        self._log = log
        self._clock = clock
        self._pause = LOOK * config.scale
        self._zone = ZoneInfo(config.time_zone)
        self._roll = Roll(config)
        self._receivers = {box.name: box.receiver for box in config.boxes}
        known = outbox.boxes()
        self._vigil = Vigil(
            [known.get(box.name, Box(name=box.name)) for box in config.boxes],
            monotonic=clock.monotonic(),
            silent_after=config.silent_after * config.scale,
            remind_every=config.remind_every * config.scale,
        )
        self._verifier = Verifier({box.name: box.key.get_secret_value() for box in config.boxes})
        for box, nonce, at in outbox.heartbeats():
            self._verifier.remember(box, nonce, at=at)
        self._began = clock.unix()
        self._newest: dict[str, float] = {}
        self._differences: dict[str, float] = {}
        self._unsaid: deque[Saying] = deque(maxlen=MAX_UNSAID)
        self._refused_at: float | None = None

    async def hear(self, body: bytes, signed: str) -> None:
        """Take a heartbeat. It counts from here on, also when it cannot be kept.

        Raises:
            HeartbeatRefused: it proves nothing.
            StoreUnavailable: it cannot be kept, so that it might count once more after a restart.
        """
        now = self._clock.unix()
        try:
            heartbeat = self._verifier.verify(body, signed, now=now)
        except HeartbeatRefused as refused:
            if isinstance(refused, ClockDiffers):
                self._differences[refused.box] = refused.seconds
            self._log_refusal(refused)
            raise
        name = heartbeat.box
        self._differences.pop(name, None)
        before = self._vigil.box(name)
        # One that was overtaken is a sign of life, but not the last word on a maintenance.
        last = heartbeat if heartbeat.sent_at >= self._newest.get(name, 0.0) else before
        self._newest[name] = max(heartbeat.sent_at, self._newest.get(name, 0.0))
        self._unsaid.extend(
            self._vigil.heard(name, unix=now, monotonic=self._clock.monotonic(), quiet_until=last.quiet_until, quiet_from=last.quiet_from)
        )
        # A box that was said to be silent stays so in the store until it is said to be back.
        kept = self._vigil.box(name) if not before.silent else before
        await asyncio.to_thread(self._outbox.keep_heartbeat, kept, heartbeat.nonce, at=now, forget=now - 2 * MAX_AGE)

    async def turn(self) -> None:
        """Look once, and have said what there is to say.

        Raises:
            StoreUnavailable: it cannot be stored; it is said by a later turn.
        """
        self._unsaid.extend(self._vigil.look(unix=self._clock.unix(), monotonic=self._clock.monotonic()))
        while self._unsaid:
            saying = self._unsaid[0]
            await asyncio.to_thread(self._say, saying, self._vigil.box(saying.box), self._differences.get(saying.box))
            self._unsaid.popleft()
            self._log.write(Event.BOX_CHANGED, subject=saying.box, words=saying.word.value)
            self._wake()

    async def run(self) -> None:
        """Look until it is cancelled; nothing that goes wrong in a turn ends it."""
        while True:
            try:
                await self.turn()
            except StoreUnavailable:
                pass
            except Exception as error:  # noqa: BLE001 -- whatever it is, the boxes must be watched on
                self._log.write(Event.WORKER_FAILED, words=type(error).__name__)
            await asyncio.sleep(self._pause)

    def boxes(self) -> list[BoxStatus]:
        """All of them, as they are."""
        return [self._status(box) for box in self._vigil.boxes]

    def _status(self, box: Box) -> BoxStatus:
        difference = self._differences.get(box.name)
        return BoxStatus(
            box=box,
            state=box.state(self._clock.unix(), clock_wrong=difference is not None),
            since=self._began if box.last_unix is None else box.last_unix,
            clock_difference=difference,
        )

    def _say(self, saying: Saying, box: Box, difference: float | None) -> None:
        if saying.word is Word.BACK:
            kind, mention = Notice.BOX_BACK, NOBODY
        else:
            kind = _SILENT_KINDS[saying.word] if difference is None else Notice.BOX_CLOCK_WRONG
            mention = self._roll.called(_alert(saying), over=False, now=saying.at)
        since = self._began if saying.since is None else saying.since
        shown = wording.local_time(since, self._zone, saying.at)
        seconds = abs(difference) if kind is Notice.BOX_CLOCK_WRONG and difference is not None else saying.at - since
        facts = {"box": saying.box, "since": shown if saying.since is not None else f"开始看守（{shown}）", "seconds": seconds}
        receiver = self._receivers[saying.box]
        if receiver:
            self._notices.say(receiver, kind, mention=mention, **facts)
        else:
            self._notices.say_all(kind, mention=mention, **facts)
        self._outbox.keep_box(box)

    def _log_refusal(self, refused: HeartbeatRefused) -> None:
        now = self._clock.monotonic()
        if self._refused_at is None or now - self._refused_at >= REFUSED_AGAIN:
            self._refused_at = now
            box = refused.box if isinstance(refused, ClockDiffers) else None
            self._log.write(Event.HEARTBEAT_REFUSED, subject=box, words=str(refused))


def _alert(saying: Saying) -> Alert:
    """A silence as the owner table sees it."""
    return Alert(
        status=AlertStatus.FIRING,
        labels={"alertname": Notice.BOX_SILENT.english, "severity": Severity.CRITICAL.value, "instance": saying.box},
        starts_at=saying.at,
        fingerprint=saying.box,
    )
