"""DingTalk's side of /robot/send: every rule in its order, from a call to its answer."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dingtalk.simulator import answer, errcode
from dingtalk.simulator.ban import Ban
from dingtalk.simulator.call import check
from dingtalk.simulator.egress import EgressGate
from dingtalk.simulator.fault import FaultKind, Faults
from dingtalk.simulator.history import Attempt, History, Message, Outcome
from dingtalk.simulator.journal import Deed, Entry, NullJournal
from dingtalk.simulator.memory import UuidMemory
from dingtalk.simulator.mentions import mentions
from dingtalk.simulator.quota import MonthlyQuota, month_of
from dingtalk.simulator.window import Window, new_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dingtalk.clock import Clock
    from dingtalk.simulator.answer import Answer
    from dingtalk.simulator.bodies import Body
    from dingtalk.simulator.call import Call
    from dingtalk.simulator.fault import Fault
    from dingtalk.simulator.journal import Journal
    from dingtalk.simulator.settings import Robot, Settings

_TITLE_LENGTH = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the caller gets after `delay` seconds; without an answer the connection is closed then."""

    answer: Answer | None
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotFacts:
    """How a robot stands."""

    name: str
    group: str
    organisation: str
    banned_seconds: float
    window_used: int
    window_limit: int
    quota_used: int
    quota_limit: int


@dataclass(slots=True)
class _State:
    window: Window
    ban: Ban = field(default_factory=Ban)


@dataclass(slots=True, kw_only=True)
class _Decision:
    outcome: Outcome
    answer: Answer | None
    counted: bool = False
    message: int | None = None
    body: Body | None = None
    faults: list[Fault] = field(default_factory=list)


class UnknownRobot(LookupError):
    """No robot has this name."""


