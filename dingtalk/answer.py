"""Pure: what a robot's answer means, as one of a closed set. Codes are matched first, then texts, which changed over the years.

A business error has HTTP status 200. A robot that is silenced answers with a redirect, a page, or JSON without `errcode`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dingtalk.rate import BAN

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(StrEnum):
    """What became of one attempt, and so what is done next."""

    DELIVERED = "delivered"
    """It stands in the group."""
    RETRY = "retry"
    """Again later, with the same msgUuid; where it may have arrived, at the same robot."""
    THROTTLED = "throttled"
    """The robot is silenced: wait it out, another one of the pool goes on."""
    ROBOT_DEAD = "robot_dead"
    """The robot or its group is gone: another one of the pool."""
    CONTENT_BLOCKED = "content_blocked"
    """DingTalk does not like the content: once more without links, images and words of annotations."""
    TOO_BIG = "too_big"
    """Too many bytes: once more in smaller parts."""
    OVER_QUOTA = "over_quota"
    """The month's calls are used: another channel."""
    MISCONFIGURED = "misconfigured"
    """Keyword, signature, clock or address list: someone has to mend it; another one of the pool meanwhile."""
    MALFORMED = "malformed"
    """Our mistake: once more as plain text."""


class Cause(StrEnum):
    """Which part of a robot's set-up is wrong."""

    KEYWORD = "keyword"
    CLOCK = "clock"
    SIGNATURE = "signature"
    ADDRESS = "address"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One attempt's end.

    Attributes:
        ambiguous: it may stand in the group nevertheless.
        code: DingTalk's `errcode`; None where there was none.
        detail: for people: DingTalk's words, or what came instead. Never the token.
        cause: for `misconfigured`.
        pause: seconds for which the robot is left alone, before `Config.scale`.
        clock_skew: seconds our clock is ahead of DingTalk's; None when it did not tell.
    """

    outcome: Outcome
    ambiguous: bool = False
    code: int | None = None
    detail: str = ""
    cause: Cause | None = None
    pause: float = 0.0
    clock_skew: float | None = None


PLATFORM_PAUSE = 60.0
"""After a limit that counts all robots or all customers."""
MAX_DETAIL = 200

_CODES: dict[int, Outcome] = {
    0: Outcome.DELIVERED,
    -1: Outcome.RETRY,
    40035: Outcome.MALFORMED,
    43004: Outcome.MALFORMED,
    90002: Outcome.THROTTLED,
    90018: Outcome.THROTTLED,
    90020: Outcome.OVER_QUOTA,
    90030: Outcome.OVER_QUOTA,
    101002: Outcome.TOO_BIG,
    130101: Outcome.THROTTLED,
    130102: Outcome.THROTTLED,
    130103: Outcome.THROTTLED,
    300005: Outcome.ROBOT_DEAD,
    310000: Outcome.MISCONFIGURED,
    400013: Outcome.ROBOT_DEAD,
    400101: Outcome.ROBOT_DEAD,
    400102: Outcome.ROBOT_DEAD,
    400105: Outcome.MALFORMED,
    400106: Outcome.ROBOT_DEAD,
    400403: Outcome.MALFORMED,
    410100: Outcome.THROTTLED,
    430101: Outcome.CONTENT_BLOCKED,
    430102: Outcome.CONTENT_BLOCKED,
    430103: Outcome.CONTENT_BLOCKED,
    430104: Outcome.CONTENT_BLOCKED,
    460101: Outcome.TOO_BIG,
}
_PLATFORM = frozenset({90002, 90018})
# 300001 was used for several things, so its text decides; so it is with codes that are not in the table.
_TEXTS: tuple[tuple[Outcome, tuple[str, ...]], ...] = (
    (Outcome.THROTTLED, ("too fast", "toofast", "限流", "速度太快", "qpslimit")),
    (Outcome.OVER_QUOTA, ("over limit", "apicountlimit", "超出调用量", "额度")),
    (Outcome.ROBOT_DEAD, ("token is not exist", "token 不存在", "token不存在", "停用", "解散", "机器人不存在")),
    (Outcome.MISCONFIGURED, ("keywords not in content", "关键词", "timestamp", "sign not match", "签名", "whitelist", "白名单")),
    (Outcome.TOO_BIG, ("大小不合法", "too long")),
    (Outcome.CONTENT_BLOCKED, ("不安全", "不合适")),
    (Outcome.MALFORMED, ("param", "参数", "is null", "不支持的消息类型", "content-type")),
)
_CAUSES: tuple[tuple[Cause, tuple[str, ...]], ...] = (
    (Cause.KEYWORD, ("keyword", "关键词")),
    (Cause.SIGNATURE, ("sign not match", "签名不匹配")),
    (Cause.CLOCK, ("timestamp", "时间戳")),
    (Cause.SIGNATURE, ("sign", "签名")),
    (Cause.ADDRESS, ("whitelist", "白名单")),
)


def classify(*, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """What an answer means.

    Args:
        status: of HTTP.
        headers: with names in lower case.
        body: the answer, or its beginning.
    """
    answer = _json_object(body)
    if 300 <= status < 400:
        return _silenced(f"HTTP {status}, as a silenced robot answers")
    if answer is not None and "errcode" in answer:
        return _by_code(answer)
    if status >= 500:
        return Answer(outcome=Outcome.RETRY, ambiguous=True, detail=f"HTTP {status}")
    return _without_code(status, answer) if answer is not None else _unreadable(status, headers, body)


def unanswered(what: str, *, sent: bool) -> Answer:
    """No answer came.

    Args:
        what: the kind of failure, as words without the address.
        sent: whether DingTalk may have received the message.
    """
    return Answer(outcome=Outcome.RETRY, ambiguous=sent, detail=what)


def _by_code(answer: Mapping[str, object]) -> Answer:
    code = _number(answer["errcode"])
    text = str(answer.get("errmsg") or "")
    if code == 0:
        return Answer(outcome=Outcome.DELIVERED, code=0)
    outcome = None if code is None else _CODES.get(code)
    if outcome is None:
        outcome = _by_text(text) or Outcome.RETRY
    detail = text[:MAX_DETAIL]
    if outcome is Outcome.THROTTLED:
        return Answer(outcome=outcome, code=code, detail=detail, pause=PLATFORM_PAUSE if code in _PLATFORM else BAN)
    return Answer(
        outcome=outcome,
        # "Busy" does not say whether it was before or after the message was put into the group.
        ambiguous=code == -1 or code is None,
        code=code,
        detail=detail,
        cause=_cause(text) if outcome is Outcome.MISCONFIGURED else None,
    )


def _without_code(status: int, answer: Mapping[str, object]) -> Answer:
    outcome = _by_text(json.dumps(answer, ensure_ascii=False))
    if status >= 400 and outcome is not None and outcome is not Outcome.THROTTLED:
        return Answer(outcome=outcome, detail=f"HTTP {status}", cause=Cause.OTHER if outcome is Outcome.MISCONFIGURED else None)
    return _silenced(f"HTTP {status} with JSON without errcode, as a silenced robot answers")


def _unreadable(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    if _is_page(headers, body):
        return _silenced(f"HTTP {status} with a page, as a blocked address is answered")
    if status == 413:
        return Answer(outcome=Outcome.TOO_BIG, detail="HTTP 413")
    if status == 429:
        return _silenced("HTTP 429")
    if status == 408 or status < 300:
        return Answer(outcome=Outcome.RETRY, ambiguous=True, detail=f"HTTP {status} with an answer that cannot be read")
    return Answer(outcome=Outcome.MISCONFIGURED, cause=Cause.OTHER, detail=f"HTTP {status}; is the robot's address right?")


def _silenced(detail: str) -> Answer:
    return Answer(outcome=Outcome.THROTTLED, detail=detail, pause=BAN)


def _json_object(body: bytes) -> Mapping[str, object] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _number(value: object) -> int | None:
    """The code, also where it is written as text, as in DingTalk's own example."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _by_text(text: str) -> Outcome | None:
    low = text.lower()
    return next((outcome for outcome, words in _TEXTS if any(word in low for word in words)), None)


def _cause(text: str) -> Cause:
    low = text.lower()
    return next((cause for cause, words in _CAUSES if any(word in low for word in words)), Cause.OTHER)


def _is_page(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "").lower() or body.lstrip()[:1] == b"<"
