"""The notifier with people before it: its application with links, a rota, and an Alertmanager that notes what it is asked."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from dingtalk.app import create_app
from dingtalk.boot import Boot
from dingtalk.errors import UpstreamFailed
from dingtalk.fallback import NoFallback
from dingtalk.links import SignedLinks
from dingtalk.message import Renderer
from dingtalk.outbox.store import Outbox
from tests.notifier import FakeDingTalk, Time, alert, configuration, payload

PUBLIC_URL = "https://alerts.example.com"
KEY = b"0123456789abcdef"
PEOPLE = [{"name": "张三", "mobile": "13800000001"}, {"name": "李四", "user_id": "lisi"}]


def config(**values):
    values.setdefault("public_url", PUBLIC_URL)
    values.setdefault("people", PEOPLE)
    values.setdefault("rota", {"people": ["张三", "李四"], "after": 300, "phone": "json://localhost"})
    return configuration(**values)


def critical(name="HighErrorRate", **values):
    return alert(name, severity="critical", **values)


def group(*alerts, key="g", **values):
    values.setdefault("groupLabels", {"alertname": alerts[0]["labels"]["alertname"]})
    return payload(*alerts, group=key, **values)


@dataclass(slots=True)
class FakeSilences:
    """Makes every silence, or none while `fails`."""

    made: list[dict] = field(default_factory=list)
    fails: bool = False

    async def silence(self, matchers, *, starts_at, ends_at, by, comment):
        if self.fails:
            raise UpstreamFailed("Alertmanager at 127.0.0.1:9093 does not answer")
        labels = {one.name: one.value for one in matchers}
        self.made.append({"matchers": labels, "seconds": ends_at - starts_at, "by": by, "comment": comment})
        return f"silence-{len(self.made)}"


class Notifier:
    """Calls of an application whose worker delivers when it is told to."""

    def __init__(self, client, store, time, dingtalk, silences, app):
        self.client, self.store, self.time, self.dingtalk, self.silences, self.app = client, store, time, dingtalk, silences, app

    async def receive(self, body):
        assert (await self.client.post("/v1/alertmanager/main", content=body)).status_code == 200

    async def deliver(self):
        while await self.app.state.worker.turn():
            await self.app.state.worker.settle()

    async def told(self, body):
        """Deliver a notification; the paths of the links of its message, by their first step."""
        await self.receive(body)
        await self.deliver()
        return links_of(self.dingtalk.texts[-1])

    @property
    def said(self):
        """What the notifier said of itself."""
        return [message.part.text for message in self.store.messages() if message.group_key.startswith("notifier:")][::-1]


def links_of(text):
    return {step: f"/{step}/{token}" for step, token in re.findall(r"/notifier/(ack|silence|show)/([\w.-]+)", text)}


@asynccontextmanager
async def running(folder, *, values=None, time=None):
    time = time or Time()
    loaded = config(**(values or {}))
    links = SignedLinks(f"{PUBLIC_URL}/notifier", KEY)
    dingtalk, silences = FakeDingTalk(time), FakeSilences()
    store = Outbox.open(folder, clock=time.clock, boot=Boot(id="boot"), max_queue=loaded.max_queue)
    app = create_app(
        loaded,
        clock=time.clock,
        renderer=Renderer(loaded, links=links),
        client=dingtalk,
        fallback=NoFallback(),
        store=store,
        links=links,
        silences=silences,
    )
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notifier") as client:
            yield Notifier(client, store, time, dingtalk, silences, app)
    finally:
        store.close()
