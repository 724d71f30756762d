"""Log records of inferences from Loki, and what it counts of them.

The line is the event's name; the fields of docs/log-schema.json are structured metadata, which Loki keeps as text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.telemetry.log_record import timestamp
from service.telemetry.names import LOG_FIELDS, EventName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from service.errors import BackendFailed
    from service.requeststore.backend import Backend, JsonAnswer

MAX_RECORDS = 1000
"""Records in one answer; Loki's own limit is 5000."""

_APART = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
_MINUTE = "[60s]"
# What has a place of its own in the record, and what it is called there.
_ELSEWHERE = {"level": "severity_text", "service": "service_name", "instance": "service_instance_id"}
_TYPES: dict[str, Callable[[str], object]] = {
    "integer": int,
    "number": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "string": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One record: its timestamp in nanoseconds, and all fields of a log line by name; None is what it does not have."""

    unix_ns: int
    fields: Mapping[str, object]

    @property
    def span(self) -> tuple[str, str]:
        """Trace id and span id."""
        return str(self.fields["trace_id"]), str(self.fields["span_id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteCounts:
    """Inferences that started in a minute, by status, and the 95th percentile of the successes in seconds."""

    by_status: Mapping[str, int]
    p95: float | None


class LokiLogs:
    """Asks Loki.

    Args:
        backend: its API.
        service: `service.name` of the processes whose records are read.
    """

    def __init__(self, backend: Backend, *, service: str) -> None:
        self._backend = backend
        self._stream = f"{{service_name={quoted(service)}}}"

    @property
    def timeout(self) -> float:
        """Seconds one answer may take."""
        return self._backend.timeout

    def too_slow(self) -> BackendFailed:
        """The error that says that several answers together took longer than that."""
        return self._backend.failed(f"did not find it within {self.timeout:g} s")

    async def inferences(
        self, filters: Sequence[str], *, since_unix_ns: int, until_unix_ns: int, limit: int = MAX_RECORDS
    ) -> tuple[LogRecord, ...]:
        """The newest records of inferences from `since` on and before `until` that meet every filter; newest first.

        Raises:
            BackendFailed: Loki cannot tell.
        """
        params = {
            "query": " | ".join((self._line, *filters)),
            "start": str(since_unix_ns),
            "end": str(until_unix_ns),
            "limit": str(limit),
            "direction": "backward",
        }
        return await self._backend.ask("/loki/api/v1/query_range", lambda answer: records_of(answer.body), params, _APART)

    async def minute(self, start_unix_ns: int) -> MinuteCounts:
        """Count the inferences that started in the sixty seconds from `start` on.

        Raises:
            BackendFailed: Loki cannot tell.
        """
        # A range ends with its moment and begins after its beginning; a nanosecond earlier is the minute.
        at = str(start_unix_ns + 60_000_000_000 - 1)
        by_status = await self._vector(f"sum by (status) (count_over_time({self._line} | status!=`` {_MINUTE}))", at)
        successes = f"{self._line} | status=`success` | unwrap latency_ms {_MINUTE}"
        p95 = await self._vector(f"quantile_over_time(0.95, {successes}) by ()", at)
        return MinuteCounts(
            by_status={str(labels["status"]): round(value) for labels, value in by_status},
            p95=next((round(value / 1000, 9) for _, value in p95), None),
        )

    @property
    def _line(self) -> str:
        return f"{self._stream} |= `{EventName.INFERENCE}`"

    async def _vector(self, query: str, unix_ns: str) -> list[tuple[dict[str, str], float]]:
        return await self._backend.ask("/loki/api/v1/query", _vector, {"query": query, "time": unix_ns})


def quoted(text: str) -> str:
    """Text as a string of LogQL."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def records_of(body: Any) -> tuple[LogRecord, ...]:  # JSON
    """The records of inferences in an answer with labels apart, newest first, of one nanosecond by their ids; each span's once.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it is something else.
    """
    found = {record.span: record for record in _records(body["data"]["result"])}
    return tuple(sorted(found.values(), key=place, reverse=True))


def place(record: LogRecord) -> tuple[int, str, str]:
    """Where a record stands in a list: by its start, then by its ids."""
    return record.unix_ns, str(record.fields["request_id"]), str(record.fields["span_id"])


def _records(result: Any) -> Iterator[LogRecord]:  # JSON
    for stream in result:
        for unix_ns, line, *more in stream["values"]:
            metadata = {**stream["stream"], **(more[0].get("structuredMetadata", {}) if more else {})}
            if line == EventName.INFERENCE.value and metadata.get("request_id") and metadata.get("span_id"):
                yield LogRecord(unix_ns=int(unix_ns), fields=fields_of(metadata, unix_ns=int(unix_ns)))


def fields_of(metadata: Mapping[str, str], *, unix_ns: int) -> dict[str, object]:
    """The fields of the log line, in the order and of the types of its schema.

    Raises:
        ValueError, LookupError: a value is not of its field's type.
    """
    fields: dict[str, object] = {}
    for field in LOG_FIELDS:
        text = metadata.get(_ELSEWHERE.get(field.name, field.name))
        fields[field.name] = None if text is None else _TYPES[field.types[0]](text)
    return {**fields, "timestamp": timestamp(unix_ns), "event": EventName.INFERENCE.value}


def _vector(answer: JsonAnswer) -> list[tuple[dict[str, str], float]]:
    return [(dict(sample["metric"]), float(sample["value"][1])) for sample in answer.body["data"]["result"]]
