"""The ways to look a request up in a running stack, and how long each takes."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from benchmarks.freshness import PATIENCE, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from benchmarks.known_requests import KnownRequest

AROUND_NS = 10_000_000_000
"""How far before and after the moment its id was made Loki is searched for a request: ids are made a piece of the filling ahead."""

SPANS = frozenset({"POST /v1/match", "mgeo.inference", "mgeo.batch"})
"""What the timeline of a request has when nothing of it is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """One way to look a request up.

    Attributes:
        url: who is asked.
        path: what for.
        found: whether a body with status 200 has the request.
    """

    url: str
    path: Callable[[KnownRequest], str]
    found: Callable[[bytes], bool]

    async def sees(self, client: httpx.AsyncClient, request: KnownRequest) -> bool:
        """Whether the request is there."""
        answer = await client.get(self.url + self.path(request))
        return answer.status_code == 200 and self.found(answer.content)

    def timed(self, requests: Sequence[KnownRequest]) -> float:
        """The median of milliseconds over the requests, one after the other on one connection.

        Raises:
            NotFoundError: one of them is not there.
        """
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)
        connection.connect()
        try:
            return statistics.median(self._milliseconds(connection, request) for request in requests)
        finally:
            connection.close()

    def _milliseconds(self, connection: HTTPConnection, request: KnownRequest) -> float:
        path = self.path(request)
        begun = time.monotonic()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        passed = time.monotonic() - begun
        if answer.status != 200 or not self.found(body):
            raise NotFoundError(f"{self.url}{path} answered {answer.status}: {body[:500]!r}")
        return passed * 1000


def by_story(url: str, *, whole: bool = False) -> LookUp:
    """The story that a service tells; with `whole`, one of which nothing is missing, the HTTP request around it included."""
    return LookUp(url=url, path=lambda request: f"/v1/requests/{request.request_id}", found=is_whole if whole else is_story)


def by_trace(url: str) -> LookUp:
    """The spans in Jaeger, by the trace id."""
    return LookUp(url=url, path=lambda request: f"/api/v3/traces/{request.trace_id}", found=lambda body: b'"mgeo.inference"' in body)


def by_line(url: str) -> LookUp:
    """The log record in Loki, by the request id in its structured metadata."""

    def path(request: KnownRequest) -> str:
        window = {"start": request.sent_unix_ns - AROUND_NS, "end": request.sent_unix_ns + AROUND_NS, "limit": 100}
        query = f'{{service_name="mgeo"}} |= `mgeo.inference` | request_id=`{request.request_id}`'
        return f"/loki/api/v1/query_range?{urlencode({'query': query, **window})}"

    return LookUp(url=url, path=path, found=lambda body: bool(json.loads(body)["data"]["result"]))


def is_story(body: bytes) -> bool:
    """Pure: whether a story tells of the request, and every store that was asked has answered."""
    story = json.loads(body)
    return bool(story["attempts"]) and not story["missing"]


def is_whole(body: bytes) -> bool:
    """Pure: whether it has, beside that, the log lines, the batch and all spans."""
    return is_story(body) and all(_is_whole(attempt) for attempt in json.loads(body)["attempts"])


def _is_whole(attempt: dict[str, Any]) -> bool:
    names = {row["name"] for row in attempt["timeline"] if row["kind"] == "span"}
    return bool(attempt["logs"]) and attempt["batch"] is not None and names >= SPANS


def time_in_turns(ways: Mapping[str, tuple[LookUp, Sequence[KnownRequest]]], *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds by way, a median for each round; each round looks up other requests.

    Args:
        ways: each with the requests to look up, at least one a round.
        rounds: in each of which every way has its turn.

    Raises:
        NotFoundError: a request is not there.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, (way, requests) in ways.items():
            taken[name].append(way.timed(requests[turn::rounds]))
    return taken
