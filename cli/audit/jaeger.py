"""The spans of inferences in Jaeger, searched in slices of time that are halved until they stay under the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.audit.backend import BackendUnread
from cli.audit.rfc3339 import rfc3339
from cli.audit.sighting import Sighting
from service.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.audit.backend import Backend

MOST_TRACES = 3000
"""Traces a search may give; one more, and it could be that some were left out."""
_SHORTEST_NS = 2000
_MICROSECOND = 1000


class JaegerSpans:
    """Reads `mgeo.inference` spans. A search gives whole traces, so a trace that other slices reach into comes more than once.

    Args:
        backend: Jaeger.
        most_traces: what a search is limited to.
    """

    name = "jaeger"
    signal = "traces"

    def __init__(self, backend: Backend, *, most_traces: int = MOST_TRACES) -> None:
        self._backend = backend
        self._most_traces = most_traces

    async def between(self, since_ns: int, until_ns: int) -> list[Sighting]:
        """The spans of all traces with an inference that started in the range.

        Raises:
            BackendUnread: Jaeger cannot be read, or two microseconds have more traces than the limit.
        """
        params = {
            "query.service_name": names.SERVICE_NAME,
            "query.operation_name": names.INFERENCE_SPAN,
            # Its index has whole microseconds, and both ends belong to the range.
            "query.start_time_min": rfc3339(since_ns - since_ns % _MICROSECOND),
            "query.start_time_max": rfc3339(until_ns - 1),
            "query.num_traces": str(self._most_traces),
            # As they came: putting them into order costs Jaeger as much as reading them.
            "query.raw_traces": "true",
        }
        # 404 is its word for an empty result.
        found = await self._backend.get("/api/v3/traces", params, lambda answer: list(_spans(answer)), nothing=(404,)) or []
        if len({trace_id for trace_id, _ in found}) < self._most_traces:
            return [sighting for _, sighting in found]
        if until_ns - since_ns <= _SHORTEST_NS:
            raise BackendUnread(f"{self._backend.name} has more traces at one moment than it gives at once ({self._most_traces})")
        middle = (since_ns + until_ns) // 2
        return [*await self.between(since_ns, middle), *await self.between(middle, until_ns)]


def _spans(answer: Any) -> Iterator[tuple[str, Sighting]]:  # JSON
    for resource in answer["result"]["resourceSpans"]:
        instance = _text(resource["resource"].get("attributes", ()), "service.instance.id")
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                if span["name"] == names.INFERENCE_SPAN:
                    yield span["traceId"], _sighting(span, instance)


def _sighting(span: Any, instance: str) -> Sighting:  # JSON
    attributes = span.get("attributes", ())
    return Sighting(
        span_id=span["spanId"],
        request_id=_text(attributes, names.REQUEST_ID),
        status=_text(attributes, names.SPAN_STATUS),
        instance=instance,
        started_unix_ns=int(span["startTimeUnixNano"]),
        ended_unix_ns=int(span["endTimeUnixNano"]),
    )


def _text(attributes: Any, key: str) -> str:  # JSON
    return next((str(attribute["value"].get("stringValue", "")) for attribute in attributes if attribute["key"] == key), "")
