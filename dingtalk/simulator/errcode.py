"""The business answers of DingTalk: each code with its text, in the wordings that have been seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ErrCode(IntEnum):
    """The codes the simulator answers with by itself; a fault can answer with any other."""

    OK = 0
    BUSY = -1
    INVALID_PARAMETER = 40035
    INVALID_CONTENT_TYPE = 43004
    WEBHOOK_OVER_LIMIT = 90030
    BODY_SIZE_OLD = 101002
    TOO_FAST = 130101
    NULL_OR_TOKEN_OLD = 300001
    SECURITY = 310000
    GROUP_DISSOLVED = 400013
    UNKNOWN_TOKEN = 400101
    ROBOT_DISABLED = 400102
    UNSUPPORTED_MSGTYPE = 400105
    MISSING_PARAMETER = 400403
    TOO_FAST_DOCUMENTED = 410100
    UNSAFE_LINK = 430101
    UNSUITABLE_TEXT = 430102
    UNSUITABLE_IMAGE = 430103
    UNSUITABLE_CONTENT = 430104
    BODY_SIZE = 460101


class Wording(StrEnum):
    """Which generation of texts and codes to answer with; both are met in logs."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A business answer other than 0; DingTalk sends it with HTTP 200."""

    code: int
    text: str


BUSY = Refusal(ErrCode.BUSY, "系统繁忙")
GROUP_DISSOLVED = Refusal(ErrCode.GROUP_DISSOLVED, "群已被解散")
ROBOT_DISABLED = Refusal(ErrCode.ROBOT_DISABLED, "机器人已停用")
INVALID_CONTENT_TYPE = Refusal(ErrCode.INVALID_CONTENT_TYPE, "无效的 HTTP HEADER Content-Type")
MISSING_JSON = Refusal(ErrCode.INVALID_PARAMETER, "缺少参数 json")
INVALID_PARAMETER = Refusal(ErrCode.INVALID_PARAMETER, "不合法的参数")
UNSUPPORTED_MSGTYPE = Refusal(ErrCode.UNSUPPORTED_MSGTYPE, "不支持的消息类型")
UNSAFE_LINK = Refusal(ErrCode.UNSAFE_LINK, "不安全的外链")
UNSUITABLE_TEXT = Refusal(ErrCode.UNSUITABLE_TEXT, "不合适的文本")
UNSUITABLE_IMAGE = Refusal(ErrCode.UNSUITABLE_IMAGE, "不合适的图片")
UNSUITABLE_CONTENT = Refusal(ErrCode.UNSUITABLE_CONTENT, "不合适的内容")
WEBHOOK_OVER_LIMIT = Refusal(ErrCode.WEBHOOK_OVER_LIMIT, "webhook over limit")


def too_fast(code: int, limit: int) -> Refusal:
    """The call that earned the ban."""
    if code == ErrCode.TOO_FAST_DOCUMENTED:
        return Refusal(code, "发送速度太快而限流")
    return Refusal(code, f"send too fast, exceed {limit} times per minute")


def unknown_token(wording: Wording) -> Refusal:
    """No robot has this access_token."""
    if wording is Wording.OLD:
        return Refusal(ErrCode.NULL_OR_TOKEN_OLD, "token is not exist")
    return Refusal(ErrCode.UNKNOWN_TOKEN, "access_token 不存在")


def missing_parameter(wording: Wording, msgtype: str, field: str) -> Refusal:
    """A member that the msgtype needs is absent or empty."""
    if wording is Wording.OLD and field in {"title", "text"}:
        return Refusal(ErrCode.NULL_OR_TOKEN_OLD, "message param title or text is null")
    return Refusal(ErrCode.MISSING_PARAMETER, f"miss param : {msgtype}->{field}")


def body_size(wording: Wording, limit: int) -> Refusal:
    """The encoded body is over the limit."""
    if wording is Wording.OLD:
        return Refusal(ErrCode.BODY_SIZE_OLD, "message is too long")
    return Refusal(ErrCode.BODY_SIZE, f"description: body 大小不合法;solution:请保持大小在 {limit}bytes 以内")


def keywords_missing(wording: Wording) -> Refusal:
    """None of the robot's keywords stands in the message."""
    if wording is Wording.OLD:
        return Refusal(ErrCode.SECURITY, "keywords not in content")
    solution = "请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词"
    return Refusal(ErrCode.SECURITY, f"description:关键词不匹配;solution:{solution};")


def timestamp_invalid(wording: Wording) -> Refusal:
    """The timestamp is absent, not a number, or too far from now."""
    if wording is Wording.OLD:
        return Refusal(ErrCode.SECURITY, "invalid timestamp")
    return Refusal(ErrCode.SECURITY, "description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在 timestampms 以内;")


def sign_mismatch(wording: Wording) -> Refusal:
    """The sign is absent or another one than ours."""
    if wording is Wording.OLD:
        return Refusal(ErrCode.SECURITY, "sign not match")
    solution = "请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确"
    return Refusal(ErrCode.SECURITY, f"description:机器人发送签名不匹配;solution:{solution};")


def address_not_allowed(wording: Wording, address: str) -> Refusal:
    """The caller's network address is not in the robot's list."""
    if wording is Wording.OLD:
        return Refusal(ErrCode.SECURITY, f"ip {address} not in whitelist")
    return Refusal(ErrCode.SECURITY, f"description:ip {address} 不在白名单中;solution:请联系对应群的管理员，设置机器人安全ip地址段;")
