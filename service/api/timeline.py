"""The timeline of one inference: its spans and, inside its own span, its stages. Pure; milliseconds from the earliest start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.telemetry.names import INFERENCE_SPAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.requeststore.base import SpanRecord
    from service.telemetry.event import InferenceEvent

_NS_PER_MS = 1_000_000


def timeline(event: InferenceEvent, spans: Sequence[SpanRecord]) -> tuple[float, list[dict[str, Any]]]:
    """The length of the timeline and its rows, in the order of their beginning, parents before children.

    A row has `kind` (`span` or `stage`), `name`, `offset_ms`, `duration_ms`, `depth`, and `span_id` for a span. The
    inference's own span is there even when the spans lack it.
    """
    origin = min([event.started_unix_ns, *(span.started_unix_ns for span in spans)])
    rows = [*_rows(event, spans, origin)]
    return max(round(row["offset_ms"] + row["duration_ms"], 3) for row in rows), rows


def _rows(event: InferenceEvent, spans: Sequence[SpanRecord], origin: int) -> Iterator[dict[str, Any]]:
    parents = {span.span_id: span.parent_span_id for span in spans}
    own = event.span_id in parents
    for span in sorted(spans, key=lambda each: (each.started_unix_ns, -each.duration)):
        depth = _depth(span.span_id, parents)
        yield _row("span", span.name, (span.started_unix_ns - origin) / _NS_PER_MS, span.duration, depth, span_id=span.span_id)
        if span.span_id == event.span_id:
            yield from _stages(event, origin, depth + 1)
    if not own:
        offset = (event.started_unix_ns - origin) / _NS_PER_MS
        yield _row("span", INFERENCE_SPAN, offset, event.duration, 0, span_id=event.span_id)
        yield from _stages(event, origin, 1)


def _stages(event: InferenceEvent, origin: int, depth: int) -> Iterator[dict[str, Any]]:
    start = (event.started_unix_ns - origin) / _NS_PER_MS
    for timing in event.stages:
        yield _row("stage", timing.stage.value, start + timing.offset * 1000, timing.duration, depth)


def _row(kind: str, name: str, offset_ms: float, duration: float, depth: int, **more: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "offset_ms": round(offset_ms, 3), "duration_ms": round(duration * 1000, 3), "depth": depth, **more}


def _depth(span_id: str, parents: dict[str, str | None]) -> int:
    depth = 0
    seen = {span_id}
    parent = parents.get(span_id)
    while parent is not None and parent in parents and parent not in seen:
        seen.add(parent)
        depth += 1
        parent = parents[parent]
    return depth
