"""The story of one request, put together from the rows of the embedded store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.requeststore.base import Attempt, BatchRecord, LogEntry, Moment, RequestStory, SpanRecord
from service.requeststore.name_table import NameTable
from service.requeststore.packing import pack_hex, pack_id, split_id, unpack_text
from service.requeststore.rows import BATCH_COLUMNS, FAILED_CODES, INFERENCE_COLUMNS, from_batch_row, from_row, summary
from service.telemetry.event import CapturedText
from service.telemetry.ids import batch_span_id_of, trace_id_of
from service.telemetry.log_record import inference_record
from service.telemetry.names import BATCH_SPAN, INFERENCE_SPAN
from service.telemetry.span_attributes import batch_attributes, inference_attributes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from service.requeststore.base import RequestSummary
    from service.telemetry.event import BatchEvent, BatchMember, InferenceEvent

_MINUTE_NS = 60_000_000_000
_COLUMNS = ", ".join(INFERENCE_COLUMNS)
_FAILED = ", ".join(map(str, FAILED_CODES))

CALL = f"SELECT id, {_COLUMNS} FROM inference WHERE call = ? ORDER BY started, id LIMIT ?"  # noqa: S608 -- constants, here and below
PAIR = f"SELECT id, {_COLUMNS} FROM inference WHERE call = ? AND item = ? ORDER BY started, id LIMIT ?"  # noqa: S608
COUNT_CALL = "SELECT count(*) FROM inference WHERE call = ?"
COUNT_PAIR = "SELECT count(*) FROM inference WHERE call = ? AND item = ?"
MEMBER = f"SELECT {_COLUMNS} FROM inference WHERE call = ? AND item IS ? AND span = ?"  # noqa: S608
BATCH = f"SELECT {', '.join(BATCH_COLUMNS)} FROM batch WHERE batch = ? ORDER BY id LIMIT 1"  # noqa: S608
COUNTS = f"SELECT count(*), total(outcome IN ({_FAILED})), total(outcome = 0) FROM inference WHERE started >= ? AND started < ?"  # noqa: S608
NTH_DURATION = """
    SELECT duration FROM inference WHERE started >= ? AND started < ? AND outcome = 0 ORDER BY duration LIMIT 1 OFFSET ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One inference as it was found."""

    event: InferenceEvent
    instance: str
    text: CapturedText | None


def tell(connection: sqlite3.Connection, request_id: str, *, limit: int, service: str) -> RequestStory | None:
    """The story of a request id, with at most `limit` attempts; None when nothing is known of it."""
    return _Teller(connection, service).tell(request_id, limit)


class _Teller:
    """Reads for one story; remembers what several attempts share."""

    def __init__(self, connection: sqlite3.Connection, service: str) -> None:
        self._connection = connection
        self._service = service
        self._name = NameTable(connection).name
        self._batches: dict[str, tuple[BatchEvent, BatchRecord] | None] = {}
        self._minutes: dict[int, tuple[int, int, float | None]] = {}

    def tell(self, request_id: str, limit: int) -> RequestStory | None:
        call, item = split_id(request_id)
        given = (call,) if item is None else (call, item)
        rows = self._connection.execute(CALL if item is None else PAIR, (*given, limit)).fetchall()
        if not rows:
            return None
        counting = COUNT_CALL if item is None else COUNT_PAIR
        total = self._connection.execute(counting, given).fetchone()[0] if len(rows) == limit else len(rows)
        found = [
            _Told(event=event, instance=instance, text=self._text(row[0])) for row in rows for event, instance in [self._event(row[1:])]
        ]
        return RequestStory(request_id=request_id, attempts=tuple(self._attempts(found)), more=total - len(rows))

    def _attempts(self, found: list[_Told]) -> Iterator[Attempt]:
        children: dict[str, list[InferenceEvent]] = {}
        for told in found:
            children.setdefault(told.event.parent_span_id or "", []).append(told.event)
        for told in found:
            event = told.event
            batch = self._batch(event.batch_id)
            spans = [_inference_span(inner) for inner in _with_descendants(event, children)]
            yield Attempt(
                event=event,
                service_instance=told.instance,
                spans=(*spans, *([_batch_span(batch[0])] if batch else [])),
                logs=(LogEntry(fields=inference_record(event, service=self._service, instance=told.instance)),),
                batch=batch[1] if batch else None,
                moment=self._moment(event),
                text=told.text,
            )

    def _event(self, row: Iterable[object]) -> tuple[InferenceEvent, str]:
        return from_row(tuple(row), name=self._name)

    def _text(self, row_id: int) -> CapturedText | None:
        row = self._connection.execute("SELECT address1, address2 FROM captured_text WHERE inference = ?", (row_id,)).fetchone()
        return None if row is None else CapturedText(unpack_text(row[0]), unpack_text(row[1]))

    def _batch(self, batch_id: str | None) -> tuple[BatchEvent, BatchRecord] | None:
        if batch_id is None:
            return None
        if batch_id not in self._batches:
            row = self._connection.execute(BATCH, (pack_id(batch_id),)).fetchone()
            self._batches[batch_id] = None if row is None else self._batch_record(from_batch_row(row, name=self._name))
        return self._batches[batch_id]

    def _batch_record(self, event: BatchEvent) -> tuple[BatchEvent, BatchRecord]:
        members = (self._member(member) for member in event.members)
        return event, BatchRecord(
            batch_id=event.batch_id,
            started_unix_ns=event.started_unix_ns,
            duration=event.duration,
            error_type=None if event.error_type is None else event.error_type.value,
            members=tuple(member for member in members if member is not None),
        )

    def _member(self, member: BatchMember) -> RequestSummary | None:
        row = self._connection.execute(MEMBER, (*split_id(member.request_id), pack_hex(member.span_id, 8))).fetchone()
        return None if row is None else summary(self._event(row)[0])

    def _moment(self, event: InferenceEvent) -> Moment:
        minute = event.started_unix_ns // _MINUTE_NS
        if minute not in self._minutes:
            self._minutes[minute] = self._count(minute * _MINUTE_NS)
        inferences, failed, p95 = self._minutes[minute]
        return Moment(inferences=inferences, failed=failed, p95=p95, queue_depth=event.queue_depth)

    def _count(self, start: int) -> tuple[int, int, float | None]:
        span = (start, start + _MINUTE_NS)
        inferences, failed, succeeded = map(int, self._connection.execute(COUNTS, span).fetchone())
        if not succeeded:
            return inferences, failed, None
        # The nearest rank: the smallest duration that at least 95 of 100 do not exceed.
        rank = math.ceil(succeeded * 95 / 100)
        return inferences, failed, float(self._connection.execute(NTH_DURATION, (*span, rank - 1)).fetchone()[0])


def _with_descendants(event: InferenceEvent, children: dict[str, list[InferenceEvent]]) -> list[InferenceEvent]:
    """The event and the decorated calls inside it, each once."""
    family = [event]
    seen = {event.span_id}
    for member in family:
        for child in children.get(member.span_id, []) if member.span_id else []:
            if child.span_id not in seen:
                seen.add(child.span_id)
                family.append(child)
    return family


def _inference_span(event: InferenceEvent) -> SpanRecord:
    links = () if event.batch_id is None else ((trace_id_of(event.batch_id), batch_span_id_of(event.batch_id)),)
    return SpanRecord(
        name=INFERENCE_SPAN,
        trace_id=event.trace_id,
        span_id=event.span_id,
        parent_span_id=event.parent_span_id,
        started_unix_ns=event.started_unix_ns,
        duration=event.duration,
        attributes=inference_attributes(event),
        links=links,
    )


def _batch_span(event: BatchEvent) -> SpanRecord:
    return SpanRecord(
        name=BATCH_SPAN,
        trace_id=trace_id_of(event.batch_id),
        span_id=batch_span_id_of(event.batch_id),
        parent_span_id=None,
        started_unix_ns=event.started_unix_ns,
        duration=event.duration,
        attributes=batch_attributes(event),
        links=tuple((member.trace_id, member.span_id) for member in event.members),
    )
