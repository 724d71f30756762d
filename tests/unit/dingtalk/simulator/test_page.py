"""The page of the groups."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib import resources

import pytest

from tests.unit.dingtalk.simulator.composition import markdown, simulating, text

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """A parsed page: its text, its elements, and that every element that opens also closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += f" {data}"

    @property
    def words(self) -> str:
        return " ".join(self.text.partition("钉钉模拟器")[2].split())

    def links(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.elements if tag == "a"]

    def classes(self, name: str) -> int:
        return sum(name in (attributes.get("class") or "").split() for _, attributes in self.elements)


async def page(simulator, query: str = "") -> Page:
    """Fetch the page, and check what always holds."""
    response = await simulator.client.get(f"/{query}")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    style = resources.files("dingtalk.simulator").joinpath("static", "style.css").read_bytes()
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert response.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert f"<style>{style.decode()}</style>" in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    parsed = Page(response.text)
    assert {tag for tag, _ in parsed.elements} & {"script", "iframe", "img", "object", "font"} == set()
    assert not any(name == "style" or name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    return parsed


async def test_an_empty_page_shows_the_groups():
    """Before anything has happened."""
    async with simulating({}, {"name": "dev", "token": "d", "group": "开发群"}) as simulator:
        shown = await page(simulator)
        assert "值班群 ops 本窗口 0/20 本月 0/3000 还没有消息。" in shown.words
        assert "开发群 dev" in shown.words
        assert "没有送达的调用 没有。" in shown.words


async def test_a_message_is_shown_as_the_group_would_see_it():
    """The title of a markdown message is not in the bubble; names stand for numbers."""
    group = {"name": "值班群", "members": [{"name": "张三", "mobile": "13800138000"}]}
    async with simulating(groups=[group]) as simulator:
        at = {"atMobiles": ["13800138000", "13900139000"], "isAtAll": True}
        body = markdown("### HighLatency  \n> P95 0.92 s\n\n@13800138000 @13900139000", title="只在会话列表", at=at)
        await simulator.send(body)
        shown = await page(simulator)
        assert "HighLatency" in shown.words
        assert "P95 0.92 s" in shown.words
        assert "@张三" in shown.words
        assert "@139****9000" in shown.words
        assert "@所有人" in shown.words
        assert "已提醒 张三" in shown.words
        assert "未提醒 139****9000（不是群成员）" in shown.words
        assert "13900139000" not in shown.text
        assert "只在会话列表" not in shown.words
        assert {"h3", "blockquote"} <= {tag for tag, _ in shown.elements}


async def test_cards_show_their_buttons_and_feeds_their_links():
    """DingTalk's own addresses are opened up."""
    async with simulating() as simulator:
        inner = "dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fexample.com%2Fstory&pc_slide=false"
        buttons = [{"title": "接手", "actionURL": "https://example.com/ack"}, {"title": "查看", "actionURL": inner}]
        await simulator.send(
            {"msgtype": "actionCard", "actionCard": {"title": "t", "text": "**x**", "btns": buttons, "btnOrientation": "1"}}
        )
        feed = [{"title": "周报", "messageURL": "https://example.com/week", "picURL": "https://example.com/p.png"}]
        await simulator.send({"msgtype": "feedCard", "feedCard": {"links": feed}})
        await simulator.send({"msgtype": "link", "link": {"title": "看这里", "text": "详情", "messageUrl": "javascript:alert(1)"}})
        shown = await page(simulator)
        assert {"https://example.com/ack", "https://example.com/story", "https://example.com/week", "#"} <= set(shown.links())
        assert ("接手" in shown.words, "周报" in shown.words, "看这里" in shown.words) == (True, True, True)
        assert shown.classes("side") == 1
        assert not any(link.startswith("javascript") for link in shown.links())


@pytest.mark.parametrize(
    "body",
    [
        text(HOSTILE, at={"atUserIds": [HOSTILE], "atMobiles": [HOSTILE]}),
        text(f"@{HOSTILE}", at={"atUserIds": [HOSTILE]}),
        markdown(f"# {HOSTILE}\n[{HOSTILE}](https://example.com/{HOSTILE})", title=HOSTILE),
        {"msgtype": "link", "link": {"title": HOSTILE, "text": HOSTILE, "messageUrl": HOSTILE, "picUrl": HOSTILE}},
        {"msgtype": "actionCard", "actionCard": {"title": "t", "text": HOSTILE, "singleTitle": HOSTILE, "singleURL": f"https://{HOSTILE}"}},
        {"msgtype": "feedCard", "feedCard": {"links": [{"title": HOSTILE, "messageURL": HOSTILE, "picURL": HOSTILE}]}},
    ],
)
@pytest.mark.parametrize("delivered", [True, False])
async def test_hostile_text_stays_text(body, delivered):
    """In bubbles as in the list of refused calls."""
    async with simulating({"keywords": [] if delivered else ["告警"]}) as simulator:
        assert (await simulator.send(body)).json()["errcode"] == (0 if delivered else 310000)
        shown = await page(simulator)
        if delivered:
            assert "alert(1)" in shown.text


async def test_repetitions_are_told_beside_the_one_message():
    """The group sees it once."""
    async with simulating() as simulator:
        for _ in range(3):
            await simulator.send(text("磁盘满了", msgUuid="u"))
        shown = await page(simulator)
        assert shown.words.count("磁盘满了") == 1
        assert "同一 msgUuid 又来 2 次，未重复显示" in shown.words


async def test_what_was_not_delivered_stands_at_the_side_newest_first():
    """With code and text, or what there was in their place."""
    async with simulating(limit=2) as simulator:
        await simulator.control("faults", kind="bad_gateway", times=1)
        await simulator.send()
        await simulator.send({"msgtype": "file"})
        await simulator.send(token="nobody")
        await simulator.send(text("一"))
        await simulator.send(text("二"))
        await simulator.send(text("三"))
        words = (await page(simulator)).words.partition("没有送达的调用")[2]
        assert re.sub(r"\d\d:\d\d:\d\d ", "", words).strip() == (
            "ops 限流期内 HTTP 302，没有 errcode "
            "ops 限流 130101 send too fast, exceed 2 times per minute 二 "
            "未知机器人 被拒绝 400101 access_token 不存在 "
            "ops 被拒绝 400105 不支持的消息类型 "
            "ops 注入故障 HTTP 502，没有 errcode 故障：bad_gateway "
            "JSON： /messages /attempts"
        )
        assert "限流中，还剩 600 秒" in (await page(simulator)).words


async def test_one_group_alone_and_a_page_that_loads_itself_again():
    """Only at the offered intervals."""
    async with simulating({}, {"name": "dev", "token": "d", "group": "开发 & 群"}) as simulator:
        await simulator.send(text("给值班"))
        await simulator.send(text("给开发"), token="d")
        everything = await page(simulator)
        link = next(link for link in everything.links() if link.startswith("./?group=") and "%26" in link)
        shown = await page(simulator, f"{link[2:]}&refresh=5")
        assert "给开发" in shown.words
        assert "给值班" not in shown.words
        assert not any(link.startswith("/") for link in shown.links())
        assert ("meta", {"http-equiv": "refresh", "content": "5"}) in shown.elements
        shown = await page(simulator, "?refresh=1;url=https://example.com")
        assert not any("http-equiv" in attributes for _, attributes in shown.elements)
        shown = await page(simulator, "?group=%3Cscript%3E")
        assert "没有这个群。" in shown.words


async def test_a_long_history_shows_its_newest():
    """And says how many are not shown."""
    async with simulating(limit=1000) as simulator:
        for number in range(60):
            await simulator.send(text(f"第 {number} 条"))
        shown = await page(simulator)
        assert "更早的 10 条见" in shown.words
        assert "第 9 条" not in shown.words
        assert "第 10 条" in shown.words
        assert shown.classes("bubble") == 50


async def test_times_are_of_shanghai_with_the_day_when_it_is_another():
    """17 hours later it is the next day there."""
    async with simulating() as simulator:
        await simulator.send()
        assert "19:06:40" in (await page(simulator)).words
        assert "2026-11-18" not in (await page(simulator)).words
        simulator.clock.tick(5 * 3600)
        assert "2026-11-18 19:06:40" in (await page(simulator)).words


async def test_faults_and_scale_are_said_on_the_page():
    """Else who looks would wonder."""
    async with simulating({}, {"name": "dev", "token": "d"}, scale=0.1) as simulator:
        await simulator.control("faults", kind="busy", times=3)
        await simulator.control("faults", kind="html", robot="dev")
        words = (await page(simulator)).words
        assert "时间比例 0.1" in words
        assert "注入故障 busy ，所有机器人，剩 3 次" in words
        assert "注入故障 html ，dev，直到清除" in words
