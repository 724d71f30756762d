"""What the notifier says of itself."""

from __future__ import annotations

import string

import pytest

from dingtalk.mention import NOBODY
from dingtalk.message import Renderer
from dingtalk.notice import Notice
from dingtalk.part import Mention, Shape
from tests.alerts import NOW, config

FACTS = {
    "organisation": "default",
    "step": 2,
    "receiver": "critical",
    "bytes": 104_857_600,
    "robot": "ops",
    "seconds": 600.0,
    "reason": "token is not exist",
    "count": 3,
    "template": "group.md.j2",
    "who": "张三",
    "what": "HighLatency · gpu-01",
    "box": "gpu-1",
    "since": "02:58:10",
    "until": "11:00:00",
}


def said(kind, mention=NOBODY, **facts):
    return Renderer(config()).notice(kind, now=NOW, mention=mention, **facts)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            Notice.DEGRADED,
            "### 🟠 警告：通知器降级（NotifierDegraded）\n\n03:03:10 组织 default 的本月配额将用完，现在起只发汇总，不再重复提醒。",
        ),
        (Notice.RESTORED, "### 🔵 提示：通知器恢复正常（NotifierRestored）\n\n03:03:10 组织 default 恢复逐条发送。"),
        (
            Notice.TOO_LARGE,
            "### 🔴 严重：告警通知过大（NotificationTooLarge）\n\n03:03:10 接收器 critical 收到 100.0 MiB 的通知，已拒收；请到 Alertmanager 查看。",
        ),
        (Notice.ROBOT_BANNED, "### 🟠 警告：机器人被限流（RobotBanned）\n\n03:03:10 机器人 ops 发送过快，10 分钟后恢复；消息不会丢失。"),
        (Notice.ROBOT_DEAD, "### 🔴 严重：机器人失效（RobotDead）\n\n03:03:10 机器人 ops 不能再发送（token is not exist），请更换。"),
        (Notice.LATE_DELIVERY, "### 🟠 警告：消息迟到（LateDelivery）\n\n03:03:10 3 条消息迟到，最久 10 分钟。"),
        (
            Notice.DEAD_LETTER,
            "### 🔴 严重：消息未能送达（DeadLetter）\n\n03:03:10 接收器 critical 有 3 条消息未能送达，可用 mgeo notifier replay 重发。",
        ),
        (
            Notice.SILENCED,
            "### 🔵 提示：已静默（AlertSilenced）\n\n03:03:10 张三 静默 10 分钟：HighLatency · gpu-01（token is not exist）。",
        ),
        (
            Notice.BOX_SILENT,
            "### 🔴 严重：机器失联（BoxSilent）\n\n03:03:10 gpu-1 自 02:58:10 起没有心跳。请查机器、网络、Prometheus、Alertmanager 和通知器。",
        ),
        (Notice.BOX_STILL_SILENT, "### 🔴 严重：机器仍然失联（BoxStillSilent）\n\n03:03:10 gpu-1 自 02:58:10 起没有心跳，已 10 分钟。"),
        (
            Notice.BOX_CLOCK_WRONG,
            "### 🔴 严重：机器失联（时钟不符）（BoxClockWrong）\n\n03:03:10 gpu-1 自 02:58:10 起没有可信的心跳：收到过心跳，但它的时钟与本机相差 10 分钟，请校准时钟。",
        ),
        (Notice.BOX_BACK, "### 🔵 提示：机器恢复（BoxBack）\n\n03:03:10 gpu-1 又有心跳了，失联 10 分钟。"),
        (
            Notice.MAINTENANCE_BEGUN,
            "### 🔵 提示：维护开始（MaintenanceBegun）\n\n03:03:10 张三 开始维护，到 11:00:00 为止不发告警（token is not exist）。",
        ),
        (Notice.MAINTENANCE_ENDED, "### 🔵 提示：维护结束（MaintenanceEnded）\n\n03:03:10 维护结束（token is not exist），恢复告警。"),
    ],
)
def test_a_notice_reads(kind, text):
    """What happened, and what to do."""
    assert said(kind, **FACTS).text == text


@pytest.mark.parametrize("kind", Notice)
def test_every_notice_finds_its_facts(kind):
    """These are all there are."""
    names = {name for _, name, _, _ in string.Formatter().parse(kind.sentence) if name}
    assert names <= set(FACTS)
    part = said(kind, **FACTS)
    assert "未知" not in part.text.replace("未知接收器", "")
    assert part.title == part.text.splitlines()[0].removeprefix("### ")
    assert part.shape is Shape.MARKDOWN


def test_a_fact_that_is_missing_is_said_to_be_unknown():
    """Half a notice is better than none."""
    assert "机器人 未知 发送过快，未知后恢复" in said(Notice.ROBOT_BANNED).text
    assert "现在起9。" in said(Notice.DEGRADED, step=9).text


def test_what_people_wrote_is_escaped():
    """A reason is text from outside."""
    assert (
        "（＠所有人 ［x］(https：//evil.example)）"
        in said(Notice.SILENCED, **{**FACTS, "reason": "@所有人 [x](https://evil.example)"}).text
    )


def test_a_notice_may_call_somebody():
    """Text and list in step."""
    part = said(Notice.ESCALATED, mention=Mention(mobiles=("138",)), **FACTS)
    assert part.text.endswith("HighLatency · gpu-01 已 10 分钟无人接手，请 张三 处理。\n\n@138")
    assert part.mention == Mention(mobiles=("138",))
