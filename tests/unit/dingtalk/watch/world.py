"""A box and its watcher in one process, in time that is turned by hand, with an Alertmanager that keeps silences."""

from __future__ import annotations

import itertools
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

import httpx

from dingtalk.app import create_app
from dingtalk.boot import Boot
from dingtalk.fallback import NoFallback
from dingtalk.heartbeat import Heartbeat, signature
from dingtalk.log import Log
from dingtalk.outbox.store import Outbox
from dingtalk.renders import BareRenderer
from dingtalk.watch.pulse import SIGNATURE_HEADER
from tests.notifier import FakeDingTalk, Time, alert, configuration, payload

KEY = "a key that both machines have"
BOXES = [{"name": "gpu-1", "key": KEY}]
WATCHERS = [{"url": "http://watch.example:8060", "key": KEY, "box": "gpu-1"}]
WATCHDOG = payload(alert("Watchdog", severity="none"))


class Silences:
    """Alertmanager's API, as far as silences go. `down` lets it answer 500."""

    def __init__(self, time):
        self.time = time
        self.made = {}
        self.down = False
        self._ids = itertools.count(1)

    def __call__(self, request):
        if self.down:
            return httpx.Response(500, text="not now")
        path = request.url.path
        if request.method == "DELETE":
            self.made[path.rpartition("/")[2]]["endsAt"] = None
            return httpx.Response(200)
        if request.method == "POST":
            number = f"s{next(self._ids)}"
            self.made[number] = json.loads(request.content)
            return httpx.Response(200, json={"silenceID": number})
        return httpx.Response(
            200,
            json=[
                {"id": number, "createdBy": one["createdBy"], "comment": one["comment"], "status": {"state": self._state(one)}}
                for number, one in self.made.items()
            ],
        )

    def _state(self, one):
        if one["endsAt"] is None or datetime.fromisoformat(one["endsAt"]).timestamp() <= self.time.now:
            return "expired"
        return "active" if datetime.fromisoformat(one["startsAt"]).timestamp() <= self.time.now else "pending"

    @property
    def in_force(self):
        return [one for one in self.made.values() if self._state(one) != "expired"]


class Network:
    """Everything that is called, by host; a host that nobody is at refuses the connection."""

    def __init__(self):
        self.hosts = {}
        self.calls = []

    async def handle(self, request):
        self.calls.append(request)
        host = self.hosts.get(request.url.host)
        if host is None:
            raise httpx.ConnectError("refused")
        if isinstance(host, httpx.ASGITransport):
            return await host.handle_async_request(request)
        return host(request)


class Lines:
    """A stream that keeps its lines."""

    def __init__(self):
        self.lines = []

    def write(self, text):
        self.lines.append(json.loads(text))

    def flush(self):
        pass

    def of(self, event):
        return [(line["function"], line["error_message"]) for line in self.lines if line["event"] == f"mgeo.notifier.{event}"]


class Machine:
    """One notifier without a server; nothing in it goes on by itself, so that a test turns it."""

    def __init__(self, folder, *, time, network, **values):
        self.time = time
        self.config = configuration(**values)
        self.log = Lines()
        self.store = Outbox.open(folder, clock=time.clock, boot=Boot(id="boot"), max_queue=100)
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(network.handle))
        self.app = create_app(
            self.config,
            clock=time.clock,
            renderer=BareRenderer(),
            client=FakeDingTalk(time),
            fallback=NoFallback(),
            store=self.store,
            log=Log(self.log, clock=time.clock),
            http=self.http,
        )
        self.upkeep, self.lookout, self.pulse = self.app.state.upkeep, self.app.state.lookout, self.app.state.pulse
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://notifier")

    async def post(self, path, content, **headers):
        return await self.client.post(path, content=content, headers=headers)

    async def arrange(self, **members):
        return await self.client.post("/v1/maintenance", json=members)

    async def beat(self, **values):
        heartbeat = Heartbeat(**{"box": "gpu-1", "sent_at": self.time.now, "nonce": f"n{self.time.now}", **values})
        return await self.post("/v1/heartbeat", heartbeat.body(), **{SIGNATURE_HEADER: signature(heartbeat.body(), KEY)})

    async def metric(self, name):
        text = (await self.client.get("/metrics")).text
        return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} "))

    @property
    def said(self):
        """What waits for the groups, oldest first: receiver and text."""
        return [(message.receiver, message.part.text) for message in reversed(self.store.messages())]

    async def look(self):
        for one in (self.upkeep, self.lookout):
            if one is not None:
                await one.turn()

    async def close(self):
        await self.pulse.stop()
        await self.client.aclose()
        await self.http.aclose()
        self.store.close()


class World:
    """The box `gpu-1`, its Alertmanager, and a watcher."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.time = Time()
        self.network = Network()
        self.silences = Silences(self.time)
        self.network.hosts["127.0.0.1"] = self.silences
        self._stack = stack

    def machine(self, name, **values):
        one = Machine(self.folder / name, time=self.time, network=self.network, **values)
        self._stack.push_async_callback(one.close)
        return one

    def box(self, **values):
        return self.machine("box", **{"watchers": WATCHERS, **values})

    def watcher(self, **values):
        one = self.machine("watcher", **{"boxes": BOXES, "alertmanager_url": "", **values})
        self.network.hosts["watch.example"] = httpx.ASGITransport(one.app)
        return one


@asynccontextmanager
async def world(folder):
    async with AsyncExitStack() as stack:
        yield World(folder, stack)
