"""Pure: the log line of an inference or of another event, with exactly the fields of the names table."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from service.errors import Outcome
from service.telemetry.event import Stage
from service.telemetry.names import LOG_FIELDS, EventName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.errors import ErrorType
    from service.telemetry.event import InferenceEvent

LEVELS: dict[Outcome, str] = {
    Outcome.SUCCESS: "INFO",
    Outcome.INVALID: "INFO",
    Outcome.OVERLOADED: "WARNING",
    Outcome.TIMEOUT: "WARNING",
    Outcome.CANCELLED: "INFO",
    Outcome.ERROR: "ERROR",
}
_NS = 1_000_000_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def inference_record(event: InferenceEvent, *, service: str, instance: str) -> dict[str, object]:
    """The log record of one inference; its timestamp is the start."""
    error_type, answer, first, second = event.error_type, event.answer, event.address1, event.address2
    spent = {timing.stage: timing.duration for timing in event.stages}
    return {
        "timestamp": timestamp(event.started_unix_ns),
        "level": LEVELS[event.outcome],
        "event": EventName.INFERENCE.value,
        "service": service,
        "instance": instance,
        "request_id": event.request_id,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "function": event.function,
        "status": event.outcome.value,
        "latency_ms": _milliseconds(event.duration),
        "output_length": event.output_length,
        "error_type": None if error_type is None else error_type.value,
        "error_message": None if error_type is None else error_type.message,
        "address1_length": None if first is None else first.length,
        "address2_length": None if second is None else second.length,
        "address1_hash": None if first is None else first.hash,
        "address2_hash": None if second is None else second.hash,
        "truncated": event.truncated,
        "batch_id": event.batch_id,
        "batch_size": event.batch_size,
        "queue_ms": _milliseconds(spent.get(Stage.QUEUE)),
        "inference_ms": _milliseconds(spent.get(Stage.INFERENCE)),
        "model": _model(event),
        "label": None if answer is None else answer.label,
        "similarity": answer.similarity if answer is not None and math.isfinite(answer.similarity) else None,
    }


def plain_record(
    event_name: EventName,
    *,
    level: str,
    now_unix_ns: int,
    function: str | None = None,
    error_type: ErrorType | None = None,
    service: str,
    instance: str,
) -> dict[str, object]:
    """The log record of anything else; fields of an inference are null."""
    known: dict[str, object] = {
        "timestamp": timestamp(now_unix_ns),
        "level": level,
        "event": event_name.value,
        "service": service,
        "instance": instance,
        "function": function,
        "error_type": None if error_type is None else error_type.value,
        "error_message": None if error_type is None else error_type.message,
    }
    return {field.name: known.get(field.name) for field in LOG_FIELDS}


def encode(record: Mapping[str, object]) -> bytes:
    """One line of UTF-8 JSON with its line end. A lone surrogate, which UTF-8 cannot carry, becomes U+FFFD.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value is not of JSON.
    """
    line = _encode(record) + "\n"
    try:
        return line.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", line).encode()


def timestamp(unix_ns: int) -> str:
    """RFC 3339 in UTC with microseconds, cut and not rounded, so that no line is later than its event."""
    seconds, nanoseconds = divmod(unix_ns, _NS)
    return f"{_second(seconds)}.{nanoseconds // 1000:06d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None or not math.isfinite(seconds) else round(seconds * 1000, 3)


def _model(event: InferenceEvent) -> str | None:
    return None if event.model_name is None else f"{event.model_name}@{event.model_version}"
