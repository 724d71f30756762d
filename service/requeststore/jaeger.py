"""Traces from Jaeger: one by its id, and the ids of those with a span of given attributes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from service.requeststore.otlp_json import spans_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.requeststore.backend import Backend, JsonAnswer
    from service.requeststore.otlp_json import SeenSpan

# Without it Jaeger moves spans in time to mend the clocks of others, and adds warnings as attributes.
_AS_SENT = {"raw_traces": "true"}


class JaegerTraces:
    """Asks Jaeger.

    Args:
        backend: its query API.
        service: `service.name` of the processes whose spans are meant.
    """

    def __init__(self, backend: Backend, *, service: str) -> None:
        self._backend = backend
        self._service = service

    async def trace(self, trace_id: str) -> tuple[SeenSpan, ...]:
        """The spans of the service in a trace, oldest first; none when there is no such trace.

        Raises:
            BackendFailed: Jaeger cannot tell.
        """
        return await self._backend.ask(f"/api/v3/traces/{trace_id}", self._spans, _AS_SENT)

    async def find(self, attributes: Mapping[str, str], *, since_unix_ns: int, until_unix_ns: int, limit: int) -> tuple[str, ...]:
        """The ids of the traces that have a span of ours with all these attributes; the stores keep an index of them.

        By the API of Jaeger's own pages, since the newer one cannot search by attributes.

        Raises:
            BackendFailed: Jaeger cannot tell.
        """
        params = {
            "service": self._service,
            "tags": json.dumps(attributes),
            "start": str(since_unix_ns // 1000),
            "end": str(until_unix_ns // 1000),
            "limit": str(limit),
        }
        return await self._backend.ask("/api/traces", _trace_ids, params)

    def _spans(self, answer: JsonAnswer) -> tuple[SeenSpan, ...]:
        if answer.status == 404 and answer.body["error"]["message"]:
            return ()
        return spans_of(answer.body["result"], service=self._service)


def _trace_ids(answer: JsonAnswer) -> tuple[str, ...]:
    # Jaeger leaves leading noughts out in some versions.
    return tuple(f"{int(trace['traceID'], 16):032x}" for trace in answer.body["data"] or ())
