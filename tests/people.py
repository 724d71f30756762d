"""The notifier with people before it: its application with links, a rota, and an Alertmanager that notes what it is asked."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx

from dingtalk.alertmanager import MadeSilence
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
NO_ANSWER = "Alertmanager at 127.0.0.1:9093 does not answer"
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
    """Makes every silence.

    Attributes:
        made: what was asked for.
        kept: what is there, by its id.
        fails: nothing is answered, and nothing is done.
        late: as many silences are made, but their answers are lost.
        holds: as many calls that make one are held, before anything is done, until `freed` is set.
    """

    made: list[dict] = field(default_factory=list)
    kept: dict[str, MadeSilence] = field(default_factory=dict)
    fails: bool = False
    late: int = 0
    holds: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    async def silence(self, matchers, *, starts_at, ends_at, by, comment):
        await self._hold()
        self._answer()
        labels = {one.name: one.value for one in matchers}
        self.made.append({"matchers": labels, "seconds": ends_at - starts_at, "by": by, "comment": comment})
        number = f"silence-{len(self.made)}"
        self.kept[number] = MadeSilence(
            # As Alertmanager has it, which lets none begin before it was asked for.
            id=number,
            by=by,
            comment=comment,
            matchers=labels,
            starts_at=starts_at + 0.25,
            ends_at=ends_at,
            over=False,
        )
        if self.late:
            self.late -= 1
            raise UpstreamFailed(NO_ANSWER)
        return number

    async def silences_marked(self, mark):
        self._answer()
        return [one for one in self.kept.values() if one.comment.endswith(mark)]

    async def expire(self, silence):
        self._answer()
        self.kept[silence] = replace(self.kept[silence], over=True)

    @property
    def in_force(self):
        return [number for number, one in self.kept.items() if not one.over]

    async def _hold(self):
        if self.holds:
            self.holds -= 1
            self.held.set()
            await self.freed.wait()

    def _answer(self):
        if self.fails:
            raise UpstreamFailed(NO_ANSWER)


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
async def running(folder, *, values=None, time=None, silences=None):
    time = time or Time()
    loaded = config(**(values or {}))
    links = SignedLinks(f"{PUBLIC_URL}/notifier", KEY)
    dingtalk, silences = FakeDingTalk(time), silences or FakeSilences()
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
