"""Each row of DingTalk's error codes, and the order of the rules."""

from __future__ import annotations

import json

import pytest

from dingtalk.simulator.signature import signature
from tests.unit.dingtalk.simulator.composition import START, Robots, markdown, text

STAMP = str(round(START * 1000))


def test_a_good_message_is_delivered():
    """Errcode 0 as a number, and the group has it."""
    robots = Robots()
    assert robots.send(text("磁盘满了")) == (0, "ok")
    assert [(message.index, message.robot, message.group, message.text) for message in robots.messages] == [
        (1, "ops", "值班群", "磁盘满了")
    ]


@pytest.mark.parametrize(
    ("token", "wording", "expected"),
    [
        ("nobody", "new", (400101, "access_token 不存在")),
        ("", "new", (400101, "access_token 不存在")),
        ("nobody", "old", (300001, "token is not exist")),
    ],
)
def test_an_unknown_token(token, wording, expected):
    """The call is kept without a robot, and without the token."""
    robots = Robots(wording=wording)
    assert robots.send(token=token) == expected
    (attempt,) = robots.attempts
    assert (attempt.robot, attempt.outcome, attempt.counted) == (None, "refused", False)
    assert "nobody" not in json.dumps(attempt.document())


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"disabled": True}, (400102, "机器人已停用")),
        ({"dissolved": True}, (400013, "群已被解散")),
        ({"disabled": True, "dissolved": True}, (400013, "群已被解散")),
    ],
)
def test_a_dead_robot(flags, expected):
    """Whatever it is sent."""
    assert Robots(flags).send() == expected


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_content_type_that_is_not_json(content_type):
    """43004."""
    assert Robots().send(content_type=content_type) == (43004, "无效的 HTTP HEADER Content-Type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json;charset=gbk"])
def test_any_content_type_of_json_is_taken(content_type):
    """Parameters and case do not matter."""
    assert Robots().code(content_type=content_type) == 0


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b'{"msgtype": NaN}', b'"\\ud800"', b"[" * 9000, b"1" * 9000])
def test_a_body_that_is_no_json(raw):
    """40035; neither depth nor half a surrogate pair breaks the simulator."""
    assert Robots().code(raw=raw) == 40035


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"msgtype": 1},
        {"msgtype": "text", "text": "你好"},
        {"msgtype": "text", "text": {"content": 1}},
        {"msgtype": "markdown", "markdown": {"title": ["t"], "text": "x"}},
        {"msgtype": "feedCard", "feedCard": {"links": {"title": "t"}}},
        {"msgtype": "feedCard", "feedCard": {"links": ["t"]}},
        text(at=[]),
        text(at={"isAtAll": "yes"}),
        text(at={"isAtAll": []}),
        text(at={"atMobiles": "13800138000"}),
        text(at={"atMobiles": [None]}),
        text(at={"atUserIds": [True]}),
        text(msgUuid=7),
    ],
)
def test_a_parameter_of_a_wrong_type(body):
    """40035."""
    assert Robots().send(body) == (40035, "不合法的参数")


@pytest.mark.parametrize("msgtype", ["", "image", "file", "Text", "action_card"])
def test_an_unsupported_msgtype(msgtype):
    """400105."""
    assert Robots().send({"msgtype": msgtype, msgtype or "x": {}}) == (400105, "不支持的消息类型")


BUTTON = {"title": "b", "actionURL": "https://example.com"}
FEED = {"title": "t", "messageURL": "https://example.com", "picURL": "https://example.com/p.png"}


