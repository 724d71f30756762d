"""`/robot/send` over HTTP, and the faults that can be set."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from dingtalk.simulator.feed import Feed
from dingtalk.simulator.hang_up import HungUp
from tests.unit.dingtalk.simulator.composition import markdown, simulating, text


async def test_a_signed_markdown_message_is_answered_as_dingtalk_does():
    """JSON in HTTP 200, the code a number."""
    async with simulating({"secret": "SECx"}) as simulator:
        response = await simulator.send(markdown("## 告警"), secret="SECx")
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json; charset=utf-8")
        assert response.content == b'{"errcode":0,"errmsg":"ok"}'
        assert [message["text"] for message in await simulator.messages()] == ["## 告警"]


async def test_a_sign_encoded_twice_does_not_match():
    """Once is right; httpx encodes what it is given as parameters once more."""
    async with simulating({"secret": "SECx"}, wording="old") as simulator:
        good = str((await simulator.send(secret="SECx")).request.url.query, "ascii")
        assert "%3D" in good
        twice = good.replace("%", "%25")
        response = await simulator.client.post(f"/robot/send?{twice}", json=text())
        assert response.json() == {"errcode": 310000, "errmsg": "sign not match"}


async def test_an_unencoded_plus_does_not_match_either():
    """A query's plus is a blank."""
    async with simulating({"secret": "SECx"}, wording="old") as simulator:
        for _ in range(20):
            query = str((await simulator.send(secret="SECx")).request.url.query, "ascii")
            if "%2B" in query:
                break
            simulator.clock.tick(30)
        response = await simulator.client.post(f"/robot/send?{query.replace('%2B', '+')}", json=text())
        assert response.json()["errmsg"] == "sign not match"


async def test_a_client_that_follows_the_redirect_of_a_ban_gets_a_page_with_200():
    """The trap: it then believes that all is well."""
    async with simulating(limit=1) as simulator:
        assert (await simulator.send()).json()["errcode"] == 0
        throttled = await simulator.send()
        assert (throttled.status_code, throttled.json()["errcode"]) == (200, 130101)
        banned = await simulator.send()
        assert (banned.status_code, banned.headers["location"], banned.content) == (302, "/punish", b"")
        followed = await simulator.send(follow_redirects=True)
        assert (followed.status_code, followed.request.method) == (200, "GET")
        assert followed.text.startswith("<!doctype html>")


async def test_a_body_in_pieces_and_one_without_end():
    """Far over the limit it is not read to its end."""
    read = 0

    async def pieces(count: int):
        nonlocal read
        for _ in range(count):
            read += 1
            yield b'"' + b"x" * 65_535

    async with simulating() as simulator:
        headers = {"content-type": "application/json"}
        response = await simulator.client.post("/robot/send?access_token=t", content=pieces(2), headers=headers)
        assert response.json()["errcode"] == 460101
        response = await simulator.client.post("/robot/send?access_token=t", content=pieces(1000), headers=headers)
        assert response.json()["errcode"] == 460101
        assert read < 100
        (first, _) = await simulator.attempts()
        assert first["body_bytes"] == 131_072


async def test_only_posts_are_taken():
    """Like DingTalk's."""
    async with simulating() as simulator:
        assert (await simulator.client.get("/robot/send?access_token=t")).status_code == 405


ANSWERS = [
    ({"kind": "string_errcode"}, 200, b'{"errcode":"0","errmsg":"ok"}', True),
    ({"kind": "html"}, 200, b"<!doctype html>", False),
    ({"kind": "html", "delivers": True}, 200, b"<!doctype html>", True),
    ({"kind": "bad_gateway"}, 502, b"<html>", False),
    ({"kind": "broken_json"}, 200, b'{"errcode":0,"errm', False),
    ({"kind": "disabled"}, 200, '{"errcode":400102,"errmsg":"机器人已停用"}'.encode(), False),
    ({"kind": "dissolved"}, 200, '{"errcode":400013,"errmsg":"群已被解散"}'.encode(), False),
    ({"kind": "busy"}, 200, '{"errcode":-1,"errmsg":"系统繁忙"}'.encode(), False),
    ({"kind": "busy", "delivers": True}, 200, '{"errcode":-1,"errmsg":"系统繁忙"}'.encode(), True),
    ({"kind": "errcode", "errcode": 90018, "errmsg": "qps"}, 200, b'{"errcode":90018,"errmsg":"qps"}', False),
]


@pytest.mark.parametrize(("fault", "status", "body", "delivered"), ANSWERS)
async def test_a_fault_answers_in_the_place_of_dingtalk(fault, status, body, delivered):
    """For as many calls as it was set for; the group gets the message or not."""
    async with simulating() as simulator:
        assert (await simulator.control("faults", times=2, **fault)).status_code == 201
        for _ in range(2):
            response = await simulator.send()
            assert response.status_code == status
            assert response.content.startswith(body)
        assert (await simulator.send()).json() == {"errcode": 0, "errmsg": "ok"}
        assert len(await simulator.messages()) == (3 if delivered else 1)
        outcomes = [attempt["outcome"] for attempt in await simulator.attempts()]
        assert outcomes == ["delivered" if delivered else "fault"] * 2 + ["delivered"]


@pytest.mark.parametrize(("kind", "delivered"), [("ambiguous_close", 1), ("ambiguous_timeout", 1), ("drop", 0)])
async def test_a_connection_closed_without_an_answer(kind, delivered):
    """The sender cannot know whether the group has it; the same msgUuid tells on the next attempt."""
    waits = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with simulating(sleep=sleep) as simulator:
        await simulator.control("faults", kind=kind, times=1)
        with pytest.raises(HungUp):
            await simulator.send(text("一", msgUuid="u"))
        assert len(await simulator.messages()) == delivered
        assert (await simulator.send(text("一", msgUuid="u"))).json()["errcode"] == 0
        (message,) = await simulator.messages()
        assert message["duplicates"] == delivered
        (first, _) = await simulator.attempts()
        assert (first["http_status"], first["errcode"], first["faults"]) == (None, None, [kind])
    assert waits == ([30.0] if kind == "ambiguous_timeout" else [])


