"""Pure: what the notifier says of itself, in fixed words."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from dingtalk import wording
from dingtalk.alert import Severity
from dingtalk.escape import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

DEGRADATION_WORDS = {
    0: "正常发送",
    1: "不再重复提醒",
    2: "只发汇总，不再重复提醒",
    3: "只发严重告警，其余留在队列",
}
_UNKNOWN = "未知"
_CRITICAL, _WARNING, _INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


class Notice(Enum):
    """What it may say: English name, urgency, headline, sentence. The names in braces are its facts."""

    DEGRADED = ("NotifierDegraded", _WARNING, "通知器降级", "组织 {organisation} 的本月配额将用完，现在起{step}。")
    RESTORED = ("NotifierRestored", _INFO, "通知器恢复正常", "组织 {organisation} 恢复逐条发送。")
    OVER_QUOTA = ("QuotaUsedUp", _CRITICAL, "钉钉配额用完", "组织 {organisation} 的本月配额已用完，月底前经备用通道通知。")
    TOO_LARGE = (
        "NotificationTooLarge",
        _CRITICAL,
        "告警通知过大",
        "接收器 {receiver} 收到 {bytes} 的通知，已拒收；请到 Alertmanager 查看。",
    )
    UNKNOWN_RECEIVER = ("UnknownReceiver", _WARNING, "接收器未配置", "Alertmanager 发往未知接收器 {receiver}，已改发到本群。")
    ROBOT_BANNED = ("RobotBanned", _WARNING, "机器人被限流", "机器人 {robot} 发送过快，{seconds}后恢复；消息不会丢失。")
    ROBOT_DEAD = ("RobotDead", _CRITICAL, "机器人失效", "机器人 {robot} 不能再发送（{reason}），请更换。")
    ROBOT_MISCONFIGURED = ("RobotMisconfigured", _CRITICAL, "机器人配置错误", "机器人 {robot} 被钉钉拒绝：{reason}。")
    ROBOT_BACK = ("RobotBack", _INFO, "机器人恢复", "机器人 {robot} 可以发送了。")
    LATE_DELIVERY = ("LateDelivery", _WARNING, "消息迟到", "{count} 条消息迟到，最久 {seconds}。")
    DEAD_LETTER = ("DeadLetter", _CRITICAL, "消息未能送达", "接收器 {receiver} 有 {count} 条消息未能送达，可用 mgeo notifier replay 重发。")
    TEMPLATE_FAILED = ("TemplateFailed", _WARNING, "模板出错", "模板 {template} 出错，已改用内置格式；用 mgeo notifier check 检查。")
    TEST = ("NotifierTest", _INFO, "测试消息", "看到这条消息，说明机器人配置正确。")
    ACKNOWLEDGED = ("AlertAcknowledged", _INFO, "已接手", "{who} 已接手：{what}。")
    SILENCED = ("AlertSilenced", _INFO, "已静默", "{who} 静默 {seconds}：{what}（{reason}）。")
    ESCALATED = ("AlertEscalated", _CRITICAL, "严重告警无人接手", "{what} 已 {seconds}无人接手，请 {who} 处理。")
    BOX_SILENT = ("BoxSilent", _CRITICAL, "机器失联", "{box} 自 {since} 起没有心跳。请查机器、网络、Prometheus、Alertmanager 和通知器。")
    BOX_STILL_SILENT = ("BoxStillSilent", _CRITICAL, "机器仍然失联", "{box} 自 {since} 起没有心跳，已 {seconds}。")
    BOX_CLOCK_WRONG = (
        "BoxClockWrong",
        _CRITICAL,
        "机器失联（时钟不符）",
        "{box} 自 {since} 起没有可信的心跳：收到过心跳，但它的时钟与本机相差 {seconds}，请校准时钟。",
    )
    BOX_BACK = ("BoxBack", _INFO, "机器恢复", "{box} 又有心跳了，失联 {seconds}。")
    MAINTENANCE_BEGUN = ("MaintenanceBegun", _INFO, "维护开始", "{who} 开始维护，到 {until} 为止不发告警（{reason}）。")
    MAINTENANCE_ENDED = ("MaintenanceEnded", _INFO, "维护结束", "维护结束（{reason}），恢复告警。")

    def __init__(self, english: str, severity: Severity, headline: str, sentence: str) -> None:
        self.english = english
        self.severity = severity
        self.headline = headline
        self.sentence = sentence


def notice_title(kind: Notice) -> str:
    """Its first line."""
    return f"{wording.severity(kind.severity)}：{kind.headline}（{kind.english}）"


def notice_sentence(kind: Notice, facts: Mapping[str, object]) -> str:
    """Its sentence. A fact that was not given is said to be unknown, since half a notice is better than none."""
    words = {name: _word(name, value) for name, value in facts.items()}
    return kind.sentence.format_map(_Words(words))


class _Words(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return _UNKNOWN


def _word(name: str, value: object) -> str:
    match name, value:
        case "bytes", int() | float():
            return wording.size(value)
        case "seconds", int() | float():
            return wording.duration(value)
        case "step", int() if value in DEGRADATION_WORDS:
            return DEGRADATION_WORDS[value]
        case _:
            return escape(str(value), 200) or _UNKNOWN
