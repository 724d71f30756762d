"""A request's story and lists of requests as JSON members. Pure; durations in milliseconds, moments in RFC 3339 UTC."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from service.api.links import StackLinks
from service.api.timeline import timeline
from service.api.wording import ERRORS, in_words
from service.errors import Outcome
from service.telemetry.ids import call_id
from service.telemetry.log_record import timestamp
from service.telemetry.span_attributes import COUNTS_AGAINST_US

if TYPE_CHECKING:
    from service.requeststore.base import Attempt, BatchRecord, Moment, RequestPage, RequestStory, RequestSummary
    from service.telemetry.event import AddressFacts, CapturedText, InferenceEvent

Members = dict[str, Any]  # JSON

_MINUTE_NS = 60_000_000_000


class StoryRenderer:
    """Renders with links.

    Args:
        public_url: put before every link; empty for links that stay on this host.
        stack: makes the links that lead into the stack; None: there are none.
    """

    def __init__(self, public_url: str | None = None, *, stack: StackLinks | None = None) -> None:
        self._base = (public_url or "").rstrip("/")
        self._stack = stack or StackLinks()

    def story(self, story: RequestStory) -> Members:
        """All attempts of a request."""
        links = {"self": self.link(story.request_id)}
        if call_id(story.request_id) != story.request_id:
            links["call"] = self.link(call_id(story.request_id))
        return {
            "request_id": story.request_id,
            "attempts": [self._attempt(attempt) for attempt in sorted(story.attempts, key=_place)],
            "more": story.more,
            "missing": list(story.missing),
            "links": links,
        }

    def page(self, page: RequestPage) -> Members:
        """One page of a search."""
        return {"requests": [self.summary(request) for request in page.requests], "next_cursor": page.next_cursor}

    def summary(self, request: RequestSummary) -> Members:
        """One inference in a list."""
        return {
            "request_id": request.request_id,
            "trace_id": request.trace_id,
            "started": timestamp(request.started_unix_ns),
            "latency_ms": milliseconds(request.duration),
            "function": request.function,
            "status": request.status.value,
            "error_type": request.error_type,
            "label": request.label,
            "similarity": request.similarity,
            "link": self.link(request.request_id),
        }

    def link(self, request_id: str) -> str:
        """Where the story of an id is."""
        return f"{self._base}/v1/requests/{quote(request_id, safe=':')}"

    def _attempt(self, attempt: Attempt) -> Members:
        event = attempt.event
        minute = event.started_unix_ns - event.started_unix_ns % _MINUTE_NS
        around = urlencode({"since": timestamp(minute), "until": timestamp(minute + _MINUTE_NS)})
        length, rows = timeline(event, attempt.spans)
        return {
            "request_id": event.request_id,
            "trace_id": event.trace_id,
            "span_id": event.span_id,
            "function": event.function,
            "service_instance": attempt.service_instance,
            "started": timestamp(event.started_unix_ns),
            "latency_ms": milliseconds(event.duration),
            "outcome": _outcome(event),
            "answer": _answer(event),
            "truncated": event.truncated,
            "output_length": event.output_length,
            "model": None if event.model_name is None else {"name": event.model_name, "version": event.model_version},
            "addresses": {"address1": _address(event.address1), "address2": _address(event.address2)},
            "text": _text(attempt.text),
            "timeline_ms": length,
            "timeline": rows,
            "batch": None if attempt.batch is None else self._batch(attempt.batch),
            "moment": {"minute": timestamp(minute), **_moment(attempt.moment)},
            "gpu": [
                {
                    "id": device.id,
                    "utilization": device.utilization,
                    "memory_usage_bytes": device.memory_usage,
                    "memory_limit_bytes": device.memory_limit,
                    "sample_age_ms": milliseconds(device.age),
                }
                for device in event.gpu
            ],
            "logs": [dict(entry.fields) for entry in attempt.logs],
            "links": {
                "self": self.link(event.request_id),
                "call": self.link(call_id(event.request_id)),
                "same_minute": f"{self._base}/v1/requests?{around}",
                **self._stack.of_request(
                    request_id=event.request_id,
                    trace_id=event.trace_id,
                    in_jaeger=attempt.in_jaeger,
                    unix_ns=event.started_unix_ns,
                ),
            },
        }

    def _batch(self, batch: BatchRecord) -> Members:
        return {
            "batch_id": batch.batch_id,
            "started": timestamp(batch.started_unix_ns),
            "duration_ms": milliseconds(batch.duration),
            "error_type": batch.error_type,
            "members": [self.summary(member) for member in batch.members],
        }


def _place(attempt: Attempt) -> tuple[int, int]:
    """Oldest first; the pairs of one call, which all began with it, by their index."""
    index = attempt.event.request_id.partition(":")[2]
    return attempt.event.started_unix_ns, int(index or 0)


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)


def _outcome(event: InferenceEvent) -> Members:
    exception = event.exception
    return {
        "status": event.outcome.value,
        "error_type": None if event.error_type is None else event.error_type.value,
        "in_words": in_words(event.outcome, event.error_type),
        "advice": None if event.error_type is None else ERRORS[event.error_type].advice,
        "counts_against_service": event.outcome in COUNTS_AGAINST_US,
        "exception": None if exception is None else {"type": exception.type, "frames": list(exception.frames)},
    }


def _answer(event: InferenceEvent) -> Members | None:
    answer = event.answer
    if event.outcome is not Outcome.SUCCESS or answer is None:
        return None
    shares = {"not_match": answer.not_match, "partial_match": answer.partial_match, "exact_match": answer.exact_match}
    # What was told from the log line alone has no probabilities.
    return {
        "label": answer.label,
        "similarity": answer.similarity if math.isfinite(answer.similarity) else None,
        "probabilities": shares if all(math.isfinite(share) for share in shares.values()) else None,
    }


def _moment(moment: Moment) -> Members:
    return {
        "inferences": moment.inferences,
        "failed": moment.failed,
        "p95_ms": None if moment.p95 is None else milliseconds(moment.p95),
        "queue_depth": moment.queue_depth,
        "alerts": [{"name": alert.name, "severity": alert.severity, "since": timestamp(alert.since_unix_ns)} for alert in moment.alerts],
        "points": [
            {"name": point.name, "value": point.value, "device": point.device, "distance_ms": milliseconds(point.distance)}
            for point in moment.points
        ],
    }


def _address(facts: AddressFacts | None) -> Members | None:
    return None if facts is None else {"length": facts.length, "hash": facts.hash}


def _text(text: CapturedText | None) -> Members:
    if text is None:
        return {"captured": False}
    return {"captured": True, "address1": text.address1, "address2": text.address2}
