"""One turn's plan, from the store and the clock: what is written down, and what is sent now. Blocking; the worker calls it in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dingtalk import plan, quota, rate
from dingtalk.log import Event
from dingtalk.metrics import RobotStatus, Status, organisations
from dingtalk.notice import Notice
from dingtalk.outbox.rows import NO_ROBOT, Draft, MessageState, RobotState
from dingtalk.plan import Form, Pool, RobotView, Situation
from dingtalk.quota import Degradation, Usage
from dingtalk.received import read
from dingtalk.renders import BareRenderer
from dingtalk.traces import MAX_LINKS, NoTraces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dingtalk.clock import Clock
    from dingtalk.config import Config, Robot
    from dingtalk.log import Log
    from dingtalk.metrics import Metrics
    from dingtalk.notices import Notices
    from dingtalk.outbox.rows import StoredMessage
    from dingtalk.outbox.store import Outbox
    from dingtalk.part import Part
    from dingtalk.plan import Bundle, Outgoing
    from dingtalk.reach import Reach
    from dingtalk.received import Received
    from dingtalk.renders import Renders
    from dingtalk.robot_states import RobotStates
    from dingtalk.trace_ids import TraceIds
    from dingtalk.traces import Traces

FALLBACK_TRIES = 5
"""Refusals of the fallback channels after which a message without a robot is a dead letter."""
PURGE_EVERY = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is done now: parts that robots send, and parts that go to the fallback channels."""

    sends: tuple[tuple[Outgoing, StoredMessage, str], ...] = ()
    stuck: tuple[tuple[Outgoing, StoredMessage], ...] = ()


