"""A stack in simulated time: what Prometheus, the simulator and supervisord would answer, on a clock that pauses move on."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import httpx

from cli.drill.stage import Clock, Stage
from cli.stack.layout import Layout
from cli.stack.supervisor import Supervised, SupervisorGone
from dingtalk.message import Renderer
from prometheus.alerting.file import alerts
from tests.alerts import alert, config, received
from tests.cli.stack.sites import process

START = 1_770_000_000.0
SCALE = 0.05
NAMES = ("simulator", "watcher", "notifier", "prometheus", "loki", "alertmanager", "collector", "service", "auditor")
CALLED = {"critical": ("13800000001",), "warning": ("13800000002",), "info": ()}
RENDERER = Renderer(config())
EVERY = 0.5
"""Seconds between two evaluations."""


class Supervisor:
    """As its socket, without one: a process stops and starts when it is told to, or takes a while."""

    def __init__(self):
        self.states = dict.fromkeys(NAMES, "RUNNING")
        self.deeds = []
        self.slow = set()
        self.gone = False

    def processes(self):
        if self.gone:
            raise SupervisorGone("no such file")
        answer = {name: Supervised(state=state, pid=None) for name, state in self.states.items()}
        for name, state in list(self.states.items()):
            if state == "STOPPING" and name not in self.slow:
                self.states[name] = "STOPPED"
        return answer

    def stop(self, name):
        self.deeds.append(f"stop {name}")
        if self.states[name] != "STOPPED":
            self.states[name] = "STOPPING"

    def start(self, name):
        self.deeds.append(f"start {name}")
        if self.states[name] != "STOPPED":
            raise SupervisorGone("ALREADY_STARTED")
        self.states[name] = "RUNNING"


class World:
    """Alerts are caused and cleared by whoever plays the fault; messages and samples become visible as time goes by."""

    def __init__(self, data_dir, *, page=2):
        self.elapsed = 0.0
        self.supervisor = Supervisor()
        self.clock = Clock(unix=lambda: self.now, monotonic=lambda: self.elapsed, pause=self.pause)
        self.pauses = []
        self.banned = []
        self.away = set()
        self.on_pause = lambda: None
        self._page = page
        self._messages = []
        self._spans = {}
        self.layout = Layout(data_dir)
        data_dir.mkdir(exist_ok=True)
        self.http = httpx.Client(transport=httpx.MockTransport(self._answer))

    @property
    def now(self):
        return START + self.elapsed

    def stage(self):
        processes = [process(name, address=f"http://{name}.test") for name in NAMES]
        return Stage(self.layout, processes, self.supervisor, http=self.http, clock=self.clock)

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.elapsed += seconds
        self.on_pause()

    # What happens

    def cause(self, name, *, true=1.0, hold=2.0, told=1.5, robot=None, mobiles=None, where="box", **said):
        """An alert is true in so many seconds, fires after its hold, and a group is told of it after that; None: it is not told."""
        true_at = self.now + true
        self._spans[name] = [true_at, true_at + hold, None]
        if told is not None:
            self.tell(name, at=true_at + hold + told, robot=robot, mobiles=mobiles, where=where, **said)

    def clear(self, name, *, over=1.0, told=1.5, robot=None, mobiles=(), where="box"):
        """It fires for the last time in so many seconds, and its end is told after that."""
        if name in self._spans:
            self._spans[name][2] = self.now + over
        if told is not None:
            self.tell(name, at=self.now + over + told, over=True, robot=robot, mobiles=mobiles, where=where)

    def tell(self, name, *, at=None, over=False, robot=None, mobiles=None, where="box", **said):
        """A group sees a message of an alert of the rules."""
        at = self.now if at is None else at
        rule = alerts()[name]
        severity = str(rule.severity)
        one = alert(name, severity, where, starts_at=at - 10, ends_at=at if over else None, summary=f"{name} {rule.summary}")
        (part,) = RENDERER.group([received(one, **said)], at)
        self._show(part, at, robot or severity, CALLED[severity] if mobiles is None else mobiles)

    def notice(self, kind, *, after=0.0, mobiles=()):
        """The second machine says something of itself."""
        self._show(RENDERER.notice(kind, now=self.now + after, box="drilled-box"), self.now + after, "critical", mobiles)

    def _show(self, part, at, robot, mobiles):
        self._messages.append((at, robot, part.text, list(mobiles)))

    # What is seen

    def messages(self):
        """As they are numbered by now."""
        seen = sorted(message for message in self._messages if message[0] <= self.now)
        return [
            {"index": number, "robot": robot, "text": text, "received_seconds": at, "at": {"mobiles": mobiles}}
            for number, (at, robot, text, mobiles) in enumerate(seen, start=1)
        ]

    def _answer(self, request):
        name, path = request.url.host.removesuffix(".test"), request.url.path
        query = {key: values[0] for key, values in parse_qs(request.url.query.decode()).items()}
        if name in self.away:
            raise httpx.ConnectError("refused")
        match name, path:
            case "simulator", "/control/state":
                return httpx.Response(200, json={"scale": SCALE, "last_message": len(self.messages())})
            case "simulator", "/messages":
                newer = [message for message in self.messages() if message["index"] > int(query["since"])]
                return httpx.Response(200, json={"messages": newer[: self._page]})
            case "simulator", "/control/ban":
                self.banned.append(request.content)
                return httpx.Response(200, json={})
            case "prometheus", "/api/v1/alerts":
                found = [{"labels": {"alertname": name}, "state": state} for name in self._spans if (state := self._state(name, self.now))]
                return httpx.Response(200, json={"data": {"alerts": found}})
            case "prometheus", "/api/v1/query":
                return httpx.Response(200, json={"data": {"result": self._samples(query["query"])}})
        return httpx.Response(404)

    def _state(self, name, at):
        true_at, firing_at, over_at = self._spans[name]
        if at < true_at or (over_at is not None and at > over_at):
            return None
        return "pending" if at < firing_at else "firing"

    def _samples(self, query):
        name, milliseconds = re.fullmatch(r'ALERTS\{alertname="(\w+)"\}\[(\d+)ms\]', query).groups()
        found = {}
        at = self.now
        # On a grid, as Prometheus evaluates.
        moment = START + EVERY * int((self.now - START - int(milliseconds) / 1000) / EVERY)
        while name in self._spans and moment <= at:
            if state := self._state(name, moment):
                found.setdefault(state, []).append([moment, "1"])
            moment += EVERY
        return [{"metric": {"alertname": name, "alertstate": state}, "values": values} for state, values in found.items()]


class Flow:
    """Traffic that only notes how much of it was asked for."""

    def __init__(self):
        self.rates = []

    def flow(self, rate):
        self.rates.append(rate)

    def stop(self):
        self.rates.append(None)
