"""`/messages` and `/attempts`."""

from __future__ import annotations

import asyncio

import pytest

from dingtalk.simulator.feed import Feed
from tests.unit.dingtalk.simulator.composition import markdown, simulating, text


async def test_a_message_has_all_that_a_test_asks_for():
    """Times in seconds since 1970 and as people in Shanghai read them."""
    group = {"name": "值班群", "members": [{"name": "张三", "mobile": "13800138000"}]}
    async with simulating(groups=[group]) as simulator:
        body = markdown("@13800138000 看", at={"atMobiles": ["13800138000", "13900139000"], "isAtAll": True}, msgUuid="u-7")
        await simulator.send(body)
        response = await simulator.client.get("/messages")
        assert response.headers["cache-control"] == "no-store"
        (message,) = response.json()["messages"]
        size = message.pop("body_bytes")
        assert size == len(response_body(body))
        assert message == {
            "index": 1,
            "robot": "ops",
            "group": "值班群",
            "received": "2026-11-18T19:06:40.000+08:00",
            "received_seconds": 1795000000.0,
            "msgtype": "markdown",
            "title": "告警",
            "text": "@13800138000 看",
            "links": [],
            "at": {
                "all": True,
                "mobiles": ["13800138000"],
                "user_ids": [],
                "ignored": [{"id": "13900139000", "reason": "not_in_text"}],
            },
            "msgUuid": "u-7",
            "duplicates": 0,
        }


def response_body(body: dict) -> bytes:
    import httpx

    return httpx.Request("POST", "http://x", json=body).content


async def test_links_of_cards_are_listed():
    """With their titles and addresses."""
    async with simulating() as simulator:
        card = {"title": "t", "text": "x", "btns": [{"title": "静默", "actionURL": "https://example.com/s"}]}
        await simulator.send({"msgtype": "actionCard", "actionCard": card})
        (message,) = await simulator.messages()
        assert message["links"] == [{"title": "静默", "url": "https://example.com/s", "picture": ""}]


async def test_every_call_is_listed_with_its_answer():
    """Refused ones too, by the robot's name."""
    async with simulating(limit=2) as simulator:
        await simulator.send(text("一", msgUuid="u"))
        await simulator.send({"msgtype": "file"})
        await simulator.send(token="nobody")
        await simulator.send()
        await simulator.send()
        told = [
            (each["index"], each["robot"], each["outcome"], each["http_status"], each["errcode"], each["errmsg"], each["message"])
            for each in await simulator.attempts()
        ]
        assert told == [
            (1, "ops", "delivered", 200, 0, "ok", 1),
            (2, "ops", "refused", 200, 400105, "不支持的消息类型", None),
            (3, None, "refused", 200, 400101, "access_token 不存在", None),
            (4, "ops", "throttled", 200, 130101, "send too fast, exceed 2 times per minute", None),
            (5, "ops", "banned", 302, None, None, None),
        ]


async def test_lists_go_on_after_an_index_and_by_robot_and_group():
    """`next` is the index to go on with."""
    async with simulating({}, {"name": "dev", "token": "d", "group": "开发群"}) as simulator:
        for number in range(3):
            await simulator.send(text(f"ops {number}"))
            await simulator.send(text(f"dev {number}"), token="d")
        await simulator.send(token="nobody")

        async def ask(path: str, **query: object) -> tuple[list[int], int]:
            answer = (await simulator.client.get(f"/{path}", params=query)).json()
            return [each["index"] for each in answer[path]], answer["next"]

        assert await ask("messages") == ([1, 2, 3, 4, 5, 6], 6)
        assert await ask("messages", since=4) == ([5, 6], 6)
        assert await ask("messages", since=6) == ([], 6)
        assert await ask("messages", since=99) == ([], 99)
        assert await ask("messages", robot="dev") == ([2, 4, 6], 6)
        assert await ask("messages", group="值班群", since=1) == ([3, 5], 5)
        assert await ask("messages", robot="dev", group="值班群") == ([], 0)
        assert await ask("messages", limit=2) == ([1, 2], 2)
        assert await ask("attempts", robot="dev") == ([2, 4, 6], 6)
        assert await ask("attempts", group="值班群") == ([1, 3, 5], 5)
        assert await ask("attempts", since=6) == ([7], 7)


async def test_a_gap_can_be_seen():
    """By the oldest index that is kept."""
    async with simulating(keep=2, limit=100) as simulator:
        assert (await simulator.client.get("/messages")).json() == {"messages": [], "next": 0, "oldest": None}
        for _ in range(5):
            await simulator.send()
        answer = (await simulator.client.get("/messages", params={"since": 1})).json()
        assert ([each["index"] for each in answer["messages"]], answer["oldest"]) == ([4, 5], 4)


@pytest.mark.parametrize("path", ["/messages", "/attempts"])
async def test_who_waits_gets_the_next_one_as_soon_as_it_is_there(path):
    """Others do not end the wait."""
    async with simulating({}, {"name": "dev", "token": "d"}) as simulator, asyncio.timeout(20):
        await simulator.send()
        waiting = asyncio.create_task(simulator.client.get(path, params={"since": 1, "robot": "dev", "wait": 60}))
        await asyncio.sleep(0)
        await simulator.send()
        assert not waiting.done()
        await simulator.send(token="d")
        answer = (await waiting).json()
        assert [each["index"] for each in answer[path[1:]]] == [3]


async def test_who_waits_in_vain_gets_an_empty_list():
    """When the time is over, not with an error."""
    async with simulating() as simulator:
        answer = (await simulator.client.get("/messages", params={"wait": 0.01})).json()
        assert answer == {"messages": [], "next": 0, "oldest": None}


async def test_who_waits_is_let_go_when_the_simulator_ends():
    """And nobody waits after that."""
    feed = Feed()
    async with simulating(feed=feed) as simulator, asyncio.timeout(20):
        waiting = asyncio.create_task(simulator.client.get("/messages", params={"wait": 60}))
        while not feed.waiting:
            await asyncio.sleep(0)
        feed.close()
        assert (await waiting).json()["messages"] == []
        assert await simulator.messages(wait=60) == []


async def test_more_than_so_many_do_not_wait():
    """They are answered at once."""
    feed = Feed(most_waiting=1)
    async with simulating(feed=feed) as simulator, asyncio.timeout(20):
        waiting = asyncio.create_task(simulator.client.get("/messages", params={"wait": 60}))
        while not feed.waiting:
            await asyncio.sleep(0)
        assert await simulator.messages(wait=60) == []
        await simulator.send()
        assert len((await waiting).json()["messages"]) == 1


@pytest.mark.parametrize("query", ["since=-1", "since=x", "wait=61", "wait=nan", "wait=-1", "limit=0", "limit=1001", "nonsense=1"])
@pytest.mark.parametrize("path", ["/messages", "/attempts"])
async def test_a_wrong_question_is_said_to_be_one(path, query):
    """422, with the name of the parameter."""
    async with simulating() as simulator:
        response = await simulator.client.get(f"{path}?{query}")
        assert response.status_code == 422
        assert response.json()["error"].startswith(query.partition("=")[0])


async def test_it_says_that_it_lives():
    """For who starts it."""
    async with simulating() as simulator:
        assert (await simulator.client.get("/livez")).json() == {"status": "alive"}