async def test_a_slow_answer_comes_after_its_delay_and_the_group_has_the_message_at_once():
    """Like a message with a slow picture."""
    started, let_go = asyncio.Event(), asyncio.Event()
    waits = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        started.set()
        await let_go.wait()

    async with simulating(sleep=sleep) as simulator, asyncio.timeout(20):
        await simulator.control("faults", kind="slow", delay_seconds=7)
        sending = asyncio.create_task(simulator.send())
        await started.wait()
        assert len(await simulator.messages()) == 1
        assert not sending.done()
        let_go.set()
        assert (await sending).json()["errcode"] == 0
    assert waits == [7.0]


async def call(app, messages: list[dict], hang_up: asyncio.Event) -> list[dict]:
    """Call /robot/send by bare ASGI; after its messages the caller stays until it hangs up."""
    sent = []

    async def receive() -> dict:
        if messages:
            return messages.pop(0)
        await hang_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/robot/send", "query_string": b"access_token=t", "headers": headers}
    await app({**scope, "client": ("127.0.0.1", 1), "server": ("dingtalk.test", 80), "scheme": "http", "root_path": ""}, receive, send)
    return sent


async def test_a_caller_who_hangs_up_during_the_delay_gets_nothing_but_the_group_has_the_message():
    """As after a time-out of its own."""
    started, hang_up = asyncio.Event(), asyncio.Event()

    async def sleep(_seconds: float) -> None:
        started.set()
        await asyncio.Event().wait()

    async with simulating(sleep=sleep) as simulator, asyncio.timeout(20):
        await simulator.control("faults", kind="slow", delay_seconds=7)
        body = {"type": "http.request", "body": json.dumps(text()).encode(), "more_body": False}
        calling = asyncio.create_task(call(simulator.app, [body], hang_up))
        await started.wait()
        hang_up.set()
        assert await calling == []
        assert len(await simulator.messages()) == 1


async def test_a_call_that_never_arrives_whole_is_none():
    """It uses nothing and stands in no list."""
    hang_up = asyncio.Event()
    hang_up.set()
    async with simulating() as simulator, asyncio.timeout(20):
        await call(simulator.app, [{"type": "http.request", "body": b'{"msgtype"', "more_body": True}], hang_up)
        assert await simulator.attempts() == []


async def test_a_slow_fault_and_another_go_together():
    """The delays add up, and the answer is the other's."""
    waits = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with simulating(sleep=sleep) as simulator:
        await simulator.control("faults", kind="slow", delay_seconds=7)
        await simulator.control("faults", kind="bad_gateway", delay_seconds=2)
        assert (await simulator.send()).status_code == 502
    assert waits == [9.0]


async def test_held_answers_are_let_go_when_the_simulator_ends():
    """Nothing keeps it from ending."""
    feed, started = Feed(), asyncio.Event()

    async def sleep(_seconds: float) -> None:
        started.set()
        await asyncio.Event().wait()

    async with simulating(sleep=sleep, feed=feed) as simulator, asyncio.timeout(20):
        await simulator.control("faults", kind="slow", delay_seconds=3600)
        sending = asyncio.create_task(simulator.send())
        await started.wait()
        feed.close()
        assert (await sending).json()["errcode"] == 0


async def test_a_fault_is_for_its_robot_and_until_it_is_cleared():
    """Others are served."""
    async with simulating({}, {"name": "dev", "token": "d"}) as simulator:
        await simulator.control("faults", kind="disabled", robot="dev")
        for _ in range(3):
            assert (await simulator.send(token="d")).json()["errcode"] == 400102
            assert (await simulator.send()).json()["errcode"] == 0
        assert (await simulator.control("clear", robot="ops")).json() == {"cleared": 0}
        assert (await simulator.control("clear", robot="dev")).json() == {"cleared": 1}
        assert (await simulator.send(token="d")).json()["errcode"] == 0


async def test_a_fault_that_delivers_waits_for_a_call_that_is_delivered():
    """A refused or banned call does not spend it."""
    async with simulating(limit=2) as simulator:
        await simulator.control("faults", kind="string_errcode", times=1)
        assert (await simulator.send({"msgtype": "x"})).json()["errcode"] == 400105
        assert (await simulator.send()).json()["errcode"] == "0"
        await simulator.control("faults", kind="busy")
        await simulator.control("clear")
        assert (await simulator.send()).json()["errcode"] == 130101
        await simulator.control("faults", kind="busy")
        assert (await simulator.send()).status_code == 302


async def test_a_failing_answer_does_not_use_the_minute():
    """DingTalk was not reached."""
    async with simulating(limit=1) as simulator:
        await simulator.control("faults", kind="bad_gateway", times=5)
        for _ in range(5):
            await simulator.send()
        assert (await simulator.send()).json()["errcode"] == 0


async def test_tokens_stand_in_no_list():
    """Neither known nor unknown ones."""
    async with simulating({"token": "very-secret"}) as simulator:
        await simulator.send(token="very-secret")
        await simulator.send(token="very-wrong")
        await simulator.send(token="very-secret", content=json.dumps(text()).encode(), headers={"content-type": "text/plain"})
        for path in ("/messages", "/attempts", "/control/state", "/"):
            response: httpx.Response = await simulator.client.get(path)
            assert response.status_code == 200
            assert "very" not in response.text
