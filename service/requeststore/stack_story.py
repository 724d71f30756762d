"""The story of one request, put together from Jaeger's spans, Loki's records and Prometheus' points."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.errors import BackendFailed
from service.requeststore.asking import Asking
from service.requeststore.attempts import SpanTree, attempts_of, batch_record, batch_span, inferences_of, recorded_event
from service.requeststore.base import Attempt, LogEntry, Moment, RequestStory
from service.requeststore.loki import quoted
from service.requeststore.time_slices import AHEAD, time_slices, together
from service.telemetry import names
from service.telemetry.ids import call_id, item_id, trace_id_of
from service.telemetry.span_attributes import COUNTS_AGAINST_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.requeststore.attempts import FoundAttempt, SpanKey
    from service.requeststore.base import BatchRecord, FiringAlert, MetricPoint, SpanRecord
    from service.requeststore.jaeger import JaegerTraces
    from service.requeststore.loki import LogRecord, LokiLogs, MinuteCounts
    from service.requeststore.otlp_json import SeenSpan
    from service.requeststore.prometheus import PrometheusMetrics
    from service.telemetry.event import InferenceEvent

    AlertsAndPoints = tuple[tuple[FiringAlert, ...], tuple[MetricPoint, ...]]

MAX_TRACES = 64
"""Traces that one story asks for at once; more are left out, and the story says so."""
MAX_MOMENTS = 12
"""Moments a story looks at: a call of many pairs has one, an id that is used for everything has many."""

JAEGER, LOKI, PROMETHEUS = "Jaeger", "Loki", "Prometheus"
_LACKING = {
    JAEGER: "spans, stages, exceptions, devices and batches are missing",
    LOKI: "log lines, and what else ran in that minute, are missing",
    PROMETHEUS: "the alerts and metrics of that moment are missing",
}
# Event, log line and batch are known when a story is enriched.
_LACKING_BESIDE = {JAEGER: "the HTTP request around it is missing", PROMETHEUS: _LACKING[PROMETHEUS]}

_NS = 1_000_000_000
_MINUTE_NS = 60 * _NS
# A record has the time of its inference's start, and so has the span. Loki reads every line of a window, so it is kept small.
_MARGIN = _NS
# A member began to wait before its batch ran. The log tells of those who did so lately, Jaeger, one by one, of the others.
_USUAL_WAIT = 10 * _NS
_NO_ALERTS_AND_POINTS: AlertsAndPoints = ((), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The stores that are set up, and how many seconds back they go."""

    jaeger: JaegerTraces | None
    loki: LokiLogs | None
    prometheus: PrometheusMetrics | None
    log_retention: float
    trace_retention: float


