"""The list of messages, one message, and the button that sends a dead letter again."""

from __future__ import annotations

import pytest

from dingtalk.outbox.rows import Draft, MessageState
from dingtalk.part import Button, Mention, Part, Shape
from dingtalk.plan import Form, Lane
from tests.notifier import BLOCKED, OK, START, TOO_FAST, alert
from tests.unit.dingtalk.pages.site import checked, site

OWN = {"sec-fetch-site": "same-origin"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def put(store, *parts, group_key="g"):
    """Store messages as the planner does."""
    store.put(
        Draft(receiver="main", group_key=group_key, lane=Lane.NORMAL, form=Form.GROUP, parts=parts, received_at=START),
    )


async def test_the_list_is_newest_first_and_filtered_by_state(tmp_path):
    """Each state is a link, the chosen one marked."""
    async with site(tmp_path, answers=[BLOCKED, BLOCKED, OK]) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        every = await notifier.page("/messages")
        assert "./messages?state=merged" in every.addresses()
        dead = await notifier.page("/messages?state=dead")
        assert len(dead.forms()) == 1
        assert "未送达" in dead.words
        marked = [attributes["href"] for _, attributes in dead.elements if attributes.get("aria-current")]
        assert marked == ["./messages?state=dead"]
        assert "没有这样的消息。" in (await notifier.page("/messages?state=waiting")).words


async def test_older_messages_are_on_the_next_page(tmp_path):
    """Fifty on each; the filter stays."""
    async with site(tmp_path) as notifier:
        put(notifier.store, *(Part(title=f"T{number}", text="t") for number in range(1, 102)))
        first = await notifier.page("/messages?state=waiting")
        assert "T101" in first.words
        assert "T51" not in first.words
        assert "./messages?state=waiting&before=52" in first.addresses()
        second = await notifier.page("/messages?state=waiting&before=52")
        assert "T51" in second.words
        assert "./messages?state=waiting&before=2" in second.addresses()
        last = await notifier.page("/messages?state=waiting&before=2")
        assert "T1" in last.words
        assert not any("before=" in address for address in last.addresses())


@pytest.mark.parametrize("query", ["state=lost", "before=x"])
async def test_a_question_that_makes_no_sense_is_refused(tmp_path, query):
    """As a page."""
    async with site(tmp_path) as notifier:
        assert "看不懂这个地址" in (await notifier.page(f"/messages?{query}", status=400)).words


@pytest.mark.parametrize("before", [10**30, -(10**30)])
async def test_a_number_beyond_all_numbers_is_only_large(tmp_path, before):
    """The store has none like that."""
    async with site(tmp_path) as notifier:
        await notifier.page(f"/messages?before={before}")


@pytest.mark.parametrize("number", ["2", str((1 << 63) - 1), str(1 << 63), "9" * 30, "9" * 5_000, "-1", "x", "²"])
async def test_there_is_no_message_of_a_number_that_none_has(tmp_path, number):
    """A page says so, however large it is; and nothing is sent again."""
    async with site(tmp_path) as notifier:
        await notifier.receive(alert())
        assert "没有这条消息" in (await notifier.page(f"/messages/{number}", status=404)).words
        assert (await notifier.client.post(f"/messages/{number}/resend", headers=OWN)).status_code == 409


async def test_a_message_shows_its_text_its_attempts_and_what_was_received(tmp_path):
    """And where it is now."""
    async with site(tmp_path, answers=[b'{"errcode":-1,"errmsg":"busy"}', OK]) as notifier:
        await notifier.receive(alert(severity="critical"), group="杭州")
        await notifier.deliver()
        waiting = await notifier.page("/messages/1")
        assert "上一次：稍后重试（busy）" in waiting.words
        notifier.time.now += 60
        await notifier.deliver()
        page = await notifier.page("/messages/1")
        assert "消息 #1 已送达" in page.words
        assert "[告警] critical HighLatency box-1" in page.words
        assert "1 20:00:00 r1 稍后重试 retry 是 2 20:01:00 r1 已送达 delivered 是" in page.words
        assert "1 20:00:00 critical 1 已送达 –" in page.words
        assert "告警组 杭州" in page.words
        assert "../messages?state=dead" in page.addresses()


@pytest.mark.parametrize("path", ["/messages/2", f"/messages/{10**30}"])
async def test_a_message_that_is_not_there_is_a_page_that_says_so(tmp_path, path):
    """404."""
    async with site(tmp_path) as notifier:
        put(notifier.store, Part(title="T", text="t"))
        assert "没有这条消息" in (await notifier.page(path, status=404)).words


async def test_the_text_is_shown_as_the_group_sees_it(tmp_path):
    """Headings, bold, links; who is called by name, or masked when nobody knows the number."""
    people = [{"name": "王工", "mobile": "13800138000"}, {"name": "李工", "user_id": "li4"}]
    async with site(tmp_path, people=people) as notifier:
        put(
            notifier.store,
            Part(
                title="T",
                text="### 标题\n**粗** [看](https://example.com/a)  \n@13800138000 @13900139000 @li4 @所有人 @13700137000",
                mention=Mention(mobiles=("13800138000", "13900139000"), user_ids=("li4",), everyone=True),
            ),
        )
        page = await notifier.page("/messages/1")
        assert "@王工 @139****9000 @李工 @所有人 @13700137000" in page.words
        assert "13800138000" not in page.words
        assert ("a", {"href": "https://example.com/a", "rel": "noreferrer noopener"}) in page.elements
        assert {"h3", "strong"} <= {tag for tag, _ in page.elements}


async def test_plain_text_keeps_its_lines_and_a_card_has_its_buttons(tmp_path):
    """Markdown in plain text is only text."""
    async with site(tmp_path) as notifier:
        put(
            notifier.store,
            Part(title="T", text="**a**\nb", shape=Shape.TEXT),
            Part(title="T", text="t", shape=Shape.ACTION_CARD, buttons=(Button(title="接手", url="https://example.com/ack"),)),
        )
        assert "**a** b" in (await notifier.page("/messages/1")).words
        card = await notifier.page("/messages/2")
        assert "https://example.com/ack" in card.addresses()
        assert "同一束 1/2 2/2" in card.words
        assert "../messages/1" in card.addresses()


@pytest.mark.parametrize("shape", [Shape.TEXT, Shape.MARKDOWN])
async def test_hostile_text_stays_text(tmp_path, shape):
    """In text, title, group and button."""
    async with site(tmp_path) as notifier:
        hostile = Part(title=HOSTILE, text=HOSTILE, shape=shape, buttons=(Button(title=HOSTILE, url="javascript:alert(1)"),))
        put(notifier.store, hostile, group_key=HOSTILE)
        for path in ("/", "/messages", "/messages/1"):
            page = await notifier.page(path)
            assert "<script>alert(1)</script>" in page.words
            assert not any(address.startswith("javascript") for address in page.addresses())


async def test_half_a_character_does_not_cost_the_page(tmp_path):
    """JSON can bring a lone surrogate."""
    async with site(tmp_path) as notifier:
        await notifier.receive(alert(instance="box\ud800"))
        await notifier.deliver()
        assert "box" in (await notifier.page("/messages/1")).words


async def test_a_message_that_was_taken_back_says_that_another_one_tells(tmp_path):
    """It has nothing behind it any more."""
    async with site(tmp_path, answers=[TOO_FAST]) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        await notifier.receive(alert(status="resolved", ends_at=START + 1))
        await notifier.deliver()
        assert notifier.store.message(1).state is MessageState.MERGED
        page = await notifier.page("/messages/1")
        assert "它在送达之前被收回，其中的告警由另一条消息告知。" in page.words


async def test_the_button_sends_a_dead_letter_again(tmp_path):
    """Back to its page, where it waits; a second click finds nothing to send."""
    async with site(tmp_path, answers=[BLOCKED, BLOCKED, OK, OK]) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        (dead,) = notifier.store.messages(state=MessageState.DEAD)
        page = await notifier.page(f"/messages/{dead.id}")
        assert "没有送达：内容被拒绝（不合适的文本）。" in page.words
        assert page.forms() == [f"../messages/{dead.id}/resend"]
        answer = await notifier.client.post(f"/messages/{dead.id}/resend", headers=OWN)
        assert (answer.status_code, answer.headers["location"]) == (303, f"../{dead.id}")
        assert notifier.store.message(dead.id).state is MessageState.WAITING
        again = await notifier.client.post(f"/messages/{dead.id}/resend", headers=OWN)
        assert again.status_code == 409
        assert "没有可重发的" in checked(again).words
        await notifier.deliver()
        assert notifier.store.message(dead.id).state is MessageState.DELIVERED


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://notifier"},
        {"origin": "http://elsewhere"},
        {"origin": "null"},
    ],
)
async def test_a_form_of_another_page_sends_nothing(tmp_path, headers):
    """Whatever the visitor is admitted to."""
    async with site(tmp_path, answers=[BLOCKED, BLOCKED]) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        (dead,) = notifier.store.messages(state=MessageState.DEAD)
        answer = await notifier.client.post(f"/messages/{dead.id}/resend", headers=headers)
        assert answer.status_code == 403
        checked(answer)
        assert notifier.store.message(dead.id).state is MessageState.DEAD


async def test_looking_changes_nothing(tmp_path):
    """A link preview cannot send."""
    async with site(tmp_path, answers=[BLOCKED, BLOCKED]) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        (dead,) = notifier.store.messages(state=MessageState.DEAD)
        assert (await notifier.client.get(f"/messages/{dead.id}/resend")).status_code == 405
        assert notifier.store.message(dead.id).state is MessageState.DEAD
