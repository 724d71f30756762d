"""Tries what a configuration says: templates with samples, robots with a test message."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

from dingtalk.answer import Cause, Outcome
from dingtalk.clock import Clock
from dingtalk.message import Renderer
from dingtalk.notice import Notice
from dingtalk.robot import RobotClient, robot_http_client
from dingtalk.samples import samples
from dingtalk.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dingtalk.answer import Answer
    from dingtalk.config import Config

_EXPLAINED = {
    Outcome.RETRY: "DingTalk cannot be reached, or is busy; look at the network and try again",
    Outcome.THROTTLED: "the robot sent more than 20 messages in a minute and is silenced for up to ten; wait, or use more robots",
    Outcome.ROBOT_DEAD: "the robot does not exist any more, is switched off, or its group is gone; make a new one and give its token",
    Outcome.OVER_QUOTA: "the organisation has used its calls of this month; its administrator can buy more",
    Outcome.CONTENT_BLOCKED: "DingTalk blocks the text of the test message",
    Outcome.TOO_BIG: "DingTalk finds the test message too big",
    Outcome.MALFORMED: "DingTalk does not understand the message; this is a fault of the program",
    Outcome.MISCONFIGURED: "its security settings refuse the message; compare them with the configuration",
}
_CAUSES = {
    Cause.KEYWORD: "the robot wants one of its keywords in each message; give one as `keyword`",
    Cause.CLOCK: "this machine's clock differs from DingTalk's by more than an hour; set it right",
    Cause.SIGNATURE: "the signature does not fit; `secret` must be the robot's own, the text that begins with SEC",
    Cause.ADDRESS: "this machine's public address is not in the robot's list; add it there",
}


def template_faults(config: Config) -> list[str]:
    """What is wrong with the user's own templates; each fault once.

    Raises:
        ConfigError: their folder cannot be read.
    """
    now = time.time()
    return Renderer(config, Templates.load(config.templates)).faults(samples(now), now)


def robot_faults(config: Config, names: Sequence[str], *, say: Callable[[str], object]) -> list[str]:
    """Send a test message by each robot; what DingTalk had against it, in words.

    Args:
        config: where they stand.
        names: of the robots.
        say: is told of each that works.
    """
    return asyncio.run(_robot_faults(config, names, say))


async def _robot_faults(config: Config, names: Sequence[str], say: Callable[[str], object]) -> list[str]:
    clock = Clock()
    part = Renderer(config).notice(Notice.TEST, now=clock.unix())
    faults = []
    async with robot_http_client() as http:
        client = RobotClient(http, clock=clock)
        for name in names:
            robot = config.robot(name)
            answer = await client.send(robot, part.with_keyword(robot.keyword), uuid.uuid4().hex)
            if answer.outcome is Outcome.DELIVERED:
                say(f"robot {name}: the test message is in its group")
            else:
                faults.append(f"robot {name}: {_explained(answer)}")
    return faults


def _explained(answer: Answer) -> str:
    code = "" if answer.code is None else f" (errcode {answer.code})"
    words = _CAUSES.get(answer.cause) if answer.cause is not None else None
    return f"{answer.detail or answer.outcome.value}{code}; {words or _EXPLAINED[answer.outcome]}"