class StackTeller:
    """Asks for one story.

    Attributes:
        asking: what went wrong meanwhile.
    """

    def __init__(self, backends: Backends, *, now_unix_ns: int) -> None:
        self.asking = Asking()
        self._jaeger, self._loki, self._prometheus = backends.jaeger, backends.loki, backends.prometheus
        self._backends = backends
        self._now = now_unix_ns

    async def tell(self, request_id: str, limit: int) -> RequestStory | None:
        """The story, with at most `limit` attempts; None when those who answered know nothing of it."""
        spans, records = await self._find(request_id)
        found = attempts_of(request_id, spans, records)
        if not found:
            return None
        told = found[:limit]
        attempts = await self._attempts(told, spans, records)
        if self._jaeger is not None and JAEGER not in self.asking.failures and not all(attempt.from_span for attempt in told):
            self.asking.note(f"Jaeger does not have all of its traces: {_LACKING[JAEGER]}")
        return RequestStory(request_id=request_id, attempts=attempts, missing=self.asking.gaps(_LACKING), more=len(found) - len(told))

    async def enrich(self, story: RequestStory) -> RequestStory:
        """The story with the spans around each inference, and with alerts and metrics."""
        events = [attempt.event for attempt in story.attempts]
        traces, moments = await asyncio.gather(
            self._traces([event.trace_id for event in events]),
            self._alerts_and_points([(attempt.event, attempt.service_instance) for attempt in story.attempts]),
        )
        trees = {trace_id: SpanTree(seen.span for seen in trace) for trace_id, trace in traces.items()}
        attempts = tuple(_enriched(attempt, trees.get(attempt.event.trace_id), moments) for attempt in story.attempts)
        return replace(story, attempts=attempts, missing=(*story.missing, *self.asking.gaps(_LACKING_BESIDE)))

    async def _find(self, request_id: str) -> tuple[list[SeenSpan], tuple[LogRecord, ...]]:
        """The spans of all traces with the request, and its log records, wherever they can be had from."""
        by_hash, others = await asyncio.gather(self._traces([trace_id_of(request_id)]), self._trace_ids(request_id))
        traces = {**by_hash, **await self._traces([each for each in others if each not in by_hash])}
        spans = [seen for trace in traces.values() for seen in trace]
        found = attempts_of(request_id, spans, ())
        if found:
            return spans, await self._records(request_id, found)
        # Jaeger does not have it, or cannot be asked: the log says in which trace it is.
        records = await self._records_anywhere(request_id)
        traces = await self._traces([record.span[0] for record in records if record.span[0] not in traces])
        return spans + [seen for trace in traces.values() for seen in trace], records

    async def _trace_ids(self, request_id: str) -> Sequence[str]:
        """The traces with a span of the request: also those it was sent in, whose ids do not follow from its own."""
        if self._jaeger is None:
            return ()
        # Of a call with several pairs the first stands for all: they share their trace.
        asked = [request_id] if call_id(request_id) != request_id else [request_id, item_id(request_id, 0)]
        since = self._now - round(self._backends.trace_retention * _NS)
        found = await asyncio.gather(
            *(
                self.asking.ask(
                    JAEGER,
                    self._jaeger.find,
                    {names.REQUEST_ID: each},
                    since_unix_ns=since,
                    until_unix_ns=self._now + AHEAD,
                    limit=MAX_TRACES,
                )
                for each in asked
            )
        )
        return [trace_id for trace_ids in found for trace_id in trace_ids or ()]

    async def _traces(self, trace_ids: Iterable[str]) -> dict[str, tuple[SeenSpan, ...]]:
        """Those of the traces that there are."""
        if self._jaeger is None:
            return {}
        wanted = list(dict.fromkeys(trace_ids))
        if len(wanted) > MAX_TRACES:
            self.asking.note(f"{len(wanted) - MAX_TRACES} of its traces were not asked for: a story brings {MAX_TRACES} together")
        asked = wanted[:MAX_TRACES]
        found = await asyncio.gather(*(self.asking.ask(JAEGER, self._jaeger.trace, trace_id) for trace_id in asked))
        return {trace_id: trace for trace_id, trace in zip(asked, found, strict=True) if trace}

    async def _records(self, request_id: str, found: Sequence[FoundAttempt]) -> tuple[LogRecord, ...]:
        """The log records of attempts whose times are known."""
        if self._loki is None:
            return ()
        windows = together((attempt.event.started_unix_ns for attempt in found), within=_MINUTE_NS)
        if len(windows) > MAX_MOMENTS:
            self.asking.note(f"log lines were looked up for the oldest {MAX_MOMENTS} moments only")
        of_request = [_of_request(request_id)]
        records = await asyncio.gather(
            *(
                self.asking.ask(LOKI, self._loki.inferences, of_request, since_unix_ns=first - _MARGIN, until_unix_ns=last + _MARGIN)
                for first, last in windows[:MAX_MOMENTS]
            )
        )
        return tuple(record for each in records for record in each or ())

    async def _records_anywhere(self, request_id: str) -> tuple[LogRecord, ...]:
        return () if self._loki is None else await self.asking.ask(LOKI, self._slice_by_slice, self._loki, request_id) or ()

    async def _slice_by_slice(self, loki: LokiLogs, request_id: str) -> tuple[LogRecord, ...]:
        """The log records of a request of unknown time; what was found before the time was over is kept."""
        found: dict[SpanKey, LogRecord] = {}
        slices = time_slices(request_id, now_unix_ns=self._now, retention=self._backends.log_retention)
        try:
            async with asyncio.timeout(loki.timeout):
                for since, until in slices:
                    for record in await loki.inferences([_of_request(request_id)], since_unix_ns=since, until_unix_ns=until):
                        found[record.span] = record
        except (TimeoutError, BackendFailed) as error:
            if not found:
                raise error if isinstance(error, BackendFailed) else loki.too_slow() from error
            self.asking.note("Loki was not searched to the end of what it keeps: older attempts may be missing")
        return tuple(found.values())

    async def _attempts(self, told: Sequence[FoundAttempt], spans: Sequence[SeenSpan], records: Sequence[LogRecord]) -> tuple[Attempt, ...]:
        traces: dict[str, list[SpanRecord]] = {attempt.event.trace_id: [] for attempt in told}
        for seen in spans:
            traces.setdefault(seen.span.trace_id, []).append(seen.span)
        trees = {trace_id: SpanTree(trace) for trace_id, trace in traces.items()}
        lines = {record.span: LogEntry(fields=record.fields) for record in records}
        events = [attempt.event for attempt in told]
        batches, minutes, moments = await asyncio.gather(
            self._batches(events, spans),
            self._minutes(events),
            self._alerts_and_points([(attempt.event, attempt.instance) for attempt in told]),
        )
        return tuple(
            Attempt(
                event=attempt.event,
                service_instance=attempt.instance,
                spans=(*trees[attempt.event.trace_id].around(attempt.event), *([batch[0]] if batch else [])),
                logs=(lines[attempt.key],) if attempt.key in lines else (),
                batch=batch[1] if batch else None,
                moment=_moment(attempt.event, minutes, moments),
                text=None,
                in_jaeger=attempt.from_span,
            )
            for attempt in told
            for batch in [batches.get(attempt.event.batch_id or "")]
        )

    async def _batches(self, events: Iterable[InferenceEvent], spans: Iterable[SeenSpan]) -> dict[str, tuple[SpanRecord, BatchRecord]]:
        """The batches' own spans, each with its members: from the log, and from their traces where the log has them not."""
        ids = {event.batch_id: trace_id_of(event.batch_id) for event in events if event.batch_id is not None}
        traces = await self._traces(ids.values())
        known = ((batch_id, batch_span(batch_id, traces.get(trace_id, ()))) for batch_id, trace_id in ids.items())
        found = {batch_id: span for batch_id, span in known if span is not None}
        members = inferences_of(spans)
        for record in await self._members(found):
            event = recorded_event(record)
            if event is not None:
                members.setdefault(record.span, event)
        absent = [link[0] for span in found.values() for link in span.links if link not in members]
        for trace in (await self._traces(absent)).values():
            members |= inferences_of(trace)
        return {batch_id: (span, batch_record(batch_id, span, members)) for batch_id, span in found.items()}

    async def _members(self, batches: dict[str, SpanRecord]) -> tuple[LogRecord, ...]:
        if self._loki is None or not batches:
            return ()
        starts = [span.started_unix_ns for span in batches.values()]
        in_batch = [" or ".join(f"batch_id={quoted(batch_id)}" for batch_id in batches)]
        since, until = min(starts) - _USUAL_WAIT, max(starts) + _MARGIN
        return await self.asking.ask(LOKI, self._loki.inferences, in_batch, since_unix_ns=since, until_unix_ns=until) or ()

    async def _minutes(self, events: Iterable[InferenceEvent]) -> dict[int, MinuteCounts]:
        if self._loki is None:
            return {}
        minutes = list(dict.fromkeys(event.started_unix_ns // _MINUTE_NS for event in events))[:MAX_MOMENTS]
        counts = await asyncio.gather(*(self.asking.ask(LOKI, self._loki.minute, minute * _MINUTE_NS) for minute in minutes))
        return {minute: count for minute, count in zip(minutes, counts, strict=True) if count is not None}

    async def _alerts_and_points(self, asked: Iterable[tuple[InferenceEvent, str]]) -> dict[int, AlertsAndPoints]:
        """By the second of the start: what fired then, and the nearest points of the instance that served."""
        if self._prometheus is None:
            return {}
        by_second = {event.started_unix_ns // _NS: (event.started_unix_ns, instance) for event, instance in asked}
        if len(by_second) > MAX_MOMENTS:
            self.asking.note(f"alerts and metrics were looked up for the oldest {MAX_MOMENTS} moments only")
        chosen = sorted(by_second)[:MAX_MOMENTS]
        found = await asyncio.gather(*(self.asking.ask(PROMETHEUS, self._look, self._prometheus, *by_second[each]) for each in chosen))
        return {second: each for second, each in zip(chosen, found, strict=True) if each is not None}

    async def _look(self, prometheus: PrometheusMetrics, unix_ns: int, instance: str) -> AlertsAndPoints:
        alerts, points = await asyncio.gather(prometheus.alerts(unix_ns), prometheus.points(unix_ns, instance))
        return alerts, points


def _enriched(attempt: Attempt, tree: SpanTree | None, moments: dict[int, AlertsAndPoints]) -> Attempt:
    known = {span.span_id for span in attempt.spans}
    more = [] if tree is None else [span for span in tree.around(attempt.event) if span.span_id not in known]
    alerts, points = moments.get(attempt.event.started_unix_ns // _NS, _NO_ALERTS_AND_POINTS)
    moment = replace(attempt.moment, alerts=alerts, points=points)
    return replace(attempt, spans=(*more, *attempt.spans), moment=moment, in_jaeger=tree is not None)


def _moment(event: InferenceEvent, minutes: dict[int, MinuteCounts], moments: dict[int, AlertsAndPoints]) -> Moment:
    counts = minutes.get(event.started_unix_ns // _MINUTE_NS)
    alerts, points = moments.get(event.started_unix_ns // _NS, _NO_ALERTS_AND_POINTS)
    return Moment(
        inferences=None if counts is None else sum(counts.by_status.values()),
        failed=None if counts is None else sum(counts.by_status.get(outcome.value, 0) for outcome in COUNTS_AGAINST_US),
        p95=None if counts is None else counts.p95,
        queue_depth=event.queue_depth,
        alerts=alerts,
        points=points,
    )


def _of_request(request_id: str) -> str:
    """The condition that a record is of this id or, for a bare one, of a pair of its call."""
    exact = f"request_id={quoted(request_id)}"
    return exact if call_id(request_id) != request_id else f"{exact} or request_id=~`{re.escape(request_id)}:[0-9]+`"
