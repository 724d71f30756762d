"""Tells what waits: plans, writes down, sends, and records, one turn after the other.

A turn reads the store and the clock and changes the store; all that must survive is there. Only what may be forgotten is kept here: which
sends are under way, and which robots did not answer lately.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dingtalk import plan, quota, rate
from dingtalk.alert import AlertStatus, Notification
from dingtalk.answer import Answer, Outcome
from dingtalk.delivery import Step, delay, next_step
from dingtalk.errors import PayloadError, StoreUnavailable
from dingtalk.log import Event
from dingtalk.metrics import RobotStatus, Status, organisations
from dingtalk.outbox.rows import FALLBACK, NO_ROBOT, Draft, RobotRow, RobotState
from dingtalk.part import MAX_BODY_BYTES
from dingtalk.payload import parse
from dingtalk.plan import Form, Lane, Pool, RobotView, Situation
from dingtalk.quota import Degradation, Usage
from dingtalk.received import Received
from dingtalk.renders import BareRenderer, Saying

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from dingtalk.clock import Clock
    from dingtalk.config import Config, Robot
    from dingtalk.fallback import Fallback
    from dingtalk.log import Log
    from dingtalk.metrics import Metrics
    from dingtalk.outbox.rows import StoredMessage, StoredReceipt
    from dingtalk.outbox.store import Outbox
    from dingtalk.part import Part
    from dingtalk.plan import Bundle, Outgoing
    from dingtalk.renders import Renders
    from dingtalk.robot import Sends

TICK = 1.0
"""Seconds between turns when nothing happens."""
DEAD_PAUSE = 3600.0
"""Seconds until a dead robot is tried again: it may have been switched on."""
MISCONFIGURED_PAUSE = 300.0
SILENT_AFTER = 3
"""Calls in a row without an answer after which a robot counts as unreachable."""
SILENT_PAUSE = 60.0
FALLBACK_TRIES = 5
"""Refusals of the fallback channels after which a message without a robot is a dead letter."""
PURGE_EVERY = 60.0
RECORD_AGAIN = 1.0
"""Seconds until the end of an attempt that could not be stored is stored again."""
_STATES = {
    Outcome.THROTTLED: RobotState.BANNED,
    Outcome.ROBOT_DEAD: RobotState.DEAD,
    Outcome.MISCONFIGURED: RobotState.MISCONFIGURED,
    Outcome.OVER_QUOTA: RobotState.OVER_QUOTA,
}
_SAYINGS = {
    RobotState.BANNED: Saying.ROBOT_BANNED,
    RobotState.DEAD: Saying.ROBOT_DEAD,
    RobotState.MISCONFIGURED: Saying.ROBOT_MISCONFIGURED,
}
_LONGEST_MONTH = 31 * quota.DAY


@dataclass(slots=True)
class _Silence:
    """A robot that does not answer: how often in a row, and until when by the monotonic clock it is left alone."""

    calls: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What one turn does: sends by robots, and parts that go to the fallback channels."""

    sends: tuple[tuple[Outgoing, StoredMessage, str], ...] = ()
    stuck: tuple[tuple[Outgoing, StoredMessage], ...] = ()


