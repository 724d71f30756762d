"""Spans, log records and stories as plain values to compare with literals: what differs from run to run gets a name."""

from __future__ import annotations

import json
import re
from typing import Any

from service.telemetry.ids import batch_span_id_of, trace_id_of

ORIGIN = 1_770_000_000_000_000_000
_FRAME = re.compile(r"[^\s\"]*?((?:service|tests)/[\w/]+\.py):\d+ ")
_OLD_NAMES = (
    "http.method", "http.url", "http.target", "http.host", "http.scheme", "http.flavor", "http.status_code", "http.user_agent",
    "http.server_name", "http.client_ip", "net.host.name", "net.host.port", "net.peer.ip", "net.peer.port", "net.peer.name",
    "http.server.duration", "http.server.request.size", "http.server.response.size",
)  # fmt: skip


class Readable:
    """Gives names to the ids of a run, from its spans: `server`, `inference`, `batch-1`, `trace of batch-1`, `instance`."""

    def __init__(self, spans: list[Any], instance: str) -> None:
        self._names = {instance: "instance"}
        batches = [span.attributes["mgeo.batch.id"] for span in spans if span.name == "mgeo.batch"]
        batches += [span.attributes.get("mgeo.batch.id") for span in spans if span.name == "mgeo.inference"]
        for number, batch in enumerate(dict.fromkeys(batch for batch in batches if batch), 1):
            self._names |= {
                batch: f"batch-{number}",
                trace_id_of(batch): f"trace of batch-{number}",
                batch_span_id_of(batch): f"span of batch-{number}",
            }
        for span in spans:
            if span.name != "mgeo.batch":
                number = sum(name.startswith("inference") for name in self._names.values())
                name = f"inference{f'-{number + 1}' if number else ''}" if span.name == "mgeo.inference" else "server"
                self._names[f"{span.context.span_id:016x}"] = name

    def span(self, span: Any) -> dict[str, Any]:
        """A span; its times in milliseconds since the clock's origin, but for server spans, which the SDK times itself."""
        shown = {
            "name": span.name,
            "kind": span.kind.name,
            "trace": self.id(f"{span.context.trace_id:032x}"),
            "id": self.id(f"{span.context.span_id:016x}"),
            "parent": None if span.parent is None else self.id(f"{span.parent.span_id:016x}"),
            "status": span.status.status_code.name
            if span.status.description is None
            else f"{span.status.status_code.name}: {span.status.description}",
            "links": [f"{self.id(f'{link.context.trace_id:032x}')} / {self.id(f'{link.context.span_id:016x}')}" for link in span.links],
            "attributes": {name: self.value(value) for name, value in span.attributes.items()},
        }
        assert span.events == ()
        if span.kind.name != "SERVER":
            shown["ms"] = ((span.start_time - ORIGIN) / 1e6, (span.end_time - ORIGIN) / 1e6)
        return shown

    def log(self, record: Any) -> dict[str, Any]:
        """A record of the logs API."""
        log = record.log_record
        assert log.timestamp == log.observed_timestamp
        return {
            "ms": (log.timestamp - ORIGIN) / 1e6,
            "severity": f"{log.severity_number.name} {log.severity_text}",
            "body": log.body,
            "event_name": log.event_name,
            "trace": self.id(f"{log.trace_id:032x}"),
            "span": self.id(f"{log.span_id:016x}"),
            "attributes": {name: self.value(value) for name, value in log.attributes.items()},
        }

    def json(self, value: Any) -> Any:
        """A JSON value with the run's ids replaced wherever they stand; rows of a timeline as one string each."""
        if isinstance(value, dict):
            if {"kind", "offset_ms"} <= value.keys():
                return f"{'  ' * value['depth']}{value['name']} {value['offset_ms']:g} + {value['duration_ms']:g}"
            return {name: self.json(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.json(inner) for inner in value]
        return self.value(value)

    def value(self, value: Any) -> Any:
        """One value: floats to the microsecond, ids by name, frames without line numbers."""
        if isinstance(value, float):
            return round(value, 6)
        return _FRAME.sub(r"\1 ", self.id(value)) if isinstance(value, str) else value

    def id(self, text: str) -> str:
        """The name of an id, or the text itself."""
        return self._names.get(text, text)


def old_names(spans: list[Any], points: dict[str, dict[str, Any]]) -> list[str]:
    """Names of the HTTP conventions before they were stable, anywhere on spans and metrics."""
    everything = json.dumps([[list(span.attributes) for span in spans], points])
    return [name for name in _OLD_NAMES if re.search(rf'["{{,]{re.escape(name)}["=]', everything)]
