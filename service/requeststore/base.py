"""The story of one request, and the search over recent ones, whatever keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.errors import Outcome
    from service.telemetry.event import CapturedText, InferenceEvent

MAX_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """One span of a trace: nanoseconds of the wall clock, seconds, ids in hex, links as (trace id, span id)."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    started_unix_ns: int
    duration: float
    attributes: Mapping[str, object]
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One log line, by the schema in docs/log-schema.json."""

    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSummary:
    """One inference in a list."""

    request_id: str
    trace_id: str
    span_id: str
    started_unix_ns: int
    duration: float
    function: str
    status: Outcome
    error_type: str | None
    label: str | None
    similarity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """The run of the model an inference was part of: all members, itself among them."""

    batch_id: str
    started_unix_ns: int
    duration: float
    error_type: str | None
    members: tuple[RequestSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringAlert:
    """An alert that fired when the inference began; `since_unix_ns` is when its condition began to hold."""

    name: str
    severity: str | None
    since_unix_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """The point of a metric nearest to the start of the inference.

    Attributes:
        name: `mgeo_queue_depth`, `p95_seconds`, `hw_gpu_utilization`, `hw_gpu_memory_utilization`.
        value: a count, seconds, or a ratio in [0, 1].
        distance: seconds from the start to the point; negative before it.
        device: `hw.id` of the GPU; None for what is of no device.
    """

    name: str
    value: float
    distance: float
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What else went on: the minute around the start, the queue as the inference found it, alerts and metrics then.

    Attributes:
        inferences: inferences that started in the same UTC minute; None when it is not known.
        failed: those of them that count against the service (overloaded, timeout, error); None when it is not known.
        p95: 95th percentile of the duration of the successful ones, seconds; None without one.
        queue_depth: inferences waiting when this one joined; None when it never did.
        alerts: what fired, by name.
        points: the nearest points of what Prometheus watches.
    """

    inferences: int | None
    failed: int | None
    p95: float | None
    queue_depth: int | None
    alerts: tuple[FiringAlert, ...] = ()
    points: tuple[MetricPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One inference under the id: a repeated request_id, or a pair of a batch call, has several.

    `text` is None unless `capture_text` kept it; `service_instance` says which process served it; `in_jaeger` whether its trace
    was found there, so that a link to it leads somewhere.
    """

    event: InferenceEvent
    service_instance: str
    spans: tuple[SpanRecord, ...]
    logs: tuple[LogEntry, ...]
    batch: BatchRecord | None
    moment: Moment
    text: CapturedText | None
    in_jaeger: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStory:
    """All that is known of a request id, oldest attempt first.

    `missing` names, in words, what a backend that did not answer would have added. `more` counts attempts left out past the limit.
    """

    request_id: str
    attempts: tuple[Attempt, ...]
    missing: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for among recent inferences, newest first. None means any; `cursor` continues an earlier page.

    `everywhere` asks for those of every process that sends to the stack, not for those of this data folder alone.
    """

    status: Outcome | None = None
    label: str | None = None
    since_unix_ns: int | None = None
    until_unix_ns: int | None = None
    min_latency: float | None = None
    address_hashes: Sequence[str] = ()
    limit: int = 50
    cursor: str | None = None
    everywhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPage:
    """One page of a search; `next_cursor` is None on the last."""

    requests: tuple[RequestSummary, ...]
    next_cursor: str | None


def only_here(search: Search) -> None:
    """Refuse, for a store of one data folder, to search everywhere.

    Raises:
        InvalidQuery: names the parameter and the setting.
    """
    if search.everywhere:
        raise InvalidQuery("everywhere", "everywhere asks Loki for the requests of all boxes, and Loki is not set up; set MGEO_LOKI_URL.")


class RequestStore(Protocol):
    """Answers for requests that were served."""

    @property
    def searches_everywhere(self) -> bool:
        """Whether a search can be of every process that sends to the stack."""
        ...

    async def story(self, request_id: str, *, limit: int = 300) -> RequestStory:
        """Tell all attempts of a request id; of one pair for `<id>:<index>`, of the whole call for the bare id.

        Raises:
            RequestNotFound: nothing is known of it.
            StoreError: the store cannot be read.
        """
        ...

    async def search(self, search: Search) -> RequestPage:
        """List inferences, newest first. With address hashes: those that had every given hash on either side.

        Raises:
            InvalidQuery: the cursor was not made by this store, or the search is of everywhere and it cannot be.
            StoreError: the store cannot be read.
        """
        ...

    def close(self) -> None:
        """Let go of connections and threads. Safe to call again."""
        ...
