"""The log of the notifier: a line of JSON an event, with the fields of the project's log schema. No text of an alert, no token."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from dingtalk.clock import Clock

SERVICE = "mgeo-notifier"
FIELDS = (
    "timestamp", "level", "event", "service", "instance", "request_id", "trace_id", "span_id", "function", "status", "latency_ms",
    "output_length", "error_type", "error_message", "address1_length", "address2_length", "address1_hash", "address2_hash", "truncated",
    "batch_id", "batch_size", "queue_ms", "inference_ms", "model", "label", "similarity",
)  # fmt: skip


class Level(StrEnum):
    """How bad it is."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Event(StrEnum):
    """The closed set of `event`; `function` names the robot, receiver, organisation, watcher or box."""

    STARTED = "mgeo.notifier.started"
    STOPPED = "mgeo.notifier.stopped"
    REFUSED = "mgeo.notifier.refused"
    STORE_DEGRADED = "mgeo.notifier.store.degraded"
    STORE_RECOVERED = "mgeo.notifier.store.recovered"
    SEND_FAILED = "mgeo.notifier.send.failed"
    ROBOT_CHANGED = "mgeo.notifier.robot.changed"
    DEGRADATION_CHANGED = "mgeo.notifier.degradation.changed"
    TEMPLATE_FAILED = "mgeo.notifier.template.failed"
    ESCALATED = "mgeo.notifier.escalated"
    ESCALATION_FAILED = "mgeo.notifier.escalation.failed"
    ACKNOWLEDGED = "mgeo.notifier.acknowledged"
    SILENCED = "mgeo.notifier.silenced"
    DEAD_LETTER = "mgeo.notifier.dead_letter"
    WORKER_FAILED = "mgeo.notifier.worker.failed"
    RECONCILING_FAILED = "mgeo.notifier.reconciling.failed"
    RECONCILING_RECOVERED = "mgeo.notifier.reconciling.recovered"
    WATCHER_FAILED = "mgeo.notifier.watcher.failed"
    WATCHER_RECOVERED = "mgeo.notifier.watcher.recovered"
    HEARTBEAT_REFUSED = "mgeo.notifier.heartbeat.refused"
    BOX_CHANGED = "mgeo.notifier.box.changed"
    MAINTENANCE_CHANGED = "mgeo.notifier.maintenance.changed"
    SILENCE_FAILED = "mgeo.notifier.silence.failed"


_LEVELS = {
    Event.STARTED: Level.INFO,
    Event.STOPPED: Level.INFO,
    Event.STORE_RECOVERED: Level.INFO,
    Event.RECONCILING_RECOVERED: Level.INFO,
    Event.ACKNOWLEDGED: Level.INFO,
    Event.SILENCED: Level.INFO,
    Event.ESCALATION_FAILED: Level.ERROR,
    Event.WATCHER_RECOVERED: Level.INFO,
    Event.MAINTENANCE_CHANGED: Level.INFO,
    Event.DEAD_LETTER: Level.ERROR,
    Event.STORE_DEGRADED: Level.ERROR,
    Event.WORKER_FAILED: Level.ERROR,
}


class Log:
    """Writes to a stream; a stream that fails costs the line, not the alert.

    Args:
        stream: text; None writes nothing.
        clock: for the timestamps.
        instance: `service.instance.id`.
    """

    def __init__(self, stream: IO[str] | None, *, clock: Clock, instance: str = "") -> None:
        self._stream = stream
        self._clock = clock
        self._instance = instance

    def write(self, event: Event, *, subject: str | None = None, words: str | None = None) -> None:
        """Write a line.

        Args:
            event: what happened.
            subject: the robot, receiver, organisation, watcher or box.
            words: fixed words on it, such as an outcome or the class of an exception.
        """
        if self._stream is None:
            return
        known = {
            "timestamp": datetime.fromtimestamp(self._clock.unix(), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": _LEVELS.get(event, Level.WARNING).value,
            "event": event.value,
            "service": SERVICE,
            "instance": self._instance,
            "function": subject,
            "error_message": words,
        }
        line = json.dumps({field: known.get(field) for field in FIELDS}, ensure_ascii=False, separators=(",", ":"))
        try:
            # One write: two threads shall not mix their lines.
            self._stream.write(line.encode(errors="replace").decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return
