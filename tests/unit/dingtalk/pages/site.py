"""The pages of a notifier whose time is turned by hand, and what always holds for each of them."""

from __future__ import annotations

import base64
import hashlib
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from importlib import resources

import httpx

from dingtalk.app import create_app
from dingtalk.boot import Boot
from dingtalk.fallback import NoFallback
from dingtalk.outbox.store import Outbox
from dingtalk.renders import BareRenderer
from dingtalk.runbooks import Runbooks
from tests.notifier import FakeDingTalk, Time, configuration, payload

VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """A parsed page: its words, its elements, and that every element that opens also closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text = ""
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
        if "style" not in self._open:
            self._text += f" {data}"

    @property
    def words(self) -> str:
        return " ".join(self._text.split())

    def addresses(self) -> list[str]:
        """Where its links and forms lead."""
        return [attributes[name] or "" for tag, attributes in self.elements for name in ("href", "action") if name in attributes]

    def forms(self) -> list[str]:
        return [attributes["action"] or "" for tag, attributes in self.elements if tag == "form"]


class Site:
    """The notifier behind the pages."""

    def __init__(self, client, app, store, time, dingtalk):
        self.client, self.worker, self.store, self.time, self.dingtalk = client, app.state.worker, store, time, dingtalk

    async def receive(self, *alerts, **values):
        assert (await self.client.post("/v1/alertmanager/main", content=payload(*alerts, **values))).status_code == 200

    async def deliver(self):
        for _ in range(6):
            await self.worker.turn()
            await self.worker.settle()

    async def page(self, path: str = "/", *, status: int = 200, **options) -> Page:
        """Fetch a page, and check what always holds: nothing runs, nothing comes from elsewhere, every own address is relative."""
        response = await self.client.get(path, **options)
        assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
        return checked(response)


def checked(response) -> Page:
    style = resources.files("dingtalk.web").joinpath("static", "style.css").read_bytes()
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert response.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert f"<style>{style.decode()}</style>" in response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "same-origin"
    page = Page(response.text)
    assert {tag for tag, _ in page.elements} & {"script", "iframe", "img", "object", "font", "base"} == set()
    assert not any(name == "style" or name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert [address for address in page.addresses() if address.startswith("/")] == []
    return page


@asynccontextmanager
async def site(folder, *, answers=(), caller=("127.0.0.1", 50000), renderer=None, time=None, **values):
    """A notifier; `caller` is where its visitors come from."""
    time = time or Time()
    config = configuration(**values)
    dingtalk = FakeDingTalk(time)
    for robot in config.robots:
        dingtalk.answers[robot.name] = list(answers)
    store = Outbox.open(folder, clock=time.clock, boot=Boot(id="boot"), max_queue=1_000)
    app = create_app(
        config,
        clock=time.clock,
        renderer=renderer or BareRenderer(),
        client=dingtalk,
        fallback=NoFallback(),
        store=store,
        runbooks=Runbooks.load(config.runbooks),
    )
    try:
        transport = httpx.ASGITransport(app, client=caller)
        async with httpx.AsyncClient(transport=transport, base_url="http://notifier") as client:
            yield Site(client, app, store, time, dingtalk)
    finally:
        store.close()
