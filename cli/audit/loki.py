"""The log records of inferences in Loki, read page by page under its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.audit.backend import BackendUnread, Refused
from cli.audit.sighting import Sighting
from service.telemetry.names import SERVICE_NAME, EventName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cli.audit.backend import Backend

PAGE = 5000
"""Entries asked for at once: the limit of a Loki that was not told another."""
LEAST_PAGE = 100
# One short line an entry, all in one stream: with its labels each entry would be a stream of its own, thirty times as long.
_FIELDS = ("span_id", "request_id", "status", "latency_ms", "service_instance_id")
QUERY = (
    f'{{service_name="{SERVICE_NAME}"}} |= `{EventName.INFERENCE}`'
    f" | line_format `{' '.join(f'{{{{.{field}}}}}' for field in _FIELDS)}` | keep service_name"
)


class LokiRecords:
    """Reads `mgeo.inference` records; their timestamps are the starts of the inferences."""

    name = "loki"
    signal = "logs"

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._page = PAGE

    async def between(self, since_ns: int, until_ns: int) -> list[Sighting]:
        """The records with a timestamp in the range.

        Raises:
            BackendUnread: Loki cannot be read, or one nanosecond has more records than it gives at once.
        """
        found: list[Sighting] = []
        while since_ns < until_ns:
            page, entries = await self._entries(since_ns, until_ns, self._page)
            entries.sort()
            if len(entries) < page:
                return [*found, *_sightings(entries)]
            # The last nanosecond may go on behind the page: it is asked for again.
            last = entries[-1][0]
            if last == since_ns:
                raise BackendUnread(f"{self._backend.name} has more records at one moment than it gives at once ({page})")
            found += _sightings(entry for entry in entries if entry[0] < last)
            since_ns = last
        return found

    async def _entries(self, since_ns: int, until_ns: int, page: int) -> tuple[int, list[tuple[int, str]]]:
        """The oldest entries of a range, and how many there could have been at most."""
        params = {"query": QUERY, "start": str(since_ns), "end": str(until_ns), "limit": str(page), "direction": "forward"}
        try:
            entries = await self._backend.get("/loki/api/v1/query_range", params, lambda answer: list(_lines(answer)))
        except Refused as refusal:
            if "max entries limit" not in refusal.detail or page <= LEAST_PAGE:
                raise
            self._page = max(page // 2, LEAST_PAGE)
            return await self._entries(since_ns, until_ns, self._page)
        return page, entries or []


def _lines(answer: Any) -> Iterator[tuple[int, str]]:  # JSON
    for stream in answer["data"]["result"]:
        for timestamp, line in stream["values"]:
            yield int(timestamp), line


def _sightings(entries: Iterable[tuple[int, str]]) -> Iterator[Sighting]:
    for started, line in entries:
        fields = line.split(" ")
        # A line that is not ours, in a stream of our name, has other fields.
        if len(fields) == len(_FIELDS):
            span_id, request_id, status, latency, instance = fields
            yield Sighting(
                span_id=span_id,
                request_id=request_id,
                status=status,
                instance=instance,
                started_unix_ns=started,
                ended_unix_ns=started + round(float(latency or 0) * 1e6),
            )
