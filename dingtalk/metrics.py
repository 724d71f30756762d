"""The metrics of the notifier, in a registry of its own; every label value exists from the start."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from dingtalk.alert import Severity
from dingtalk.answer import Outcome
from dingtalk.outbox.rows import FALLBACK, Depth, RobotState
from dingtalk.plan import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from dingtalk.config import Config
    from dingtalk.quota import Usage
    from dingtalk.watch.silence import Box

DELIVERY_BOUNDARIES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0)


class Result(StrEnum):
    """How a call of the webhook ended."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    UNKNOWN_RECEIVER = "unknown_receiver"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    TOO_LARGE = "too_large"
    HEARTBEAT = "heartbeat"


class HeartbeatResult(StrEnum):
    """How the sending of a heartbeat ended."""

    TAKEN = "taken"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotStatus:
    """One robot, now; `until` is when it is tried again, in seconds since 1970, and 0 when it is well."""

    state: RobotState = RobotState.OK
    until: float = 0.0
    detail: str = ""
    headroom: int = 0
    unreachable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the notifier has to say of itself at one moment."""

    now: float
    depth: Depth = field(default_factory=Depth)
    robots: Mapping[str, RobotStatus] = field(default_factory=dict)
    organisations: Mapping[str, Usage] = field(default_factory=dict)
    writable: bool = True

    @property
    def queue_age(self) -> float:
        """Seconds the oldest message waits; 0 when none does."""
        return 0.0 if self.depth.oldest is None else max(0.0, self.now - self.depth.oldest)


class _WithoutCreated(Collector):
    """The samples of another registry without those of when a series was made, which would double their number."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class Metrics:
    """All of them. What is counted is counted as it happens; what is a state is set from `Status` before it is shown.

    Args:
        config: names the robots, organisations and boxes.
    """

    def __init__(self, config: Config) -> None:
        inner = CollectorRegistry()
        self.registry = CollectorRegistry()
        self.registry.register(_WithoutCreated(inner))
        self._received = Counter("mgeo_notifier_received", "Calls of the webhook.", ["result"], registry=inner)
        self._messages = Counter("mgeo_notifier_messages", "Attempts to tell a message.", ["robot", "outcome"], registry=inner)
        self._depth = Gauge("mgeo_notifier_queue_depth", "What waits to be told.", ["lane"], registry=inner)
        self._age = Gauge("mgeo_notifier_queue_age_seconds", "Age of the oldest that waits.", registry=inner)
        self._dead = Gauge("mgeo_notifier_dead_letters", "Messages that nobody could be told.", registry=inner)
        self._state = Gauge("mgeo_notifier_robot_state", "1 for the state the robot is in.", ["robot", "state"], registry=inner)
        self._headroom = Gauge("mgeo_notifier_rate_headroom", "Sends left in the running minute.", ["robot"], registry=inner)
        self._used = Gauge("mgeo_notifier_quota_used", "Calls this month.", ["organisation"], registry=inner)
        self._limit = Gauge("mgeo_notifier_quota_limit", "Calls a month that the organisation has.", ["organisation"], registry=inner)
        self._forecast = Gauge("mgeo_notifier_quota_forecast", "Calls expected at the end of the month.", ["organisation"], registry=inner)
        self._step = Gauge(
            "mgeo_notifier_degradation", "0 nothing given up, 1 no repeats, 2 digests, 3 critical only.", ["organisation"], registry=inner
        )
        self._duration = Histogram(
            "mgeo_notifier_delivery_duration_seconds",
            "From receipt to delivery.",
            ["severity"],
            buckets=DELIVERY_BOUNDARIES,
            registry=inner,
        )
        self._templates = Counter("mgeo_notifier_template_failures", "Messages told in the bare form.", registry=inner)
        self._reconciled = Counter("mgeo_notifier_reconciled", "Alerts that were missed and are told late.", ["kind"], registry=inner)
        self._reconciling_failed = Counter("mgeo_notifier_reconciling_failures", "Comparisons that could not be made.", registry=inner)
        self._reconciled_at = Gauge(
            "mgeo_notifier_reconciled_timestamp_seconds", "When what fired was last compared with what was told; 0 before.", registry=inner
        )
        self._writable = Gauge("mgeo_notifier_store_writable", "Whether notifications can be stored.", registry=inner)
        self._skew = Gauge("mgeo_notifier_clock_skew_seconds", "Our clock minus DingTalk's.", ["robot"], registry=inner)
        self._escalations = Counter("mgeo_notifier_escalations", "Critical alerts that nobody took in time.", ["step"], registry=inner)
        self._heartbeats = Counter("mgeo_notifier_heartbeats", "Heartbeats to watchers.", ["watcher", "result"], registry=inner)
        self._watchdog = Gauge(
            "mgeo_notifier_watchdog_timestamp_seconds", "When Watchdog came last; 0 before it ever came.", registry=inner
        )
        self._box_heard = Gauge(
            "mgeo_notifier_box_heartbeat_timestamp_seconds",
            "When the last heartbeat of a box came that is watched; 0 before it ever came.",
            ["box"],
            registry=inner,
        )
        self._box_silent = Gauge(
            "mgeo_notifier_box_silent", "Whether a box that is watched is silent, and the groups are told so.", ["box"], registry=inner
        )
        self._make_all(config)

    def _make_all(self, config: Config) -> None:
        robots = [robot.name for robot in config.robots]
        boxes = [box.name for box in config.boxes]
        families: tuple[tuple[Counter | Gauge | Histogram, list[Iterable[str]]], ...] = (
            (self._received, [Result]),
            (self._messages, [[*robots, FALLBACK], Outcome]),
            (self._state, [robots, RobotState]),
            (self._headroom, [robots]),
            (self._skew, [robots]),
            (self._used, [organisations(config)]),
            (self._limit, [organisations(config)]),
            (self._forecast, [organisations(config)]),
            (self._step, [organisations(config)]),
            (self._duration, [Severity]),
            (self._depth, [Lane]),
            (self._reconciled, [("firing", "resolved")]),
            (self._escalations, [("rota", "phone")]),
            (self._box_heard, [boxes]),
            (self._box_silent, [boxes]),
            (self._heartbeats, [[watcher.name for watcher in config.watchers], HeartbeatResult]),
        )
        for family, values in families:
            for labels in itertools.product(*values):
                family.labels(*(str(label) for label in labels))

    def received(self, result: Result) -> None:
        """A call of the webhook has ended."""
        self._received.labels(result.value).inc()

    def attempted(self, robot: str, outcome: Outcome, *, clock_skew: float | None = None) -> None:
        """An attempt has ended."""
        self._messages.labels(robot, outcome.value).inc()
        if clock_skew is not None:
            self._skew.labels(robot).set(clock_skew)

    def delivered(self, severity: Severity, duration: float) -> None:
        """A notification is told as a whole, `duration` seconds after it came."""
        self._duration.labels(severity.value).observe(max(0.0, duration))

    def template_failed(self) -> None:
        """A message could not be written as it should look."""
        self._templates.inc()

    def reconciled(self, kind: str, count: int = 1) -> None:
        """Alerts that were missed are told late; `kind` is firing or resolved."""
        self._reconciled.labels(kind).inc(count)

    def reconciling_ended(self, at: float | None) -> None:
        """A comparison was made, at a moment in seconds since 1970; None when it could not be."""
        if at is None:
            self._reconciling_failed.inc()
        else:
            self._reconciled_at.set(at)

    def escalated(self, step: str) -> None:
        """A critical alert goes on to somebody else; `step` is rota or phone."""
        self._escalations.labels(step).inc()

    def heartbeat(self, watcher: str, result: HeartbeatResult) -> None:
        """A heartbeat was sent, or not."""
        self._heartbeats.labels(watcher, result.value).inc()

    def watchdog(self, at: float) -> None:
        """Watchdog came, at `at` seconds since 1970."""
        self._watchdog.set(at)

    def render(self, status: Status, *, boxes: Iterable[Box] = ()) -> bytes:
        """All of them in Prometheus' text format; `boxes` are those that are watched."""
        for box in boxes:
            self._box_heard.labels(box.name).set(box.last_unix or 0.0)
            self._box_silent.labels(box.name).set(int(box.silent))
        self._depth.labels(Lane.CRITICAL.value).set(status.depth.critical)
        self._depth.labels(Lane.NORMAL.value).set(status.depth.normal)
        self._age.set(status.queue_age)
        self._dead.set(status.depth.dead)
        self._writable.set(int(status.writable))
        for name, robot in status.robots.items():
            self._headroom.labels(name).set(robot.headroom)
            for state in RobotState:
                self._state.labels(name, state.value).set(int(state is robot.state))
        for name, usage in status.organisations.items():
            self._used.labels(name).set(usage.used)
            self._limit.labels(name).set(usage.limit)
            self._forecast.labels(name).set(usage.forecast)
            self._step.labels(name).set(int(usage.step))
        return generate_latest(self.registry)


def organisations(config: Config) -> list[str]:
    """The organisations that robots belong to."""
    return sorted({robot.organisation for robot in config.robots})
