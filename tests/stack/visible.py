"""Waiting until a real stack shows what was sent to it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

from service.requeststore.jaeger import JaegerTraces
from service.requeststore.loki import LokiLogs
from service.telemetry.event import BatchEvent, InferenceEvent
from service.telemetry.ids import batch_span_id_of, trace_id_of
from tests.deadline import DEADLINE

_SECOND = 1_000_000_000


async def until_visible(jaeger: JaegerTraces, loki: LokiLogs, events: Iterable[InferenceEvent], batches: Iterable[BatchEvent]) -> None:
    """Return as soon as every event has its span and its log record, and every batch its span."""
    records = {(event.trace_id, event.span_id) for event in events}
    spans = records | {(trace_id_of(batch.batch_id), batch_span_id_of(batch.batch_id)) for batch in batches}
    starts = [event.started_unix_ns for event in events]
    end = time.monotonic() + DEADLINE
    while True:
        seen = await asyncio.gather(*map(jaeger.trace, Counter(trace_id for trace_id, _ in spans)))
        found = {(each.span.trace_id, each.span.span_id) for trace in seen for each in trace}
        lines = await loki.inferences([], since_unix_ns=min(starts) - _SECOND, until_unix_ns=max(starts) + _SECOND) if starts else ()
        if spans <= found and records <= {line.span for line in lines}:
            return
        assert time.monotonic() < end, f"not visible in time: {spans - found} in Jaeger, {records - {line.span for line in lines}} in Loki"
        await asyncio.sleep(0.02)
