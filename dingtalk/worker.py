"""Tells what waits: plans, sends, and records, one turn after the other.

All that must survive is in the store. Only what may be forgotten is kept here: which sends are under way.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from dingtalk.answer import Answer, Outcome
from dingtalk.delivery import Step, delay, next_step
from dingtalk.errors import StoreUnavailable
from dingtalk.log import Event
from dingtalk.notice import Notice
from dingtalk.notices import Notices
from dingtalk.outbox.rows import FALLBACK, MessageState
from dingtalk.part import MAX_BODY_BYTES
from dingtalk.plan import Form
from dingtalk.planner import Planner
from dingtalk.reach import Reach
from dingtalk.robot_states import RobotStates
from dingtalk.traces import NoTraces

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from dingtalk.clock import Clock
    from dingtalk.config import Config, Robot
    from dingtalk.fallback import Fallback
    from dingtalk.log import Log
    from dingtalk.metrics import Metrics
    from dingtalk.outbox.rows import StoredMessage
    from dingtalk.outbox.store import Outbox
    from dingtalk.plan import Outgoing
    from dingtalk.renders import Renders
    from dingtalk.robot import Sends
    from dingtalk.trace_ids import TraceIds
    from dingtalk.traces import Traces

TICK = 1.0
"""Seconds between turns when nothing happens."""
DEAD_LETTER_AGAIN = 600.0
"""Seconds until a receiver is told again that it has dead letters."""
RECORD_AGAIN = 1.0
"""Seconds until the end of an attempt that could not be stored is stored again."""


class Worker:
    """Delivers from one outbox.

    `planner` and `notices` are its parts that others ask too.

    Args:
        config: robots, receivers and quotas.
        outbox: what waits.
        client: sends.
        renderer: writes messages.
        fallback: tells elsewhere.
        metrics, log: what it does.
        clock: both clocks.
        traces: a span for each message and each attempt.
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
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces or NoTraces()
        self._config = config
        self._outbox = outbox
        self._client = client
        self._fallback = fallback
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self.notices = Notices(config, outbox=outbox, renderer=renderer, clock=clock)
        self._states = RobotStates(config, outbox=outbox, notices=self.notices, log=log, clock=clock)
        self._reach = Reach((robot.name for robot in config.robots), clock=clock, scale=config.scale)
        self.planner = Planner(
            config,
            outbox=outbox,
            states=self._states,
            reach=self._reach,
            notices=self.notices,
            renderer=renderer,
            metrics=metrics,
            log=log,
            clock=clock,
            traces=self._traces,
        )
        self._busy: set[str] = set()
        # Messages whose attempt is not over, also when the store has them waiting again.
        self._held: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

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
        """Plan once and begin what can be sent now; the number of sends begun. They go on after it returns: see `settle`.

        Raises:
            StoreUnavailable: the outbox cannot be read or written.
        """
        todo = await asyncio.to_thread(self.planner.turn, busy=frozenset(self._busy), held=frozenset(self._held))
        if self._stopping.is_set():
            return 0
        for part, message, robot in todo.sends:
            self._busy.add(robot)
            self._begin(self._send(part, message, self._config.robot(robot)), message.id, robot)
        for part, message in todo.stuck:
            self._begin(self._fall_back(part, message), message.id, None)
        return len(todo.sends) + len(todo.stuck)

    async def settle(self) -> None:
        """Wait until no send is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

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

    # One attempt.

    async def _send(self, part: Outgoing, message: StoredMessage, robot: Robot) -> None:
        send = await asyncio.to_thread(self._outbox.begin_send, message.id, robot=robot.name, organisation=robot.organisation)
        if send is None:
            return
        body = message.part.with_keyword(robot.keyword)
        size = len(body.body(message.msg_uuid))
        sent = size <= MAX_BODY_BYTES
        behind = await self._behind(message)
        began = self._clock.unix()
        if sent:
            answer = await self._client.send(robot, body, message.msg_uuid)
        else:
            answer = Answer(outcome=Outcome.TOO_BIG, detail=f"{size} bytes, not sent")
        self._metrics.attempted(robot.name, answer.outcome, clock_skew=answer.clock_skew)
        self._reach.note(robot.name, answer)
        self._traces.attempted(message, behind, robot=robot.name, answer=answer, began=began, ended=self._clock.unix())
        step = await self._recorded(lambda: self._record(part, message, robot.name, send, answer, counted=sent and _uses_quota(answer)))
        if step in {Step.DONE, Step.PLAINLY}:
            state = MessageState.DELIVERED if step is Step.DONE else MessageState.MERGED
            self._traces.ended(message, behind, state=state, robot=robot.name, attempts=message.attempts + 1)
        if step is Step.REFUSED:
            await self._refused(message, answer)

    async def _behind(self, message: StoredMessage) -> Sequence[TraceIds]:
        if not self._traces.on:
            return ()
        with contextlib.suppress(StoreUnavailable):
            # A trace is worth no attempt.
            return await asyncio.to_thread(self.planner.behind, message)
        return ()

    async def _recorded(self, record: Callable[[], Step]) -> Step | None:
        """Record the end of an attempt. While nothing can be stored this waits, and the robot with it; None when it ends before that."""
        while True:
            try:
                return await asyncio.to_thread(record)
            except StoreUnavailable:
                if self._stopping.is_set():
                    return None
                await _first(self._stopping, seconds=RECORD_AGAIN)

    def _record(self, part: Outgoing, message: StoredMessage, robot: str, send: int, answer: Answer, *, counted: bool) -> Step:
        step = next_step(answer, attempts=message.attempts + 1, plain=message.form in {Form.PLAIN, Form.NOTICE})
        if step is Step.DONE:
            self._told(message, send=send, robot=robot)
            self._states.is_well(robot)
            return step
        self._log.write(Event.SEND_FAILED, subject=robot, words=answer.outcome.value)
        if step is Step.PLAINLY:
            self._outbox.end_send(send, outcome=answer.outcome.value, counted=counted)
            self._outbox.replace(message.bundle, self.planner.plain(message))
            return step
        if step is Step.ELSEWHERE:
            self._states.is_out(robot, answer)
        pause = delay(message.attempts + 1, seed=message.msg_uuid) * self._config.scale if step is Step.AGAIN else 0.0
        self._outbox.postpone(
            message.id,
            send=send,
            counted=counted,
            outcome=answer.outcome.value,
            detail=answer.detail,
            next_attempt_at=self._clock.unix() + pause,
            pinned=_pinned(part.pinned, robot, answer, step),
        )
        return step

    def _told(self, message: StoredMessage, *, send: int | None, robot: str) -> None:
        now = self._clock.unix()
        for told in self._outbox.delivered(message.id, send=send, robot=robot):
            self._metrics.delivered(told.severity, now - told.received_at)

    # Without robots.

    async def _fall_back(self, part: Outgoing, message: StoredMessage) -> None:
        if await self._told_elsewhere(message):
            return
        pause = delay(part.fallback_tries + 1, seed=message.msg_uuid) * self._config.scale
        await asyncio.to_thread(
            self._outbox.postpone,
            message.id,
            send=None,
            counted=False,
            outcome=message.outcome,
            detail=message.detail,
            next_attempt_at=self._clock.unix() + pause,
            pinned=part.pinned,
            fallback_failed=True,
        )

    async def _refused(self, message: StoredMessage, answer: Answer) -> None:
        """No robot will ever take it: elsewhere at once, or it is a dead letter."""
        receiver = message.receiver
        if self.planner.has_fallback(receiver) and await self._told_elsewhere(message):
            return
        await asyncio.to_thread(self.planner.bury, message.id, receiver, outcome=answer.outcome.value, detail=answer.detail)
        if message.form is not Form.NOTICE:
            await asyncio.to_thread(self._say_dead_letters, receiver)

    def _say_dead_letters(self, receiver: str) -> None:
        count = self._outbox.depth().dead
        self.notices.say_seldom(receiver, Notice.DEAD_LETTER, pause=DEAD_LETTER_AGAIN, receiver=receiver, count=count)

    async def _told_elsewhere(self, message: StoredMessage) -> bool:
        taken = False
        with contextlib.suppress(Exception):
            # A fallback that fails, in whatever way, has not told it.
            taken = await self._fallback.send(self._config.receiver(message.receiver).fallbacks, message.part)
        self._metrics.attempted(FALLBACK, Outcome.DELIVERED if taken else Outcome.RETRY)
        if taken:
            behind = await self._behind(message)
            await asyncio.to_thread(lambda: self._told(message, send=None, robot=FALLBACK))
            self._traces.ended(message, behind, state=MessageState.DELIVERED, robot=FALLBACK, attempts=message.attempts)
        return taken


def _pinned(before: str, robot: str, answer: Answer, step: Step) -> str:
    """The robot that may have sent it: one that is gone will not recognise it, so it does not hold a message."""
    if answer.ambiguous:
        return robot
    gone = step is Step.ELSEWHERE and answer.outcome is not Outcome.THROTTLED
    return "" if gone and before == robot else before


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
