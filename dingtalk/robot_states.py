"""What each robot is, over restarts: well, silenced, gone, misconfigured or over its quota; and until when it is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dingtalk import quota, rate
from dingtalk.answer import Answer, Outcome
from dingtalk.log import Event
from dingtalk.notice import Notice
from dingtalk.outbox.rows import RobotRow, RobotState

if TYPE_CHECKING:
    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.log import Log
    from dingtalk.notices import Notices
    from dingtalk.outbox.store import Outbox

DEAD_PAUSE = 3600.0
"""Seconds until a dead robot is tried again: it may have been switched on."""
MISCONFIGURED_PAUSE = 300.0
_LONGEST_MONTH = 31 * quota.DAY
_STATES = {
    Outcome.THROTTLED: RobotState.BANNED,
    Outcome.ROBOT_DEAD: RobotState.DEAD,
    Outcome.MISCONFIGURED: RobotState.MISCONFIGURED,
    Outcome.OVER_QUOTA: RobotState.OVER_QUOTA,
}
_SAYINGS = {
    RobotState.BANNED: Notice.ROBOT_BANNED,
    RobotState.DEAD: Notice.ROBOT_DEAD,
    RobotState.MISCONFIGURED: Notice.ROBOT_MISCONFIGURED,
}


class RobotStates:
    """Blocking, since it is in the outbox.

    Args:
        config: the robots.
        outbox: where it is kept.
        notices: a change is said in a group.
        log: and written down.
        clock: its wall half is used.
    """

    def __init__(self, config: Config, *, outbox: Outbox, notices: Notices, log: Log, clock: Clock) -> None:
        self._names = [robot.name for robot in config.robots]
        self._outbox = outbox
        self._notices = notices
        self._log = log
        self._clock = clock
        self._scale = config.scale
        self._zone = ZoneInfo(config.time_zone)

    def all(self) -> dict[str, RobotRow]:
        """What each of them is. One that is out past its time is tried again."""
        rows, now = self._outbox.robots(), self._clock.unix()
        return {name: self._without_jump(rows.get(name, RobotRow()), now) for name in self._names}

    def is_well(self, robot: str) -> None:
        """It told a message."""
        self._change(robot, RobotRow())

    def is_out(self, robot: str, answer: Answer) -> None:
        """It cannot tell any, as its answer says."""
        now = self._clock.unix()
        state = _STATES[answer.outcome]
        if state is RobotState.BANNED:
            until = now + answer.pause * self._scale
        elif state is RobotState.OVER_QUOTA:
            until = quota.month(now, self._zone)[1]
        else:
            until = now + self._longest(state)
        cause = f"{answer.cause.value}: " if answer.cause is not None else ""
        self._change(robot, RobotRow(state=state, until=until, detail=f"{cause}{answer.detail}"))

    def _change(self, robot: str, row: RobotRow) -> None:
        before = self._outbox.robots().get(robot, RobotRow())
        if before == row:
            return
        self._outbox.set_robot(robot, row)
        if before.state is row.state:
            return
        self._log.write(Event.ROBOT_CHANGED, subject=robot, words=row.state.value)
        if row.state is RobotState.OK and before.state in {RobotState.DEAD, RobotState.MISCONFIGURED}:
            self._notices.say_by({robot}, Notice.ROBOT_BACK, robot=robot)
        elif row.state in _SAYINGS:
            well = {name for name, other in self.all().items() if other.state is RobotState.OK}
            seconds = max(0.0, row.until - self._clock.unix())
            self._notices.say_by(well, _SAYINGS[row.state], robot=robot, reason=row.detail, seconds=seconds)

    def _without_jump(self, row: RobotRow, now: float) -> RobotRow:
        """An end that lies further ahead than any pause is none: the clock was set back since."""
        return row if row.until - now <= self._longest(row.state) else replace(row, until=now)

    def _longest(self, state: RobotState) -> float:
        pauses = {RobotState.BANNED: rate.BAN, RobotState.DEAD: DEAD_PAUSE, RobotState.MISCONFIGURED: MISCONFIGURED_PAUSE}
        return pauses[state] * self._scale if state in pauses else _LONGEST_MONTH
