"""One message for a robot, as bytes."""

from __future__ import annotations

import json

from dingtalk.part import Button, Mention, Part, Shape


def test_a_markdown_message():
    """UTF-8 and not escapes, which would be twice as long; the @ list and the id go along."""
    part = Part(title="告警", text="延迟过高 @138", mention=Mention(mobiles=("138",), user_ids=("u1",)))
    body = part.body("id-1")
    assert "延迟过高".encode() in body
    assert json.loads(body) == {
        "msgtype": "markdown",
        "markdown": {"title": "告警", "text": "延迟过高 @138"},
        "at": {"atMobiles": ["138"], "atUserIds": ["u1"], "isAtAll": False},
        "msgUuid": "id-1",
    }


def test_a_plain_one_and_a_card():
    """A card has buttons."""
    assert json.loads(Part(title="", text="x", shape=Shape.TEXT).body("1"))["text"] == {"content": "x"}
    card = Part(title="t", text="x", shape=Shape.ACTION_CARD, buttons=(Button(title="已接手", url="https://a/b"),))
    assert json.loads(card.body("1"))["actionCard"] == {
        "title": "t",
        "text": "x",
        "btnOrientation": "0",
        "btns": [{"title": "已接手", "actionURL": "https://a/b"}],
    }


def test_the_keyword_is_added_once():
    """A robot that asks for none gets none."""
    part = Part(title="t", text="延迟过高")
    assert part.with_keyword("告警").text == "延迟过高\n\n告警"
    assert part.with_keyword("告警").with_keyword("告警").text == "延迟过高\n\n告警"
    assert part.with_keyword("延迟") is part
    assert part.with_keyword("") is part


def test_a_lone_surrogate_of_a_label_is_no_error():
    """It has no place in UTF-8."""
    assert b"?" in Part(title="t", text="\ud800").body("1")