@pytest.mark.parametrize(
    ("msgtype", "members", "missing"),
    [
        ("text", None, "text->content"),
        ("text", {"content": ""}, "text->content"),
        ("text", {"content": " \n "}, "text->content"),
        ("markdown", {"text": "x"}, "markdown->title"),
        ("markdown", {"title": "t"}, "markdown->text"),
        ("link", {"text": "x", "messageUrl": "u"}, "link->title"),
        ("link", {"title": "t", "messageUrl": "u"}, "link->text"),
        ("link", {"title": "t", "text": "x"}, "link->messageUrl"),
        ("actionCard", {"text": "x", "btns": [BUTTON]}, "actionCard->title"),
        ("actionCard", {"title": "t", "btns": [BUTTON]}, "actionCard->text"),
        ("actionCard", {"title": "t", "text": "x"}, "actionCard->btns"),
        ("actionCard", {"title": "t", "text": "x", "btns": []}, "actionCard->btns"),
        ("actionCard", {"title": "t", "text": "x", "btns": [{"title": "b"}]}, "actionCard->btns->actionURL"),
        ("actionCard", {"title": "t", "text": "x", "singleTitle": "s"}, "actionCard->singleURL"),
        ("actionCard", {"title": "t", "text": "x", "singleURL": "s"}, "actionCard->singleTitle"),
        ("feedCard", {}, "feedCard->links"),
        ("feedCard", {"links": [FEED, {**FEED, "picURL": ""}]}, "feedCard->links->picURL"),
    ],
)
def test_a_missing_parameter_is_named(msgtype, members, missing):
    """400403, with the msgtype and the path."""
    assert Robots().send({"msgtype": msgtype, msgtype: members}) == (400403, f"miss param : {msgtype}->{missing.partition('->')[2]}")


def test_the_old_wording_of_an_empty_title_or_text():
    """300001; of other fields it has none."""
    robots = Robots(wording="old")
    assert robots.send(markdown("")) == (300001, "message param title or text is null")
    assert robots.send({"msgtype": "text", "text": {}}) == (400403, "miss param : text->content")


@pytest.mark.parametrize(
    "body",
    [
        {"msgtype": "link", "link": {"title": "t", "text": "x", "messageUrl": "https://example.com"}},
        {"msgtype": "actionCard", "actionCard": {"title": "t", "text": "x", "btns": [BUTTON], "btnOrientation": "1"}},
        {"msgtype": "actionCard", "actionCard": {"title": "t", "text": "x", "singleTitle": "s", "singleURL": "u", "btns": "ignored"}},
        {"msgtype": "feedCard", "feedCard": {"links": [FEED]}},
        markdown(),
    ],
)
def test_every_msgtype_is_delivered(body):
    """With what it needs and no more."""
    assert Robots().send(body) == (0, "ok")


@pytest.mark.parametrize(
    ("wording", "sign", "timestamp", "expected"),
    [
        ("old", None, STAMP, "sign not match"),
        ("old", signature(STAMP, "SECx"), None, "invalid timestamp"),
        ("new", signature(STAMP, "SECother"), STAMP, "description:机器人发送签名不匹配;solution:"),
        ("new", signature("1", "SECx"), "1", "description:机器人发送签名过期;solution:"),
    ],
)
def test_a_bad_signature(wording, sign, timestamp, expected):
    """310000 with the text of the cause."""
    code, told = Robots({"secret": "SECx"}, wording=wording).send(sign=sign, timestamp=timestamp)
    assert code == 310000
    assert told.startswith(expected)


def test_a_good_signature_and_one_nobody_asked_for():
    """A robot without a secret does not look at it."""
    assert Robots({"secret": "SECx"}).code(sign=signature(STAMP, "SECx"), timestamp=STAMP) == 0
    assert Robots().code(sign="nonsense", timestamp="1") == 0


@pytest.mark.parametrize(
    ("wording", "told"),
    [
        ("old", "keywords not in content"),
        ("new", "description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;"),
    ],
)
def test_a_message_without_any_keyword(wording, told):
    """310000."""
    assert Robots({"keywords": ["告警", "恢复"]}, wording=wording).send(text("你好")) == (310000, told)


@pytest.mark.parametrize(
    "body",
    [
        text("有告警"),
        markdown("已恢复", title="t"),
        markdown("x", title="告警"),
        {"msgtype": "feedCard", "feedCard": {"links": [{**FEED, "title": "告警"}]}},
    ],
)
def test_one_keyword_anywhere_in_what_people_read_is_enough(body):
    """Also in a title."""
    assert Robots({"keywords": ["告警", "恢复"]}).code(body) == 0