class Planner:
    """Looks at everything, and decides.

    Args:
        config: robots, receivers and quotas.
        outbox: what waits.
        states, reach: which robots can be used.
        notices: steps of the quota are said.
        renderer: writes messages.
        metrics, log: what it does.
        clock: both clocks.
        traces: a span for each message that ends here.
    """

    def __init__(
        self,
        config: Config,
        *,
        outbox: Outbox,
        states: RobotStates,
        reach: Reach,
        notices: Notices,
        renderer: Renders,
        metrics: Metrics,
        log: Log,
        clock: Clock,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces or NoTraces()
        self._config = config
        self._outbox = outbox
        self._states = states
        self._reach = reach
        self._notices = notices
        self._renderer = renderer
        self._bare = BareRenderer()
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._zone = ZoneInfo(config.time_zone)
        self._purged_at = clock.monotonic()

    def turn(self, *, busy: frozenset[str], held: frozenset[int]) -> Turn:
        """Plan once, and write down what is to be told.

        Args:
            busy: robots whose send is under way.
            held: messages whose attempt is not over, whatever the store says of them.

        Raises:
            StoreUnavailable: the outbox cannot be read or written.
        """
        now = self._clock.unix()
        self._purge()
        steps = self._keep_quota(now)
        groups, outgoing = self._waiting(), self._outbox.outgoing()
        receivers = {group.receiver for group in groups} | {part.receiver for part in outgoing}
        situation = self._situation(now, busy, steps, receivers)
        recalled = [bundle for bundle in plan.recalls(outgoing, situation) if self._recall(bundle, outgoing)]
        # Before anything newer of their groups is told, so that the order holds.
        revived = self._outbox.revive([name for name in situation.pools if not plan.hopeless(name, situation)])
        if recalled or revived:
            groups, outgoing = self._waiting(), self._outbox.outgoing()
        gathered = plan.gather(groups, outgoing, situation)
        for group in gathered.unsaid:
            self._outbox.leave_unsaid(group.receiver, group.group_key)
        for bundle in gathered.bundles:
            self._put(bundle, now)
        if gathered.bundles:
            outgoing = self._outbox.outgoing()
        return self._turn([part for part in outgoing if part.id not in held], situation)

    def _turn(self, outgoing: Sequence[Outgoing], situation: Situation) -> Turn:
        sends = plan.choose(outgoing, situation)
        stuck = [part for part in outgoing if plan.is_due(part, situation) and plan.stuck(part, situation)]
        stuck = [part for part in stuck if not self._buried(part, situation)]
        return Turn(
            sends=tuple((part, message, robot) for part, robot in sends if (message := self._outbox.message(part.id)) is not None),
            stuck=tuple(
                (part, message)
                for part in stuck
                if self.has_fallback(part.receiver) and (message := self._outbox.message(part.id)) is not None
            ),
        )

    def _waiting(self) -> list[plan.WaitingGroup]:
        return self._outbox.waiting_groups(recent=plan.FLAP_WINDOW * self._config.scale)

    def has_fallback(self, receiver: str) -> bool:
        """Whether a receiver has fallback channels."""
        return bool(self._config.receiver(receiver).fallbacks)

    def plain(self, message: StoredMessage) -> Draft:
        """The plain form of all that the bundle of a message tells."""
        receipts = self._outbox.receipts_of(message.bundle)
        return Draft(
            receiver=message.receiver,
            group_key=message.group_key,
            lane=message.lane,
            form=Form.PLAIN,
            parts=tuple(self._rendered(Form.PLAIN, [[read(receipt) for receipt in receipts]], self._clock.unix())),
            receipts=tuple(receipt.id for receipt in receipts),
            received_at=message.received_at,
        )

    def bury(self, message: int, receiver: str, *, outcome: str, detail: str) -> None:
        """Make a dead letter of a message."""
        buried = self._outbox.message(message) if self._traces.on else None
        self._outbox.bury(message, outcome=outcome, detail=detail)
        if buried is not None:
            self._traces.ended(buried, self.behind(buried), state=MessageState.DEAD, robot=buried.robot, attempts=buried.attempts)
        self._log.write(Event.DEAD_LETTER, subject=receiver, words=outcome)

    def behind(self, message: StoredMessage) -> list[TraceIds]:
        """The spans of what a message tells; none where there are no traces."""
        if not self._traces.on:
            return []
        receipts = self._outbox.receipts_behind(message.bundle, limit=MAX_LINKS)
        return [receipt.trace for receipt in receipts if receipt.trace is not None]

    def status(self) -> Status:
        """How things are.

        Raises:
            StoreUnavailable: the outbox cannot be read.
        """
        now, rows, ages = self._clock.unix(), self._states.all(), self._ages()
        robots = {}
        for robot in self._config.robots:
            limit, row = self._limit(robot), rows[robot.name]
            robots[robot.name] = RobotStatus(
                state=row.state,
                until=row.until,
                detail=row.detail,
                headroom=max(0, limit.per_minute - rate.used(limit, ages[robot.name])),
                unreachable=self._reach.is_unreachable(robot.name),
            )
        return Status(now=now, depth=self._outbox.depth(), robots=robots, organisations=self._usages(now), writable=self._outbox.writable)

    def _recall(self, bundle: int, outgoing: Sequence[Outgoing]) -> bool:
        # Attempts that were made name the span of their message, so it is written, though another one tells it.
        tried = [part.id for part in outgoing if part.bundle == bundle and part.attempts] if self._traces.on else []
        messages = [message for part in tried if (message := self._outbox.message(part)) is not None]
        behind = {message.id: self.behind(message) for message in messages}
        recalled = self._outbox.recall(bundle)
        for message in messages if recalled else []:
            self._traces.ended(message, behind[message.id], state=MessageState.MERGED, robot=message.robot, attempts=message.attempts)
        return recalled

    # Writing down.

    def _put(self, bundle: Bundle, now: float) -> None:
        receipts = [self._outbox.waiting_receipts(group.receiver, group.group_key) for group in bundle.groups]
        groups = [[read(receipt) for receipt in group] for group in receipts if group]
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
            self._metrics.template_failed()
            self._log.write(Event.TEMPLATE_FAILED, words=why)
            parts = self._bare.plain(flat, now=now)
        return parts

    def _buried(self, part: Outgoing, situation: Situation) -> bool:
        tried = part.fallback_tries >= FALLBACK_TRIES or not self.has_fallback(part.receiver)
        if not (tried and plan.hopeless(part.receiver, situation)):
            return False
        self.bury(part.id, part.receiver, outcome=NO_ROBOT, detail="no robot of the receiver can send")
        return True

    def _purge(self) -> None:
        if self._clock.monotonic() - self._purged_at >= PURGE_EVERY:
            self._purged_at = self._clock.monotonic()
            self._outbox.purge(keep=self._config.keep_days * quota.DAY)

    # Looking.

    def _situation(self, now: float, busy: frozenset[str], steps: dict[str, Degradation], receivers: set[str]) -> Situation:
        rows, ages = self._states.all(), self._ages()
        robots = {}
        for robot in self._config.robots:
            name, row = robot.name, rows[robot.name]
            out = row.state is not RobotState.OK and row.until > now
            robots[name] = RobotView(
                name=name,
                limit=self._limit(robot),
                usable=not out and not self._reach.is_paused(name),
                hopeless=out and row.state is not RobotState.BANNED,
                busy=name in busy,
                probing=row.state is not RobotState.OK or self._reach.is_unreachable(name),
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
        # The last two minutes, and what of the reserve was used in them.
        return self._outbox.ages({robot.name: 2 * robot.per_minute + 1 for robot in self._config.robots})

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
            robots = {robot.name for robot in self._config.robots if robot.organisation == name}
            kind = Notice.RESTORED if step is Degradation.NONE else Notice.DEGRADED
            self._notices.say_by(robots, kind, organisation=name, step=int(step))
        return steps