class Worker:
    """Delivers from one outbox.

    Args:
        config: robots, receivers and quotas.
        outbox: what waits.
        client: sends.
        renderer: writes messages.
        fallback: tells elsewhere.
        metrics, log: what it does.
        clock: both clocks.
    """

    def __init__(
        self,
        config: Config,
        *,
        outbox: Outbox,
        client: Sends,
        renderer: Renders,
        fallback: Fallback,
        metrics: Metrics,
        log: Log,
        clock: Clock,
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._client = client
        self._renderer = renderer
        self._bare = BareRenderer()
        self._fallback = fallback
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._zone = ZoneInfo(config.time_zone)
        self._robots = {robot.name: robot for robot in config.robots}
        self._silences = {name: _Silence() for name in self._robots}
        self._busy: set[str] = set()
        # Messages whose attempt is not over, also when the store has them waiting again.
        self._held: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._purged_at = clock.monotonic()

    def wake(self) -> None:
        """Something new waits."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop`; nothing that goes wrong in a turn ends it."""
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            self._wake.clear()
            try:
                await self.turn()
            except Exception as error:  # noqa: BLE001 -- whatever it is, what waits must be tried again
                self._log.write(Event.WORKER_FAILED, words=type(error).__name__)
                await _first(self._stopping, seconds=TICK)
            # A turn that took long, because much waits, shall not keep the processor from those who bring more.
            await _first(self._stopping, seconds=min(TICK, 4 * (self._clock.monotonic() - began)))
            await _first(self._wake, self._stopping, seconds=TICK * max(self._config.scale, 0.05))

    def finish(self) -> None:
        """Begin no further send."""
        self._stopping.set()
        self._wake.set()

    async def stop(self, *, seconds: float) -> None:
        """Begin no further send, and wait so long for those under way; one that is cut off then is repeated by the next process."""
        self.finish()
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def turn(self) -> int:
        """Plan once and begin what can be sent now; the number of sends begun. They go on after it returns: see `settle`."""
        todo = await asyncio.to_thread(self._prepare, frozenset(self._busy), frozenset(self._held))
        if self._stopping.is_set():
            return 0
        for part, message, robot in todo.sends:
            self._busy.add(robot)
            self._begin(self._send(part, message, self._robots[robot]), message.id, robot)
        for part, message in todo.stuck:
            self._begin(self._fall_back(part, message), message.id, None)
        return len(todo.sends) + len(todo.stuck)

    async def settle(self) -> None:
        """Wait until no send is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def say(self, to: str, saying: Saying, **facts: object) -> None:
        """Put a notice of the notifier's own into the outbox, for the receiver `to`; blocking.

        Raises:
            StoreUnavailable: it cannot be stored.
        """
        now = self._clock.unix()
        try:
            part = self._renderer.notice(saying, now=now, **facts)
        except Exception as error:  # noqa: BLE001 -- a notice is told in any form
            self._template_failed(type(error).__name__)
            part = self._bare.notice(saying, now=now, **facts)
        self._outbox.put(
            Draft(
                receiver=to,
                group_key=f"notifier:{saying.value}",
                lane=Lane.CRITICAL,
                form=Form.NOTICE,
                parts=(part,),
                received_at=now,
            )
        )

    def status(self) -> Status:
        """How things are; blocking.

        Raises:
            StoreUnavailable: the outbox cannot be read.
        """
        now = self._clock.unix()
        rows, ages = self._outbox.robots(), self._ages()
        robots = {}
        for name in self._robots:
            row = self._row(rows.get(name, RobotRow()), now)
            limit = self._limit(self._robots[name])
            robots[name] = RobotStatus(
                state=row.state,
                until=row.until,
                detail=row.detail,
                headroom=max(0, limit.per_minute - rate.used(limit, ages[name])),
                unreachable=self._silences[name].calls >= SILENT_AFTER,
            )
        return Status(now=now, depth=self._outbox.depth(), robots=robots, organisations=self._usages(now), writable=self._outbox.writable)

    def _begin(self, work: Coroutine[object, object, None], message: int, robot: str | None) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        self._held.add(message)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._held.discard(message)
            if robot is not None:
                self._busy.discard(robot)
            self._wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                self._log.write(Event.WORKER_FAILED, words=type(error).__name__)

        task.add_done_callback(ended)

    # One turn; in a thread of its own, since it waits for the disk.

    def _prepare(self, busy: frozenset[str], held: frozenset[int]) -> _Turn:
        now = self._clock.unix()
        self._purge()
        steps = self._keep_quota(now)
        groups = self._outbox.waiting_groups(recent=plan.FLAP_WINDOW * self._config.scale)
        outgoing = self._outbox.outgoing()
        situation = self._situation(now, busy, steps, {group.receiver for group in groups} | {part.receiver for part in outgoing})
        recalled = [bundle for bundle in plan.recalls(outgoing, situation) if self._outbox.recall(bundle)]
        # Before anything newer of their groups is told, so that the order holds.
        revived = self._outbox.revive([name for name in situation.pools if not plan.hopeless(name, situation)])
        if recalled or revived:
            groups = self._outbox.waiting_groups(recent=plan.FLAP_WINDOW * self._config.scale)
            outgoing = self._outbox.outgoing()
        gathered = plan.gather(groups, outgoing, situation)
        for group in gathered.unsaid:
            self._outbox.leave_unsaid(group.receiver, group.group_key)
        for bundle in gathered.bundles:
            self._put(bundle, now)
        if gathered.bundles:
            outgoing = self._outbox.outgoing()
        outgoing = [part for part in outgoing if part.id not in held]
        sends = plan.choose(outgoing, situation)
        stuck = [part for part in outgoing if plan.is_due(part, situation) and plan.stuck(part, situation)]
        stuck = [part for part in stuck if not self._buried(part, situation)]
        return _Turn(
            sends=tuple((part, message, robot) for part, robot in sends if (message := self._outbox.message(part.id)) is not None),
            stuck=tuple(
                (part, message)
                for part in stuck
                if self._receiver_has_fallback(part.receiver) and (message := self._outbox.message(part.id)) is not None
            ),
        )

    def _put(self, bundle: Bundle, now: float) -> None:
        receipts = [self._outbox.waiting_receipts(group.receiver, group.group_key) for group in bundle.groups]
        groups = [[self._received(receipt) for receipt in group] for group in receipts if group]
        if not groups:
            return
        self._outbox.put(
            Draft(
                receiver=bundle.receiver,
                group_key=bundle.groups[0].group_key,
                lane=bundle.lane,
                form=bundle.form,
                parts=tuple(self._rendered(bundle.form, groups, now)),
                receipts=tuple(receipt.id for group in receipts for receipt in group),
                received_at=min(receipt.received_at for group in receipts for receipt in group),
            )
        )

    def _rendered(self, form: Form, groups: Sequence[Sequence[Received]], now: float) -> list[Part]:
        flat = [one for group in groups for one in group]
        parts: list[Part] = []
        why = "nothing written"
        try:
            if form is Form.GROUP:
                parts = self._renderer.group(flat, now=now)
            elif form is Form.DIGEST:
                parts = self._renderer.digest(groups, now=now)
            else:
                parts = self._renderer.plain(flat, now=now)
        except Exception as error:  # noqa: BLE001 -- a user's template may raise anything; the alerts are told in the bare form
            why = type(error).__name__
        if not parts:
            self._template_failed(why)
            parts = self._bare.plain(flat, now=now)
        return parts

    def _template_failed(self, why: str) -> None:
        self._metrics.template_failed()
        self._log.write(Event.TEMPLATE_FAILED, words=why)

    def _received(self, receipt: StoredReceipt) -> Received:
        try:
            notification = parse(receipt.payload, receiver=receipt.receiver, now=receipt.received_at)
        except PayloadError:
            # It was understood when it was stored, by another version of this program.
            notification = Notification(receiver=receipt.receiver, group_key=f"receipt {receipt.id}", status=AlertStatus.FIRING, alerts=())
        late = any(alert.labels.get("late") == "true" for alert in notification.alerts)
        return Received(notification=notification, received_at=receipt.received_at, late=late, repeat=receipt.repeat)

    def _buried(self, part: Outgoing, situation: Situation) -> bool:
        tried = part.fallback_tries >= FALLBACK_TRIES or not self._receiver_has_fallback(part.receiver)
        if not (tried and plan.hopeless(part.receiver, situation)):
            return False
        self._bury(part.id, part.receiver, outcome=NO_ROBOT, detail="no robot of the receiver can send")
        return True

    def _bury(self, message: int, receiver: str, *, outcome: str, detail: str) -> None:
        self._outbox.bury(message, outcome=outcome, detail=detail)
        self._log.write(Event.DEAD_LETTER, subject=receiver, words=outcome)

    def _receiver_has_fallback(self, receiver: str) -> bool:
        return bool(self._config.receiver(receiver).fallbacks)

    def _purge(self) -> None:
        if self._clock.monotonic() - self._purged_at >= PURGE_EVERY:
            self._purged_at = self._clock.monotonic()
            self._outbox.purge(keep=self._config.keep_days * quota.DAY)

    # What a plan follows from.

    def _situation(self, now: float, busy: frozenset[str], steps: dict[str, Degradation], receivers: set[str]) -> Situation:
        rows, ages, monotonic = self._outbox.robots(), self._ages(), self._clock.monotonic()
        robots = {}
        for name, robot in self._robots.items():
            stored = rows.get(name, RobotRow())
            row, silence = self._row(stored, now), self._silences[name]
            out = row.state is not RobotState.OK and row.until > now
            robots[name] = RobotView(
                name=name,
                limit=self._limit(robot),
                usable=not out and monotonic >= silence.until,
                hopeless=out and row.state is not RobotState.BANNED,
                busy=name in busy,
                probing=row.state is not RobotState.OK or silence.calls >= SILENT_AFTER,
                ages=ages[name],
                step=steps.get(robot.organisation, Degradation.NONE),
            )
        named = receivers | {receiver.name for receiver in self._config.receivers}
        return Situation(robots=robots, pools={name: self._pool(name) for name in named}, now=now, scale=self._config.scale)

    def _pool(self, name: str) -> Pool:
        receiver = self._config.receiver(name)
        return Pool(robots=tuple(receiver.robots), fallback=bool(receiver.fallbacks), fallback_after=receiver.fallback_after)

    def _limit(self, robot: Robot) -> rate.Limit:
        return rate.Limit(per_minute=robot.per_minute, reserve=robot.reserve, window=rate.WINDOW * self._config.scale)

    def _ages(self) -> dict[str, tuple[float, ...]]:
        return self._outbox.ages({name: 2 * robot.per_minute + 1 for name, robot in self._robots.items()})

    def _row(self, row: RobotRow, now: float) -> RobotRow:
        """The row without an end that lies further ahead than any pause: the clock was set back since."""
        return row if row.until - now <= self._longest(row.state) else replace(row, until=now)

    def _longest(self, state: RobotState) -> float:
        pauses = {RobotState.BANNED: rate.BAN, RobotState.DEAD: DEAD_PAUSE, RobotState.MISCONFIGURED: MISCONFIGURED_PAUSE}
        return pauses.get(state, 0.0) * self._config.scale if state in pauses else _LONGEST_MONTH

    def _usages(self, now: float) -> dict[str, Usage]:
        begin, end = quota.month(now, self._zone)
        steps = self._outbox.steps()
        usages = {}
        for name in organisations(self._config):
            used = self._outbox.calls(name, since=begin)
            recent = self._outbox.calls(name, since=now - quota.TREND)
            usages[name] = Usage(
                limit=self._config.organisation(name).monthly_quota,
                used=used,
                forecast=quota.forecast(used=used, recent=recent, now=now, end=end),
                step=steps.get(name, Degradation.NONE),
            )
        return usages

    def _keep_quota(self, now: float) -> dict[str, Degradation]:
        steps = {}
        for name, usage in self._usages(now).items():
            step = quota.degradation(used=usage.used, expected=usage.forecast, limit=usage.limit, before=usage.step)
            steps[name] = step
            if step is usage.step:
                continue
            self._outbox.set_step(name, step)
            self._log.write(Event.DEGRADATION_CHANGED, subject=name, words=step.name.lower())
            receiver = self._receiver_with({robot.name for robot in self._config.robots if robot.organisation == name})
            if receiver is not None:
                saying = Saying.RESTORED if step is Degradation.NONE else Saying.DEGRADED
                self.say(receiver, saying, organisation=name, step=int(step))
        return steps

    def _receiver_with(self, wanted: set[str]) -> str | None:
        """The default receiver, or else the first, that has one of the robots."""
        default = self._config.receiver("")
        for receiver in [default, *self._config.receivers]:
            if wanted & set(receiver.robots):
                return receiver.name
        return None

    # One attempt.

    async def _send(self, part: Outgoing, message: StoredMessage, robot: Robot) -> None:
        send = await asyncio.to_thread(self._outbox.begin_send, message.id, robot=robot.name, organisation=robot.organisation)
        if send is None:
            return
        body = message.part.with_keyword(robot.keyword)
        size = len(body.body(message.msg_uuid))
        sent = size <= MAX_BODY_BYTES
        if sent:
            answer = await self._client.send(robot, body, message.msg_uuid)
        else:
            answer = Answer(outcome=Outcome.TOO_BIG, detail=f"{size} bytes, not sent")
        self._metrics.attempted(robot.name, answer.outcome, clock_skew=answer.clock_skew)
        self._note_silence(robot.name, answer)
        step = await self._recorded(lambda: self._record(part, message, robot, send, answer, sent=sent))
        if step is Step.REFUSED:
            await self._refused(part, message, answer)

    async def _recorded(self, record: Callable[[], Step]) -> Step | None:
        """Record the end of an attempt. While nothing can be stored this waits, and the robot with it: sending goes on no faster."""
        while True:
            try:
                return await asyncio.to_thread(record)
            except StoreUnavailable:
                if self._stopping.is_set():
                    return None
                await _first(self._stopping, seconds=RECORD_AGAIN)

    def _note_silence(self, robot: str, answer: Answer) -> None:
        silence = self._silences[robot]
        if answer.outcome is Outcome.RETRY and answer.code is None:
            silence.calls += 1
            if silence.calls >= SILENT_AFTER:
                pause = min(SILENT_PAUSE, 2.0 ** min(silence.calls - SILENT_AFTER, 10))
                silence.until = self._clock.monotonic() + pause * self._config.scale
        else:
            silence.calls, silence.until = 0, 0.0

    def _record(self, part: Outgoing, message: StoredMessage, robot: Robot, send: int, answer: Answer, *, sent: bool) -> Step:
        now, scale = self._clock.unix(), self._config.scale
        step = next_step(answer, attempts=message.attempts + 1, plain=message.form in {Form.PLAIN, Form.NOTICE})
        if step is Step.DONE:
            self._tell_delivered(message, send=send, robot=robot.name)
            self._robot_is(robot, RobotRow())
            return step
        self._log.write(Event.SEND_FAILED, subject=robot.name, words=answer.outcome.value)
        counted = sent and _uses_quota(answer)
        if step is Step.PLAINLY:
            self._outbox.end_send(send, outcome=answer.outcome.value, counted=counted)
            received = [self._received(receipt) for receipt in self._outbox.receipts_of(message.bundle)]
            self._outbox.replace(message.bundle, self._plain_draft(message, received, now))
            return step
        if step is Step.ELSEWHERE:
            self._robot_is(robot, self._out(answer, now))
        pinned = part.pinned
        if answer.ambiguous:
            pinned = robot.name
        elif step is Step.ELSEWHERE and answer.outcome is not Outcome.THROTTLED:
            pinned = ""
        self._outbox.postpone(
            message.id,
            send=send,
            counted=counted,
            outcome=answer.outcome.value,
            detail=answer.detail,
            next_attempt_at=now + delay(message.attempts + 1, seed=message.msg_uuid) * scale if step is Step.AGAIN else 0.0,
            pinned=pinned,
        )
        return step

    def _plain_draft(self, message: StoredMessage, received: Sequence[Received], now: float) -> Draft:
        return Draft(
            receiver=message.receiver,
            group_key=message.group_key,
            lane=message.lane,
            form=Form.PLAIN,
            parts=tuple(self._rendered(Form.PLAIN, [received], now)),
            receipts=tuple(receipt.id for receipt in self._outbox.receipts_of(message.bundle)),
            received_at=message.received_at,
        )

    def _tell_delivered(self, message: StoredMessage, *, send: int | None, robot: str) -> None:
        now = self._clock.unix()
        for told in self._outbox.delivered(message.id, send=send, robot=robot):
            self._metrics.delivered(told.severity, now - told.received_at)

    def _out(self, answer: Answer, now: float) -> RobotRow:
        state, scale = _STATES[answer.outcome], self._config.scale
        if state is RobotState.BANNED:
            until = now + answer.pause * scale
        elif state is RobotState.DEAD:
            until = now + DEAD_PAUSE * scale
        elif state is RobotState.MISCONFIGURED:
            until = now + MISCONFIGURED_PAUSE * scale
        else:
            until = quota.month(now, self._zone)[1]
        cause = f"{answer.cause.value}: " if answer.cause is not None else ""
        return RobotRow(state=state, until=until, detail=f"{cause}{answer.detail}")

    def _robot_is(self, robot: Robot, row: RobotRow) -> None:
        """Remember a robot's state; a change is said in a group that another robot reaches."""
        before = self._outbox.robots().get(robot.name, RobotRow())
        if before == row:
            return
        self._outbox.set_robot(robot.name, row)
        if before.state is row.state:
            return
        self._log.write(Event.ROBOT_CHANGED, subject=robot.name, words=row.state.value)
        if row.state is RobotState.OK and before.state in {RobotState.DEAD, RobotState.MISCONFIGURED}:
            self._say_of(robot, Saying.ROBOT_BACK, row, others=False)
        elif row.state in _SAYINGS:
            self._say_of(robot, _SAYINGS[row.state], row, others=True)

    def _say_of(self, robot: Robot, saying: Saying, row: RobotRow, *, others: bool) -> None:
        states = self._outbox.robots()
        well = {name for name in self._robots if states.get(name, RobotRow()).state is RobotState.OK}
        receiver = self._receiver_with(well - {robot.name} if others else {robot.name})
        if receiver is not None:
            seconds = max(0.0, row.until - self._clock.unix())
            self.say(receiver, saying, robot=robot.name, reason=row.detail, seconds=seconds)

    # Without robots.

    async def _fall_back(self, part: Outgoing, message: StoredMessage) -> None:
        if await self._told_elsewhere(message):
            return
        tries = part.fallback_tries + 1
        await asyncio.to_thread(
            self._outbox.postpone,
            message.id,
            send=None,
            counted=False,
            outcome=message.outcome,
            detail=message.detail,
            next_attempt_at=self._clock.unix() + delay(tries, seed=message.msg_uuid) * self._config.scale,
            pinned=part.pinned,
            fallback_failed=True,
        )

    async def _refused(self, part: Outgoing, message: StoredMessage, answer: Answer) -> None:
        """No robot will ever take it: elsewhere at once, or it is a dead letter."""
        if self._receiver_has_fallback(message.receiver) and await self._told_elsewhere(message):
            return
        await asyncio.to_thread(self._bury, message.id, message.receiver, outcome=answer.outcome.value, detail=answer.detail)
        if message.form is not Form.NOTICE:
            await asyncio.to_thread(self.say, part.receiver, Saying.DEAD_LETTER, receiver=part.receiver, count=1)

    async def _told_elsewhere(self, message: StoredMessage) -> bool:
        taken = False
        with contextlib.suppress(Exception):
            # A fallback that fails, in whatever way, has not told it.
            taken = await self._fallback.send(self._config.receiver(message.receiver).fallbacks, message.part)
        self._metrics.attempted(FALLBACK, Outcome.DELIVERED if taken else Outcome.RETRY)
        if taken:
            await asyncio.to_thread(self._tell_delivered, message, send=None, robot=FALLBACK)
        return taken


def _uses_quota(answer: Answer) -> bool:
    """DingTalk says that calls over the rate, and those that did not reach it, are not counted; of others it says nothing."""
    unreached = answer.outcome is Outcome.RETRY and answer.code is None and not answer.ambiguous
    return answer.outcome is not Outcome.THROTTLED and not unreached


async def _first(*events: asyncio.Event, seconds: float) -> None:
    """Until one of the events, or for so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