class RobotServer:
    """All robots of the settings, with what they remember. Not for several threads.

    A call passes these rules: the network address's limit, the token, the robot's ban, faults that do not deliver, the
    robot's and the body's own checks, the window, the quota, the memory of `msgUuid`, and faults that deliver.

    Args:
        settings: robots and rules.
        clock: both clocks.
        journal: where every call is written.
        make_uuid: for answers that carry one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        journal: Journal | None = None,
        make_uuid: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.settings = settings
        self.scale = settings.scale
        self.history = History(settings.keep)
        self.faults = Faults()
        self._clock = clock
        self._journal = journal or NullJournal()
        self._make_uuid = make_uuid
        self._robots = {robot.name: robot for robot in settings.robots}
        self._by_token = {robot.token.get_secret_value(): robot for robot in settings.robots}
        self._states = {name: self._new_state() for name in self._robots}
        self._quota = MonthlyQuota()
        self._egress = EgressGate(settings.ip_limit)
        self._memory = UuidMemory(settings.keep)

    def receive(self, call: Call) -> Verdict:
        """Decide one call, and keep what became of it."""
        monotonic, unix = self._clock.monotonic(), self._clock.unix()
        robot = self._by_token.get(call.token)
        decision = self._decide(call, robot, monotonic, unix)
        slow = None if robot is None else self.faults.take(robot.name, slow=True, delivers=True)
        used = [*decision.faults, *([slow] if slow else [])]
        delay = sum(fault.delay for fault in used)
        body, got = decision.body, decision.answer
        attempt = Attempt(
            index=self.history.next_attempt,
            received=unix,
            robot=robot.name if robot else None,
            client=call.client,
            outcome=decision.outcome,
            counted=decision.counted,
            http_status=got.status if got else None,
            errcode=got.errcode if got else None,
            errmsg=got.errmsg if got else None,
            fault=tuple(fault.kind for fault in used),
            delay=delay,
            message=decision.message,
            msgtype=body.msgtype if body else "",
            title=(body.title or body.text)[:_TITLE_LENGTH] if body else "",
            msg_uuid=body.msg_uuid if body else "",
            body_bytes=call.body_bytes,
        )
        self.history.note(attempt)
        shown = decision.message is not None and decision.outcome is Outcome.DELIVERED
        self._write(Entry(at=unix, attempt=attempt, message=next(self.history.newest_messages()) if shown else None))
        return Verdict(answer=got, delay=delay)

    def _decide(self, call: Call, robot: Robot | None, monotonic: float, unix: float) -> _Decision:
        settings = self.settings
        width, block = settings.ip_window_seconds * self.scale, settings.ip_block_seconds * self.scale
        if not self._egress.admit(call.client, monotonic, width=width, block=block):
            return _Decision(outcome=Outcome.BLOCKED, answer=answer.punished(settings.ip_answer, self._make_uuid()))
        if robot is None:
            return _Decision(outcome=Outcome.REFUSED, answer=answer.refused(errcode.unknown_token(settings.wording)))
        state = self._states[robot.name]
        if state.ban.remaining(monotonic, self._ban_seconds):
            if settings.ban_prolonged:
                state.ban.start(monotonic)
            return _Decision(outcome=Outcome.BANNED, answer=answer.punished(settings.ban_answer, self._make_uuid()))
        fault = self.faults.take(robot.name, slow=False, delivers=False)
        if fault is not None:
            return _Decision(outcome=Outcome.FAULT, answer=fault.answer(), faults=[fault])
        return self._answer(call, robot, monotonic, unix)

    def _answer(self, call: Call, robot: Robot, monotonic: float, unix: float) -> _Decision:
        settings, state = self.settings, self._states[robot.name]
        body, refusal = check(call, robot, settings, now=unix)
        counted = refusal is None or settings.counts_refused
        if counted:
            if not state.window.admit(monotonic, self._window_seconds):
                state.ban.start(monotonic)
                told = answer.refused(errcode.too_fast(settings.throttle_code, settings.limit))
                return _Decision(outcome=Outcome.THROTTLED, answer=told, body=body)
            if self._quota.used(robot.organisation, unix) >= settings.quota_of(robot.organisation):
                return _Decision(outcome=Outcome.OVER_QUOTA, answer=answer.refused(errcode.WEBHOOK_OVER_LIMIT), body=body)
            self._quota.count(robot.organisation, unix)
        if refusal is not None:
            return _Decision(outcome=Outcome.REFUSED, answer=answer.refused(refusal), counted=counted, body=body)
        assert body is not None
        return self._deliver(call, robot, body, monotonic, unix)

    def _deliver(self, call: Call, robot: Robot, body: Body, monotonic: float, unix: float) -> _Decision:
        known = self._memory.recall(robot.name, body.msg_uuid, monotonic, self._memory_seconds) if body.msg_uuid else None
        if known is not None:
            self.history.repeated(known)
            outcome, index = Outcome.DUPLICATE, known
        else:
            outcome, index = Outcome.DELIVERED, self.history.next_message
            found = mentions(body, self.settings.members_of(robot.group), self.settings.max_mentions)
            message = Message(
                index=index,
                robot=robot.name,
                group=robot.group,
                received=unix,
                msgtype=body.msgtype,
                title=body.title,
                text=body.text,
                links=body.links,
                side_by_side=body.side_by_side,
                mentions=found,
                msg_uuid=body.msg_uuid,
                body_bytes=call.body_bytes,
            )
            self.history.show(message)
            if body.msg_uuid:
                self._memory.keep(robot.name, body.msg_uuid, monotonic, index)
        fault = self.faults.take(robot.name, slow=False, delivers=True)
        return _Decision(
            outcome=outcome,
            answer=answer.ok() if fault is None else fault.answer(),
            counted=True,
            message=index,
            body=body,
            faults=[] if fault is None else [fault],
        )

    def facts(self) -> Sequence[RobotFacts]:
        """How every robot stands."""
        monotonic, unix = self._clock.monotonic(), self._clock.unix()
        return [
            RobotFacts(
                name=robot.name,
                group=robot.group,
                organisation=robot.organisation,
                banned_seconds=self._states[robot.name].ban.remaining(monotonic, self._ban_seconds),
                window_used=self._states[robot.name].window.used(monotonic, self._window_seconds),
                window_limit=self.settings.limit,
                quota_used=self._quota.used(robot.organisation, unix),
                quota_limit=self.settings.quota_of(robot.organisation),
            )
            for robot in self._robots.values()
        ]

    def set_fault(self, fault: Fault) -> Fault:
        """Set a fault; a slow answer always delivers.

        Raises:
            UnknownRobot: it is for a robot that does not exist.
            OverflowError: there are too many.
        """
        if fault.robot is not None:
            self._robot(fault.robot)
        return self.faults.add(replace(fault, delivers=True) if fault.kind is FaultKind.SLOW else fault)

    def ban(self, robot: str) -> None:
        """Ban a robot now, as if it had sent too fast.

        Raises:
            UnknownRobot: there is none of this name.
        """
        self._state(robot).ban.start(self._clock.monotonic())
        self._write(Entry(at=self._clock.unix(), deed=Deed.BAN, robot=robot))

    def lift_ban(self, robot: str) -> None:
        """End a robot's ban, and empty its window.

        Raises:
            UnknownRobot: there is none of this name.
        """
        self._lift(robot)
        self._write(Entry(at=self._clock.unix(), deed=Deed.LIFT, robot=robot))

    def block(self, address: str) -> None:
        """Block a network address now."""
        self._egress.block(address, self._clock.monotonic())

    def reset(self) -> None:
        """Forget messages, calls, windows, bans, quota, memory and faults, and take the scale of the settings; numbers go on."""
        self._forget()
        self.faults.clear()
        self.scale = self.settings.scale
        self._write(Entry(at=self._clock.unix(), deed=Deed.RESET))

    def restore(self, entries: Iterable[Entry]) -> None:
        """Become what a simulator with this journal was, as of now. Faults, blocks and a changed scale are not restored."""
        offset = self._clock.monotonic() - self._clock.unix()
        for entry in entries:
            at = entry.at + offset
            if entry.next_message is not None and entry.next_attempt is not None:
                self.history.next_message, self.history.next_attempt = entry.next_message, entry.next_attempt
            for organisation, (_, calls) in entry.used.items():
                self._quota.count(organisation, entry.at, calls)
            if entry.deed is not None:
                self._restore_deed(entry.deed, entry.robot, at)
            if entry.bans is not None:
                for name, state in self._states.items():
                    state.ban.since = entry.bans[name] + offset if name in entry.bans else None
            if entry.message is not None:
                self._restore_message(entry.message, at)
            if entry.attempt is not None:
                self._restore_attempt(entry.attempt, at)

    def _restore_deed(self, deed: Deed, robot: str | None, at: float) -> None:
        if deed is Deed.RESET:
            self._forget()
        elif robot in self._robots:
            if deed is Deed.BAN:
                self._states[robot].ban.start(at)
            else:
                self._lift(robot)

    def _restore_message(self, message: Message, at: float) -> None:
        self.history.show(message)
        if message.msg_uuid:
            self._memory.keep(message.robot, message.msg_uuid, at, message.index)

    def _restore_attempt(self, attempt: Attempt, at: float) -> None:
        self.history.note(attempt)
        if attempt.outcome is Outcome.DUPLICATE and attempt.message is not None:
            self.history.repeated(attempt.message)
        robot = self._robots.get(attempt.robot or "")
        if robot is None:
            return
        state = self._states[robot.name]
        if attempt.counted:
            state.window.admit(at, self._window_seconds)
            self._quota.count(robot.organisation, attempt.received)
        if attempt.outcome is Outcome.THROTTLED or (attempt.outcome is Outcome.BANNED and self.settings.ban_prolonged):
            state.ban.start(at)

    def _write(self, entry: Entry) -> None:
        if self._journal.append(entry):
            self._journal.rewrite(self._summary())

    def _summary(self) -> Iterator[Entry]:
        """Entries from which `restore` makes this state again; a window has of its calls those that are kept."""
        messages, attempts = list(self.history.messages()), list(self.history.attempts())
        unix = self._clock.unix()
        newest = {
            organisation: (month, calls - self._counted_among(attempts, organisation, month))
            for organisation, (month, calls) in self._quota.totals().items()
            if month == month_of(unix)
        }
        yield Entry(
            at=unix,
            used=newest,
            next_message=messages[0].index if messages else self.history.next_message,
            next_attempt=attempts[0].index if attempts else self.history.next_attempt,
        )
        repeats = Counter(attempt.message for attempt in attempts if attempt.outcome is Outcome.DUPLICATE)
        # Messages first: a call that repeats one finds it, and adds to what is left of its count.
        for message in messages:
            yield Entry(at=message.received, message=replace(message, duplicates=message.duplicates - repeats[message.index]))
        for attempt in attempts:
            yield Entry(at=attempt.received, attempt=attempt)
        offset = unix - self._clock.monotonic()
        bans = {name: state.ban.since + offset for name, state in self._states.items() if state.ban.since is not None}
        yield Entry(at=unix, bans=bans)

    def _counted_among(self, attempts: Iterable[Attempt], organisation: str, month: str) -> int:
        of = {name for name, robot in self._robots.items() if robot.organisation == organisation}
        return sum(attempt.counted and attempt.robot in of and month_of(attempt.received) == month for attempt in attempts)

    def _forget(self) -> None:
        self.history.clear()
        self._states = {name: self._new_state() for name in self._robots}
        self._quota = MonthlyQuota()
        self._egress.clear()
        self._memory.clear()

    def _lift(self, robot: str) -> None:
        self._states[self._robot(robot).name] = self._new_state()

    def _new_state(self) -> _State:
        return _State(new_window(self.settings.window_kind, self.settings.limit))

    def _robot(self, name: str) -> Robot:
        try:
            return self._robots[name]
        except KeyError:
            raise UnknownRobot(name) from None

    def _state(self, name: str) -> _State:
        return self._states[self._robot(name).name]

    @property
    def journal_failed(self) -> str:
        """Why the journal is behind; empty when it is not."""
        return self._journal.failed

    @property
    def _window_seconds(self) -> float:
        return self.settings.window_seconds * self.scale

    @property
    def _ban_seconds(self) -> float:
        return self.settings.ban_seconds * self.scale

    @property
    def _memory_seconds(self) -> float:
        return self.settings.uuid_memory_seconds * self.scale
