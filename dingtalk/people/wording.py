"""Pure: the Chinese words of the pages, for what went wrong."""

from __future__ import annotations

from dingtalk.links import Refusal
from dingtalk.people.wish import MAX_NAME, MAX_REASON

REFUSALS = {
    Refusal.MALFORMED: "链接不完整，请从钉钉消息里重新打开。",
    Refusal.FORGED: "这个链接不是本通知器签发的，或签名密钥已经更换。",
    Refusal.EXPIRED: "链接已过期，请使用更新的消息里的链接。",
    Refusal.OTHER_PURPOSE: "这个链接不是用来做这件事的。",
    Refusal.USED: "链接已经用过，请使用更新的消息里的链接。",
    Refusal.UNDER_WAY: "这个链接刚刚提交过，还没有结果。群里有了静默的消息就是成功了；没有的话，请半分钟后再提交，不会重复静默。",
}
REFUSAL_STATUS = {
    Refusal.MALFORMED: 403,
    Refusal.FORGED: 403,
    Refusal.EXPIRED: 410,
    Refusal.OTHER_PURPOSE: 403,
    Refusal.USED: 410,
    Refusal.UNDER_WAY: 409,
}
UNKNOWN_GROUP = "没有这组告警的记录，可能已经过了保存期。"
OVER = "这组告警已经全部恢复，不用接手了。"
NOTHING_NAMED = "这组告警没有共同的标签，不能在这里静默；请到 Alertmanager 操作。"
NOT_SILENCED = "Alertmanager 没有应答，可能没有静默，群里也没有消息。请稍后再提交，不会重复静默。"
NOT_STORED = "通知器现在不能读写数据，请稍后再试。"
TOO_LONG = "提交的内容太长。"
WISHES = {
    "by": f"请填写姓名（不超过 {MAX_NAME} 个字）。",
    "reason": f"请填写原因（不超过 {MAX_REASON} 个字）。",
    "seconds": "请选择时长。",
}
SILENCE_CHOICES = {3_600: "1 小时", 7_200: "2 小时", 28_800: "8 小时", 86_400: "24 小时"}
USUAL_SILENCE = 7_200
