"""Pure: spans from OTLP's JSON, as Jaeger's API gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.requeststore.base import SpanRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NS = 1_000_000_000

Json = Any  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSpan:
    """A span, and `service.instance.id` of the process it is of."""

    span: SpanRecord
    instance: str


def spans_of(traces: Json, *, service: str) -> tuple[SeenSpan, ...]:
    """The spans of one `service.name` in an OTLP `TracesData`, each once, oldest first. Some stores keep twice what came twice.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it is something else.
    """
    seen = {(each.span.trace_id, each.span.span_id): each for each in _spans(traces, service)}
    return tuple(sorted(seen.values(), key=lambda each: each.span.started_unix_ns))


def _spans(traces: Json, service: str) -> Iterator[SeenSpan]:
    for resource_spans in traces.get("resourceSpans", ()):
        resource = attributes_of(resource_spans.get("resource", {}).get("attributes", ()))
        if resource.get("service.name") != service:
            continue
        instance = str(resource.get("service.instance.id", ""))
        for scope_spans in resource_spans.get("scopeSpans", ()):
            for span in scope_spans.get("spans", ()):
                yield SeenSpan(span=_span(span), instance=instance)


def _span(span: Json) -> SpanRecord:
    started = int(span["startTimeUnixNano"])
    return SpanRecord(
        name=str(span["name"]),
        trace_id=_hex(span["traceId"], 16),
        span_id=_hex(span["spanId"], 8),
        parent_span_id=_hex(span["parentSpanId"], 8) if span.get("parentSpanId") else None,
        started_unix_ns=started,
        duration=max(int(span["endTimeUnixNano"]) - started, 0) / _NS,
        attributes=attributes_of(span.get("attributes", ())),
        links=tuple((_hex(link["traceId"], 16), _hex(link["spanId"], 8)) for link in span.get("links", ())),
    )


def _hex(text: str, length: int) -> str:
    if len(bytes.fromhex(text)) != length:
        raise ValueError("an id of another length")
    return text.lower()


def attributes_of(attributes: Sequence[Json]) -> dict[str, object]:
    """Attributes by their keys."""
    return {str(attribute["key"]): _value(attribute.get("value", {})) for attribute in attributes}


def _value(value: Json) -> object:
    match next(iter(value.items()), (None, None)):
        case "stringValue" | "bytesValue", text:
            return str(text)
        case "boolValue", truth:
            return bool(truth)
        case "intValue", number:
            return int(number)
        case "doubleValue", number:
            return float(number)
        case "arrayValue", array:
            return [_value(member) for member in array.get("values", ())]
        case _:
            return None


def array_of(value: object) -> list[Any]:
    """The members of an array attribute; Jaeger's older stores keep arrays as text of JSON.

    Raises:
        ValueError, TypeError: it is no array.
    """
    members = json.loads(value) if isinstance(value, str) else value
    if not isinstance(members, list):
        raise TypeError("no array")
    return members
