"""What a robot's answer means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.answer import Answer, Cause, Outcome, classify, unanswered

JSON = {"content-type": "application/json"}
PUNISHED = b'{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"0"}'

# Every row of the table of codes.
CODES = [
    (0, "ok", Outcome.DELIVERED),
    (-1, "系统繁忙", Outcome.RETRY),
    (40035, "缺少参数 json", Outcome.MALFORMED),
    (40035, "不合法的参数", Outcome.MALFORMED),
    (43004, "无效的 HTTP HEADER Content-Type", Outcome.MALFORMED),
    (400013, "群已被解散", Outcome.ROBOT_DEAD),
    (400101, "access_token 不存在", Outcome.ROBOT_DEAD),
    (300001, "token is not exist", Outcome.ROBOT_DEAD),
    (300005, "token is not exist", Outcome.ROBOT_DEAD),
    (400102, "机器人已停用", Outcome.ROBOT_DEAD),
    (400105, "不支持的消息类型", Outcome.MALFORMED),
    (400106, "机器人不存在", Outcome.ROBOT_DEAD),
    (400403, "miss param : markdown->text", Outcome.MALFORMED),
    (300001, "message param title or text is null", Outcome.MALFORMED),
    (410100, "发送速度太快而限流", Outcome.THROTTLED),
    (130101, "send too fast, exceed 20 times per minute", Outcome.THROTTLED),
    (130102, "", Outcome.THROTTLED),
    (130103, "", Outcome.THROTTLED),
    (310000, "keywords not in content", Outcome.MISCONFIGURED),
    (430101, "不安全的外链", Outcome.CONTENT_BLOCKED),
    (430102, "不合适的文本", Outcome.CONTENT_BLOCKED),
    (430103, "不合适的图片", Outcome.CONTENT_BLOCKED),
    (430104, "不合适的内容", Outcome.CONTENT_BLOCKED),
    (460101, "description: body 大小不合法;solution:请保持大小在 20000bytes 以内", Outcome.TOO_BIG),
    (101002, "message is too long", Outcome.TOO_BIG),
    (90030, "webhook over limit", Outcome.OVER_QUOTA),
    (90020, "", Outcome.OVER_QUOTA),
    (90002, "", Outcome.THROTTLED),
    (90018, "", Outcome.THROTTLED),
    # A code that nobody has seen: its text decides.
    (999999, "send too fast", Outcome.THROTTLED),
    (999999, "机器人已停用", Outcome.ROBOT_DEAD),
    (999999, "description:机器人发送签名不匹配", Outcome.MISCONFIGURED),
    (999999, "什么都不是", Outcome.RETRY),
]


def answered(body, *, status=200, headers=JSON):
    return classify(status=status, headers=headers, body=body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(("code", "text", "outcome"), CODES)
@pytest.mark.parametrize("written", [int, str])
def test_each_code_has_its_outcome(code, text, outcome, written):
    """As a number, and as the text that DingTalk's own example shows."""
    answer = answered({"errcode": written(code), "errmsg": text})
    assert answer.outcome is outcome
    assert answer.code == code


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("keywords not in content", Cause.KEYWORD),
        ("invalid timestamp", Cause.CLOCK),
        ("sign not match", Cause.SIGNATURE),
        ("description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中;link:…", Cause.SIGNATURE),
        ("description:机器人发送签名不匹配", Cause.SIGNATURE),
        ("ip 203.0.113.7 not in whitelist", Cause.ADDRESS),
        ("", Cause.OTHER),
    ],
)
def test_the_cause_of_310000_follows_from_its_text(text, cause):
    """Old wordings and new ones."""
    assert answered({"errcode": 310000, "errmsg": text}).cause is cause


@pytest.mark.parametrize(
    ("status", "headers", "body", "outcome", "ambiguous"),
    [
        (302, {"location": "https://h5.dingtalk.com/"}, b"", Outcome.THROTTLED, False),
        (302, {}, b'{"errcode":0}', Outcome.THROTTLED, False),
        (200, JSON, PUNISHED, Outcome.THROTTLED, False),
        (200, JSON, b'{"result": true}', Outcome.THROTTLED, False),
        (200, {"content-type": "text/html"}, b"<html></html>", Outcome.THROTTLED, False),
        (403, {}, b"\n<!DOCTYPE html>", Outcome.THROTTLED, False),
        (429, {}, b"", Outcome.THROTTLED, False),
        (403, JSON, b'{"code": "Forbidden.AccessDenied.ApiCountLimitForOrg"}', Outcome.OVER_QUOTA, False),
        (403, JSON, b'{"code": "Forbidden.AccessDenied.QpsLimitForApi"}', Outcome.THROTTLED, False),
        (413, {}, b"", Outcome.TOO_BIG, False),
        (404, {}, b"", Outcome.MISCONFIGURED, False),
        (502, {"content-type": "text/html"}, b"<html></html>", Outcome.RETRY, True),
        (500, JSON, b'{"message": "x"}', Outcome.RETRY, True),
        (200, JSON, b"", Outcome.RETRY, True),
        (200, JSON, b'{"errcode":', Outcome.RETRY, True),
        (200, JSON, b'{"errcode": null}', Outcome.RETRY, True),
        (200, JSON, b'{"errcode": true}', Outcome.RETRY, True),
        (200, JSON, b"[]", Outcome.RETRY, True),
    ],
)
def test_each_odd_answer_has_its_outcome(status, headers, body, outcome, ambiguous):
    """Only a code of 0 is a delivery; what may have arrived is ambiguous."""
    answer = answered(body, status=status, headers=headers)
    assert (answer.outcome, answer.ambiguous) == (outcome, ambiguous)


def test_a_silenced_robot_is_left_alone_for_ten_minutes():
    """A limit of the whole platform passes sooner."""
    assert answered({"errcode": 130101}).pause == 600.0
    assert answered(PUNISHED).pause == 600.0
    assert answered({"errcode": 90018}).pause == 60.0


def test_busy_may_have_arrived():
    """So it is repeated where DingTalk recognises it."""
    assert answered({"errcode": -1}).ambiguous


def test_no_answer_is_ambiguous_when_something_was_sent():
    """A connection that was never made sent nothing."""
    assert unanswered("no answer in time", sent=True) == Answer(outcome=Outcome.RETRY, ambiguous=True, detail="no answer in time")
    assert not unanswered("not connected", sent=False).ambiguous


@given(st.integers(100, 599), st.dictionaries(st.just("content-type"), st.text()), st.binary() | st.just(b'{"errcode": "x"}'))
def test_any_answer_is_one_of_the_set(status, headers, body):
    """Nothing is raised, and nothing but a code of 0 is a delivery."""
    answer = classify(status=status, headers=headers, body=body)
    assert answer.outcome in Outcome
    assert answer.outcome is not Outcome.DELIVERED or b"0" in body