@pytest.mark.parametrize(
    ("client", "code"),
    [
        ("203.0.113.7", 0),
        ("198.51.100.200", 0),
        ("::ffff:203.0.113.7", 0),
        ("203.0.113.8", 310000),
        ("2001:db8::7", 310000),
        ("", 310000),
    ],
)
def test_only_the_allowed_networks_may_call(client, code):
    """Single addresses and networks of IPv4; no IPv6."""
    assert Robots({"allow_ips": ["203.0.113.7", "198.51.100.0/24"]}).code(client=client) == code


@pytest.mark.parametrize(
    ("wording", "told"),
    [
        ("old", "ip 203.0.113.8 not in whitelist"),
        ("new", "description:ip 203.0.113.8 不在白名单中;solution:请联系对应群的管理员，设置机器人安全ip地址段;"),
    ],
)
def test_a_stranger_is_told_their_address(wording, told):
    """310000."""
    assert Robots({"allow_ips": ["203.0.113.7"]}, wording=wording).send(client="203.0.113.8") == (310000, told)


def body_of(size: int) -> bytes:
    """A text message of exactly so many encoded bytes, most of them of Chinese characters."""
    frame = len(json.dumps(text(""), ensure_ascii=False).encode())
    characters, rest = divmod(size - frame, 3)
    raw = json.dumps(text("警" * characters + "x" * rest), ensure_ascii=False).encode()
    assert len(raw) == size
    return raw


@pytest.mark.parametrize(
    ("wording", "told"),
    [
        ("new", (460101, "description: body 大小不合法;solution:请保持大小在 20000bytes 以内")),
        ("old", (101002, "message is too long")),
    ],
)
def test_the_limit_is_20000_encoded_bytes(wording, told):
    """20000 pass, 20001 do not."""
    robots = Robots(wording=wording)
    assert robots.send(raw=body_of(20_000)) == (0, "ok")
    assert robots.send(raw=body_of(20_001)) == told
    assert [attempt.body_bytes for attempt in robots.attempts] == [20_000, 20_001]


def test_escaped_characters_count_as_they_are_sent():
    """3400 characters of three bytes fit; written as escapes they are too many."""
    body = text("警" * 3400)
    assert Robots().code(raw=json.dumps(body, ensure_ascii=False).encode()) == 0
    assert Robots().code(raw=json.dumps(body, ensure_ascii=True).encode()) == 460101


BLOCKLIST = {"links": ["evil.example"], "texts": ["违禁词"], "images": ["bad.png"], "contents": ["danger"]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (markdown("[看](https://evil.example/x)"), (430101, "不安全的外链")),
        ({"msgtype": "link", "link": {"title": "t", "text": "x", "messageUrl": "https://evil.example"}}, (430101, "不安全的外链")),
        (text("有违禁词"), (430102, "不合适的文本")),
        (markdown("x", title="违禁词"), (430102, "不合适的文本")),
        (markdown("![图](https://example.com/bad.png)"), (430103, "不合适的图片")),
        (
            {"msgtype": "feedCard", "feedCard": {"links": [{**FEED, "picURL": "https://example.com/bad.png"}]}},
            (430103, "不合适的图片"),
        ),
        (text("danger"), (430104, "不合适的内容")),
        (markdown("[x](https://example.com/danger)"), (430104, "不合适的内容")),
    ],
)
def test_blocked_content(body, expected):
    """430101 to 430104, by what is on the lists."""
    robots = Robots(blocklist=BLOCKLIST)
    assert robots.send(body) == expected
    assert robots.messages == []


def test_content_that_only_looks_alike_is_delivered():
    """A word on the list of links is no link by itself."""
    assert Robots(blocklist=BLOCKLIST).code(text("evil.example bad.png")) == 0


def test_what_comes_first_of_two_faults():
    """A stranger with a bad sign is a stranger; a bad sign over a bad body is a bad sign; size goes before content."""
    robots = Robots({"secret": "SECx", "allow_ips": ["203.0.113.7"]}, wording="old")
    assert robots.send(raw=b"{") == (310000, "ip 127.0.0.1 not in whitelist")
    assert robots.send(raw=b"{", client="203.0.113.7") == (310000, "invalid timestamp")
    assert Robots({"keywords": ["告警"]}).code(raw=body_of(20_001)) == 460101
