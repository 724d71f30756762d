"""Blocks of text as messages that each fit."""

from __future__ import annotations

import pytest

from dingtalk.part import Button, Mention, Shape
from dingtalk.split import Block, Frame, cut, encoded_bytes, split

UUID = "0" * 32


def test_what_fits_is_one_message():
    """Paragraphs, then the foot, then who is called; lines stand under each other."""
    blocks = [Block(text="a"), Block(text="b", call=Mention(mobiles=("138",))), Block(text="c", line=True)]
    (part,) = split(blocks, Frame(title="t", foot="foot"))
    assert part.text == "a\n\nb  \n  c\n\nfoot\n\n@138"
    assert (part.title, part.mention) == ("t", Mention(mobiles=("138",)))
    (plain,) = split(blocks, Frame(title="t", shape=Shape.TEXT))
    assert plain.text == "a\n\nb\nc\n\n@138"


def test_nothing_is_no_message():
    """An empty one would be refused."""
    assert split([], Frame(title="t", foot="foot")) == []


def test_what_does_not_fit_is_several_numbered_messages():
    """Cut between blocks; each has the foot and the buttons, and the first that fits an alert has who is called for it."""
    button = Button(title="手册", url="https://a.example/")
    blocks = [Block(text=character * 6_000, call=Mention(user_ids=(character,))) for character in "abcd"]
    parts = split(blocks, Frame(title="t", foot="foot", shape=Shape.ACTION_CARD, buttons=(button,)))
    assert [part.text.replace(part.text[0] * 6_000, part.text[0]) for part in parts] == [
        "a\n\n" + "b" * 6_000 + "\n\n" + "c" * 6_000 + "\n\nfoot\n\n@a @b @c\n\n（1/2）",
        "d\n\nfoot\n\n@d\n\n（2/2）",
    ]
    assert [part.title for part in parts] == ["t（1/2）", "t（2/2）"]
    assert [part.mention.user_ids for part in parts] == [("a", "b", "c"), ("d",)]
    assert all(part.buttons == (button,) for part in parts)


def test_every_byte_is_used_and_none_more():
    """汉字 take three, a quote takes its backslash, and there is room for the longest keyword."""
    frame = Frame(title="标题", keywords=("", "监控", "告警通知" * 20))
    parts = split([Block(text='"告警"\n', line=bool(number)) for number in range(4_000)], frame)
    sizes = [max(len(part.with_keyword(keyword).body(UUID)) for keyword in ("监控", "告警通知" * 20)) for part in parts]
    assert max(sizes) <= 20_000
    assert all(size > 19_900 for size in sizes[:-1])
    assert sum(part.text.count('"告警"') for part in parts) == 4_000


def test_more_people_than_a_message_may_call_are_called_by_several():
    """Fifty each; nobody twice."""
    people = Mention(mobiles=tuple(f"138{number:08}" for number in range(70)), user_ids=tuple(f"u{number}" for number in range(40)))
    parts = split([Block(text="a", call=people), Block(text="b", call=people)], Frame(title="t"))
    assert [len(part.mention.mobiles) + len(part.mention.user_ids) for part in parts] == [50, 50, 10]
    assert parts[0].text.startswith("a\n\n@13800000000 @13800000001 ")
    assert parts[1].text.startswith("b\n\n@13800000050 @13800000051 ")
    assert parts[2].text.startswith("以上告警，请以下同事关注：\n\n@u30 @u31 ")


def test_an_overlong_name_is_called_by_nobody():
    """It is none that DingTalk knows, and would leave no room for the alert."""
    (part,) = split([Block(text="a", call=Mention(user_ids=("x" * 200, "b")))], Frame(title="t"))
    assert (part.text, part.mention) == ("a\n\n@b", Mention(user_ids=("b",)))


def test_everyone_is_called_once():
    """Not by every part."""
    parts = split([Block(text="a" * 15_000, call=Mention(everyone=True)) for _ in range(3)], Frame(title="t"))
    assert [part.mention.everyone for part in parts] == [True, False, False]
    assert "@所有人" in parts[0].text
    assert "@所有人" not in parts[1].text


def test_one_block_that_does_not_fit_is_cut():
    """With where the rest is."""
    parts = split([Block(text="**" + "告" * 10_000, rest="[查看全文](https://a.example/)")], Frame(title="t", foot="foot"))
    assert len(parts) == 1
    assert parts[0].text.endswith("告**…\n\n[查看全文](https://a.example/)\n\nfoot")
    assert 19_900 < len(parts[0].body(UUID)) <= 20_000


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcdefgh", 6 + 8, "abcdefgh"),
        ("abcdefghijklmnopq", 5 + 3 + 5, "abcde…"),
        ("告警告警告警告警", 6 + 3 + 5, "告警…"),
        ("a**bcdefghijklmnop", 5 + 3 + 5, "a**bc**…"),
        ("a**bc** defghijklmnop", 8 + 3 + 5, "a**bc** …".replace(" …", "…")),
        ("ab [title](https://a.example/) and more text", 20 + 3 + 5, "ab…"),
        ("ab ![](https://a.example/x.png) and more text", 20 + 3 + 5, "ab…"),
        ("ab <font color=red>x</font>", 10 + 3 + 5, "ab…"),
        ("abe\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", 7 + 3 + 5, "ab…"),
        ("👨\u200d👩\u200d👧\u200d👦 and more", 12 + 3 + 5, "…"),
        ("ab`code with more text", 6 + 3 + 5, "ab`cod`…"),
    ],
)
def test_a_cut_leaves_nothing_open(text, limit, shown):
    """Neither a marker nor a link nor a tag, and no half character; five bytes are kept for what has to be closed."""
    assert cut(text, limit) == shown


def test_a_cut_inside_a_colour_closes_it():
    """Or the rest of the conversation would be red."""
    text = cut("<font color=red>" + "x" * 100 + "</font>", 80)
    assert text.startswith("<font color=red>xxx")
    assert text.endswith("x</font>…")
    assert encoded_bytes(text) <= 80


def test_where_there_is_room_for_nothing_there_is_only_the_end():
    """Better than an empty text."""
    assert cut("告" * 100, 2, end="全文：x") == "全文：x"
    assert cut("告" * 100, 2) == "…"
