"""A request store that forgets with its process: the fake for tests, and for programs that keep nothing on disk."""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import TYPE_CHECKING

from service.errors import InvalidQuery, RequestNotFound, StoreError
from service.requeststore.base import Attempt, BatchRecord, LogEntry, Moment, RequestPage, RequestStory, Search, SpanRecord, only_here
from service.requeststore.rows import summary
from service.telemetry.ids import batch_span_id_of, call_id, trace_id_of
from service.telemetry.log_record import inference_record
from service.telemetry.names import BATCH_SPAN, INFERENCE_SPAN, SERVICE_NAME
from service.telemetry.span_attributes import COUNTS_AGAINST_US, batch_attributes, inference_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.telemetry.event import BatchEvent, InferenceEvent

_MINUTE_NS = 60_000_000_000
_CURSOR = re.compile(r"(\d{1,19})\.(\d{1,12})")


class MemoryRequestStore:
    """Keeps every event it is given, and answers as the embedded store does.

    Args:
        instance: what the stories name as the process that served.

    Attributes:
        broken: when true, every look-up raises `StoreError`.
    """

    def __init__(self, instance: str = "memory") -> None:
        self.broken = False
        self._instance = instance
        self._events: list[InferenceEvent] = []
        self._batches: dict[str, BatchEvent] = {}

    @property
    def searches_everywhere(self) -> bool:
        """Never: it is of one process."""
        return False

    def add(self, event: InferenceEvent) -> None:
        """Keep one inference."""
        self._events.append(event)

    def add_batch(self, event: BatchEvent) -> None:
        """Keep one batch."""
        self._batches[event.batch_id] = event

    async def story(self, request_id: str, *, limit: int = 300) -> RequestStory:
        """Tell all attempts of a request id; of one pair for `<id>:<index>`, of the whole call for the bare id.

        Raises:
            RequestNotFound: nothing is known of it.
            StoreError: the store is `broken`.
        """
        self._check()
        found = sorted(
            (event for event in self._events if request_id in {event.request_id, call_id(event.request_id)}),
            key=lambda event: event.started_unix_ns,
        )
        if not found:
            raise RequestNotFound(request_id)
        return RequestStory(
            request_id=request_id,
            attempts=tuple(self._attempt(event) for event in found[:limit]),
            more=max(len(found) - limit, 0),
        )

    async def search(self, search: Search) -> RequestPage:
        """List inferences, newest first. With address hashes: those that had every given hash on either side.

        Raises:
            InvalidQuery: the cursor was not made by this store, or the search is of everywhere.
            StoreError: the store is `broken`.
        """
        only_here(search)
        self._check()
        after = (math.inf, math.inf) if search.cursor is None else _position(search.cursor)
        ordered = sorted(((event.started_unix_ns, number, event) for number, event in enumerate(self._events)), reverse=True)
        matching = ((at, number, event) for at, number, event in ordered if (at, number) < after and _matches(event, search))
        rows = list(islice(matching, search.limit + 1))
        page = rows[: search.limit]
        return RequestPage(
            requests=tuple(summary(event) for _, _, event in page),
            next_cursor=f"{page[-1][0]}.{page[-1][1]}" if len(rows) > search.limit else None,
        )

    def _check(self) -> None:
        if self.broken:
            raise StoreError("this store was told to fail")

    def _attempt(self, event: InferenceEvent) -> Attempt:
        batch = None if event.batch_id is None else self._batches.get(event.batch_id)
        return Attempt(
            event=event,
            service_instance=self._instance,
            spans=tuple(_spans(event, batch)),
            logs=(LogEntry(fields=inference_record(event, service=SERVICE_NAME, instance=self._instance)),),
            batch=None if batch is None else self._batch(batch),
            moment=self._moment(event),
            text=event.text,
        )

    def _batch(self, batch: BatchEvent) -> BatchRecord:
        members = {(member.request_id, member.span_id) for member in batch.members}
        return BatchRecord(
            batch_id=batch.batch_id,
            started_unix_ns=batch.started_unix_ns,
            duration=batch.duration,
            error_type=None if batch.error_type is None else batch.error_type.value,
            members=tuple(summary(event) for event in self._events if (event.request_id, event.span_id) in members),
        )

    def _moment(self, event: InferenceEvent) -> Moment:
        minute = event.started_unix_ns // _MINUTE_NS
        around = [other for other in self._events if other.started_unix_ns // _MINUTE_NS == minute]
        durations = sorted(other.duration for other in around if other.error_type is None)
        return Moment(
            inferences=len(around),
            failed=sum(other.outcome in COUNTS_AGAINST_US for other in around),
            p95=durations[math.ceil(0.95 * len(durations)) - 1] if durations else None,
            queue_depth=event.queue_depth,
        )

    def close(self) -> None:
        """Nothing is open."""


def _spans(event: InferenceEvent, batch: BatchEvent | None) -> Iterator[SpanRecord]:
    own_batch = None if event.batch_id is None else (trace_id_of(event.batch_id), batch_span_id_of(event.batch_id))
    yield SpanRecord(
        name=INFERENCE_SPAN,
        trace_id=event.trace_id,
        span_id=event.span_id,
        parent_span_id=event.parent_span_id,
        started_unix_ns=event.started_unix_ns,
        duration=event.duration,
        attributes=inference_attributes(event),
        links=() if own_batch is None else (own_batch,),
    )
    if batch is not None and own_batch is not None:
        yield SpanRecord(
            name=BATCH_SPAN,
            trace_id=own_batch[0],
            span_id=own_batch[1],
            parent_span_id=None,
            started_unix_ns=batch.started_unix_ns,
            duration=batch.duration,
            attributes=batch_attributes(batch),
            links=tuple((member.trace_id, member.span_id) for member in batch.members),
        )


def _position(cursor: str) -> tuple[float, float]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidQuery("cursor", "This cursor was not given out by this service; begin again without one.")
    return int(match[1]), int(match[2])


def _matches(event: InferenceEvent, search: Search) -> bool:
    hashes = {facts.hash for facts in (event.address1, event.address2) if facts is not None}
    return (
        (search.status is None or event.outcome is search.status)
        and (search.label is None or (event.answer is not None and event.answer.label == search.label))
        and (search.since_unix_ns is None or event.started_unix_ns >= search.since_unix_ns)
        and (search.until_unix_ns is None or event.started_unix_ns < search.until_unix_ns)
        and (search.min_latency is None or event.duration >= search.min_latency)
        and all(digest in hashes for digest in search.address_hashes)
    )
