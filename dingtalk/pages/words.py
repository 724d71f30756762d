"""Pure: the Chinese words of the pages for what the program calls in English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.answer import Outcome
from dingtalk.notice import DEGRADATION_WORDS
from dingtalk.outbox.rows import FALLBACK, NO_ROBOT, MessageState, RobotState
from dingtalk.plan import Form, Lane
from dingtalk.watch.silence import BoxState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STATES: Mapping[MessageState, str] = {
    MessageState.WAITING: "等待",
    MessageState.SENDING: "发送中",
    MessageState.DELIVERED: "已送达",
    MessageState.MERGED: "已并入",
    MessageState.DEAD: "未送达",
}
ROBOT_STATES: Mapping[RobotState, str] = {
    RobotState.OK: "正常",
    RobotState.BANNED: "被限流",
    RobotState.DEAD: "失效",
    RobotState.MISCONFIGURED: "配置错误",
    RobotState.OVER_QUOTA: "配额用完",
}
UNREACHABLE = "连不上"
BOX_STATES: Mapping[BoxState, str] = {
    BoxState.OK: "正常",
    BoxState.UNHEARD: "还没有心跳",
    BoxState.SILENT: "失联",
    BoxState.MAINTENANCE: "维护中",
    BoxState.CLOCK_WRONG: "时钟不符",
}
LANES: Mapping[Lane, str] = {Lane.CRITICAL: "严重", Lane.NORMAL: "普通"}
FORMS: Mapping[Form, str] = {Form.GROUP: "逐组", Form.DIGEST: "汇总", Form.PLAIN: "纯文本", Form.NOTICE: "通知器自己的话"}
RECEIPTS: Mapping[str, str] = {
    "waiting": "等待",
    "planned": "已写成消息",
    "told": "已送达",
    "unsaid": "为省配额未重复",
    "dead": "未送达",
}
OUTCOMES: Mapping[str, str] = {
    Outcome.DELIVERED: "已送达",
    Outcome.RETRY: "稍后重试",
    Outcome.THROTTLED: "被限流",
    Outcome.ROBOT_DEAD: "机器人失效",
    Outcome.CONTENT_BLOCKED: "内容被拒绝",
    Outcome.TOO_BIG: "过长",
    Outcome.OVER_QUOTA: "配额用完",
    Outcome.MISCONFIGURED: "配置错误",
    Outcome.MALFORMED: "格式被拒绝",
    NO_ROBOT: "没有可用的机器人",
    "unknown": "进程中断，结果不明",
}
UNDER_WAY = "发送中"
FALLBACK_WORDS = "备用通道"


def outcome(value: str | None) -> str:
    """What became of an attempt; None while it is under way. One that another version knows stays as it is."""
    return UNDER_WAY if value is None else OUTCOMES.get(value, value)


def robot(name: str) -> str:
    """A robot, or what stands for one."""
    return FALLBACK_WORDS if name == FALLBACK else name


FILTERS: Mapping[str, Callable[..., object]] = {"outcome": outcome, "robot": robot}
NAMES: Mapping[str, object] = {
    "states": STATES,
    "robot_states": ROBOT_STATES,
    "unreachable": UNREACHABLE,
    "box_states": BOX_STATES,
    "lanes": LANES,
    "forms": FORMS,
    "receipt_states": RECEIPTS,
    "steps": DEGRADATION_WORDS,
}
"""What templates call them."""
