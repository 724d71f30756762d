"""A notifier for tests: time that is turned by hand, a DingTalk that keeps its rules, and payloads as Alertmanager writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dingtalk.answer import Answer, Outcome, classify
from dingtalk.boot import Boot
from dingtalk.clock import Clock
from dingtalk.config import Config
from dingtalk.fallback import NoFallback
from dingtalk.log import Log
from dingtalk.metrics import Metrics
from dingtalk.outbox.store import Outbox
from dingtalk.payload import parse
from dingtalk.renders import BareRenderer
from dingtalk.worker import Worker

START = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
OK = b'{"errcode":0,"errmsg":"ok"}'
BLOCKED = '{"errcode":430102,"errmsg":"不合适的文本"}'.encode()
TOO_FAST = b'{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}'


def configuration(**values) -> Config:
    """One receiver with one robot, unless something else is said."""
    values.setdefault("robots", [{"name": "r1", "token": "token-1", "url": "http://127.0.0.1:1/robot/send"}])
    values.setdefault("receivers", [{"name": "main", "robots": [robot["name"] for robot in values["robots"]]}])
    values.setdefault("allowed_hosts", ["127.0.0.1"])
    return Config(**values)


def robots(*names, **values):
    return [{"name": name, "token": f"token-{name}", "url": "http://127.0.0.1:1/robot/send", **values} for name in names]


def alert(name="HighLatency", *, instance="box-1", severity="warning", status="firing", starts_at=START, ends_at=None, **labels):
    return {
        "status": status,
        "labels": {"alertname": name, "instance": instance, "severity": severity, **labels},
        "annotations": {"summary": f"{name} at {instance}"},
        "startsAt": datetime.fromtimestamp(starts_at, UTC).isoformat(),
        "endsAt": datetime.fromtimestamp(ends_at, UTC).isoformat() if ends_at is not None else "0001-01-01T00:00:00Z",
        "fingerprint": f"{name}/{instance}",
    }


def payload(*alerts, group="g", reason="", **values) -> bytes:
    firing = any(one["status"] == "firing" for one in alerts)
    return json.dumps(
        {
            "version": "4",
            "groupKey": group,
            "status": "firing" if firing else "resolved",
            "receiver": "main",
            "notification_reason": reason,
            "alerts": list(alerts),
            **values,
        }
    ).encode()


class Time:
    """Both clocks, turned by hand."""

    def __init__(self, start: float = START) -> None:
        self.now = start
        self.jump = 0.0
        self.clock = Clock(unix=lambda: self.now + self.jump, monotonic=lambda: self.now)


@dataclass(slots=True)
class Shown:
    """One message in the group."""

    at: float
    robot: str
    text: str
    msg_uuid: str


@dataclass(slots=True)
class FakeDingTalk:
    """Keeps the rule of twenty a minute, remembers msgUuids, and answers as it is told.

    Attributes:
        answers: bodies, statuses or exceptions for the next calls, by robot: "lost" shows the message, but its answer is lost.
        blocked: text that is refused.
    """

    time: Time
    shown: list[Shown] = field(default_factory=list)
    calls: list[tuple[float, str, str]] = field(default_factory=list)
    answers: dict[str, list[bytes | int | str]] = field(default_factory=dict)
    always: dict[str, bytes | int | str] = field(default_factory=dict)
    blocked: str = ""
    bans: int = 0

    async def send(self, robot, part, msg_uuid) -> Answer:
        now = self.time.now
        self.calls.append((now, robot.name, msg_uuid))
        told = self.answers.get(robot.name) or ([self.always[robot.name]] if robot.name in self.always else [])
        answer = told.pop(0) if told else OK
        if self.blocked and self.blocked in part.text:
            answer = BLOCKED
        if isinstance(answer, int):
            return classify(status=answer, headers={}, body=b"")
        if answer == "unreachable":
            return Answer(outcome=Outcome.RETRY, detail="not connected")
        if isinstance(answer, bytes) and answer != OK:
            return classify(status=200, headers={}, body=answer)
        recent = [shown for shown in self.shown if shown.robot == robot.name and now - shown.at < 60]
        if len(recent) >= 20:
            self.bans += 1
            return classify(status=200, headers={}, body=TOO_FAST)
        assert len(part.body(msg_uuid)) <= 20_000
        if msg_uuid not in {shown.msg_uuid for shown in self.shown}:
            self.shown.append(Shown(at=now, robot=robot.name, text=part.text, msg_uuid=msg_uuid))
        if answer == "lost":
            return Answer(outcome=Outcome.RETRY, ambiguous=True, detail="no answer in time")
        return classify(status=200, headers={}, body=OK)

    @property
    def texts(self) -> list[str]:
        return [shown.text for shown in self.shown]


class Notifier:
    """Outbox and worker on a folder, in time that is turned by hand."""

    def __init__(self, folder, *, config=None, time=None, client=None, fallback=None, renderer=None, log=None) -> None:
        self.folder = folder
        self.config = config or configuration()
        self.time = time or Time()
        self.dingtalk = client or FakeDingTalk(self.time)
        self.fallback = fallback or NoFallback()
        self.renderer = renderer or BareRenderer()
        self.log = log
        self.open()

    def open(self) -> None:
        clock = self.time.clock
        self.outbox = Outbox.open(self.folder, clock=clock, boot=Boot(id="boot"), max_queue=self.config.max_queue)
        self.metrics = Metrics(self.config)
        self.worker = Worker(
            self.config,
            outbox=self.outbox,
            client=self.dingtalk,
            renderer=self.renderer,
            fallback=self.fallback,
            metrics=self.metrics,
            log=self.log or Log(None, clock=clock),
            clock=clock,
        )

    def restart(self) -> None:
        self.outbox.close()
        self.open()

    def receive(self, body: bytes, *, receiver: str = "main"):
        notification = parse(body, receiver=receiver, now=self.time.clock.unix())
        return self.outbox.receive(notification, body, replica_window=self.config.replica_window)

    async def deliver(self) -> None:
        """Turn after turn, until nothing can be sent at this moment."""
        while await self.worker.turn():
            await self.worker.settle()

    async def run_for(self, seconds: float, *, step: float = 1.0) -> None:
        end = self.time.now + seconds
        while self.time.now < end:
            self.time.now += step
            await self.deliver()

    def sample(self, name: str, **labels) -> float:
        from prometheus_client.parser import text_string_to_metric_families

        text = self.metrics.render(self.worker.planner.status()).decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        raise AssertionError(f"there is no {name} {labels}")
