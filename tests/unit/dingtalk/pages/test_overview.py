"""The overview: queue, robots, quota, last messages."""

from __future__ import annotations

from dingtalk.outbox.rows import MessageState
from dingtalk.quota import Degradation
from tests.notifier import BLOCKED, TOO_FAST, alert, robots
from tests.unit.dingtalk.pages.site import site


async def test_with_nothing_to_do_it_says_so(tmp_path):
    """Every part is there, empty."""
    async with site(tmp_path) as notifier:
        page = await notifier.page()
        assert "都已送达 队列是空的。" in page.words
        assert "严重 critical 0 普通 normal 0 未送达 dead 0" in page.words
        assert "r1 正常 这一分钟还可发 18 条" in page.words
        assert "default 正常发送 已用 0 / 3000 月底预计 0" in page.words
        assert "还没有消息。" in page.words


async def test_what_waits_is_counted_with_its_age(tmp_path):
    """Critical ones apart."""
    async with site(tmp_path) as notifier:
        await notifier.receive(alert())
        await notifier.receive(alert(severity="critical"), group="h")
        notifier.time.now += 125
        page = await notifier.page()
        assert "等待发送 队列里最久的已等了 2 分钟 ，从 20:00:00 起。" in page.words
        assert "严重 critical 1 普通 normal 1 未送达 dead 0" in page.words


async def test_a_robot_that_is_banned_says_until_when(tmp_path):
    """In the time zone of the configuration, and with what DingTalk said."""
    async with site(tmp_path, answers=[TOO_FAST], robots=robots("r1", "r2")) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        page = await notifier.page()
        banned = next(name for name in ("r1", "r2") if notifier.dingtalk.calls[0][1] == name)
        assert f"{banned} 被限流 这一分钟还可发" in page.words
        assert "20:10:00 再试" in page.words
        assert "send too fast, exceed 20 times per minute" in page.words


async def test_a_robot_that_cannot_be_reached_says_so(tmp_path):
    """Which is no state of the robot."""
    async with site(tmp_path) as notifier:
        notifier.dingtalk.always["r1"] = "unreachable"
        await notifier.receive(alert())
        for _ in range(4):
            await notifier.deliver()
            notifier.time.now += 120
        assert "r1 连不上" in (await notifier.page()).words


async def test_the_quota_shows_its_forecast_and_what_is_given_up(tmp_path):
    """One call on the twentieth, so that three days have a third of one each, and there are ten and a third to come."""
    async with site(tmp_path, organisations=[{"name": "default", "monthly_quota": 100}]) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        notifier.store.set_step("default", Degradation.DIGESTS)
        assert "default 只发汇总，不再重复提醒 已用 1 / 100 月底预计 4" in (await notifier.page()).words


async def test_the_last_messages_lead_to_theirs(tmp_path):
    """Newest first; a dead letter can be sent again from here, and colours the page."""
    async with site(tmp_path, answers=[BLOCKED, BLOCKED]) as notifier:
        await notifier.receive(alert())
        await notifier.deliver()
        page = await notifier.page()
        assert "有消息未送达" in page.words
        (dead,) = notifier.store.messages(state=MessageState.DEAD)
        assert f"./messages/{dead.id}" in page.addresses()
        assert page.forms() == [f"./messages/{dead.id}/resend"]


async def test_when_nothing_can_be_stored_it_says_so(tmp_path):
    """And is still shown."""
    async with site(tmp_path) as notifier:
        notifier.store.writable = False
        assert "不能存储 收到的告警现在存不下来，Alertmanager 会重发" in (await notifier.page()).words


async def test_when_the_store_cannot_be_read_there_is_a_page_that_says_so(tmp_path):
    """503, as the JSON."""
    async with site(tmp_path) as notifier:
        notifier.store._reader.execute("DROP TABLE message")
        page = await notifier.page(status=503)
        assert "现在读不到" in page.words
