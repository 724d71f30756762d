"""Pure: what is done with a message after an attempt, and how long until the next one."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from dingtalk.answer import Answer, Outcome

MAX_REFUSALS = 10
"""After so many refusals for a reason we do not know, it is the message."""
FIRST_DELAY = 1.0
LONGEST_DELAY = 300.0


class Step(StrEnum):
    """What happens next."""

    DONE = "done"
    AGAIN = "again"
    """Later, the same message."""
    ELSEWHERE = "elsewhere"
    """The same message, at once, by another robot if there is one; this one is left alone."""
    PLAINLY = "plainly"
    """The same alerts as plain text."""
    REFUSED = "refused"
    """No robot will take it: the fallback channels, or a dead letter."""


_STEPS = {
    Outcome.DELIVERED: Step.DONE,
    Outcome.RETRY: Step.AGAIN,
    Outcome.THROTTLED: Step.ELSEWHERE,
    Outcome.ROBOT_DEAD: Step.ELSEWHERE,
    Outcome.OVER_QUOTA: Step.ELSEWHERE,
    Outcome.MISCONFIGURED: Step.ELSEWHERE,
    Outcome.CONTENT_BLOCKED: Step.PLAINLY,
    Outcome.TOO_BIG: Step.PLAINLY,
    Outcome.MALFORMED: Step.PLAINLY,
}


def next_step(answer: Answer, *, attempts: int, plain: bool) -> Step:
    """What an answer asks for.

    Args:
        answer: to the attempt.
        attempts: made with this message, this one included.
        plain: whether it is the plain form already.
    """
    step = _STEPS[answer.outcome]
    if step is Step.AGAIN and answer.code is not None and not answer.ambiguous and attempts >= MAX_REFUSALS:
        step = Step.PLAINLY
    return Step.REFUSED if step is Step.PLAINLY and plain else step


def delay(attempts: int, *, seed: str) -> float:
    """Seconds until the attempt after `attempts` of them: doubled each time up to five minutes, and spread by up to a fifth."""
    spread = int.from_bytes(hashlib.blake2b(f"{seed}{attempts}".encode(), digest_size=2).digest()) / 0xFFFF
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempts - 1, 16)) * (0.8 + 0.2 * spread)
