"""A simulator with its clock moved by hand, called in process."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import httpx

from dingtalk.simulator.app import create_app
from dingtalk.simulator.call import Call
from dingtalk.simulator.robots import RobotServer, Verdict
from dingtalk.simulator.settings import Settings
from dingtalk.simulator.signature import signature

START = 1_795_000_000.0
"""Wed 2026-11-18 17:46:40 in Shanghai."""


class HandClock:
    """Both clocks from one origin, moved by hand."""

    def __init__(self, unix: float = START) -> None:
        self.origin = unix
        self.seconds = 0.0

    def tick(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    def unix(self) -> float:
        return self.origin + self.seconds


def settings(*robots: dict, **more: object) -> Settings:
    """Settings with these robots; by default one called `ops`, with the token `t`."""
    return Settings.of({"robots": [{"name": "ops", "token": "t", "group": "值班群", **robot} for robot in robots or ({},)], **more})


def text(content: str = "你好", **more: object) -> dict:
    return {"msgtype": "text", "text": {"content": content}, **more}


def markdown(words: str = "## 告警", title: str = "告警", **more: object) -> dict:
    return {"msgtype": "markdown", "markdown": {"title": title, "text": words}, **more}


class Robots:
    """The rules without HTTP: calls a `RobotServer` and tells what it answers."""

    def __init__(self, *robots: dict, clock: HandClock | None = None, journal=None, **more: object) -> None:
        self.clock = clock or HandClock()
        self.server = RobotServer(settings(*robots, **more), clock=self.clock, journal=journal, make_uuid=lambda: "u-1")

    def verdict(self, body: object = None, *, token: str = "t", raw: bytes | None = None, **query: object) -> Verdict:
        if raw is None:
            raw = json.dumps(text() if body is None else body, ensure_ascii=False).encode()
        call = Call(
            token=token,
            timestamp=query.get("timestamp"),
            sign=query.get("sign"),
            content_type=query.get("content_type", "application/json; charset=utf-8"),
            body=raw,
            body_bytes=len(raw),
            client=query.get("client", "127.0.0.1"),
        )
        return self.server.receive(call)

    def send(self, body: object = None, **more: object) -> tuple[int | str | None, str | None]:
        """The errcode and errmsg of the answer."""
        answer = self.verdict(body, **more).answer
        return answer.errcode, answer.errmsg

    def code(self, body: object = None, **more: object) -> int | str | None:
        return self.send(body, **more)[0]

    @property
    def messages(self) -> list:
        return list(self.server.history.messages())

    @property
    def attempts(self) -> list:
        return list(self.server.history.attempts())

    @property
    def outcomes(self) -> list[str]:
        return [str(attempt.outcome) for attempt in self.attempts]


class Simulator:
    """The whole application, and a client of it."""

    def __init__(self, app, client: httpx.AsyncClient, clock: HandClock) -> None:
        self.app = app
        self.client = client
        self.clock = clock

    async def send(self, body: object = None, *, token: str = "t", secret: str | None = None, **more: object) -> httpx.Response:
        """Call /robot/send as a careful sender does."""
        query = {"access_token": token}
        if secret is not None:
            timestamp = str(round(self.clock.unix() * 1000))
            query |= {"timestamp": timestamp, "sign": signature(timestamp, secret)}
        return await self.client.post(f"/robot/send?{urlencode(query)}", json=text() if body is None else body, **more)

    async def control(self, path: str, **members: object) -> httpx.Response:
        return await self.client.post(f"/control/{path}", json=members)

    async def messages(self, **query: object) -> list[dict]:
        return (await self.client.get("/messages", params=query)).json()["messages"]

    async def attempts(self, **query: object) -> list[dict]:
        return (await self.client.get("/attempts", params=query)).json()["attempts"]


@asynccontextmanager
async def simulating(*robots: dict, client: str = "127.0.0.1", clock: HandClock | None = None, sleep=None, feed=None, **more: object):
    """A running simulator; `more` are settings."""
    clock = clock or HandClock()
    options = {} if sleep is None else {"sleep": sleep}
    app = create_app(settings(*robots, **more), clock=clock, feed=feed, **options)
    transport = httpx.ASGITransport(app, client=(client, 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://dingtalk.test") as http:
        yield Simulator(app, http, clock)
