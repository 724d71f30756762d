"""`GET /`: what goes on, on one page. The figures are of the newest requests the store has, and say of how many."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from service.api.story import milliseconds
from service.errors import Outcome, StoreError
from service.requeststore.base import MAX_PAGE, Search
from service.telemetry.log_record import timestamp
from service.telemetry.span_attributes import COUNTS_AGAINST_US

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.api.pages import Pages
    from service.api.story import StoryRenderer
    from service.model.base import ModelInfo
    from service.requeststore.base import RequestStore, RequestSummary
    from service.telemetry.event import Clock

MINUTES = 15
_SHOWN = 10
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The requests of one outcome: how many, and the 95th percentile of their duration in seconds."""

    status: Outcome
    count: int
    p95: float


def activity(requests: Sequence[RequestSummary]) -> list[Activity]:
    """Count requests by outcome, in the order of `Outcome`; outcomes without any are left out."""
    found = []
    for status in Outcome:
        durations = sorted(request.duration for request in requests if request.status is status)
        if durations:
            p95 = durations[math.ceil(0.95 * len(durations)) - 1]
            found.append(Activity(status=status, count=len(durations), p95=p95))
    return found


class OverviewApi:
    """The overview page.

    Args:
        store: where the figures come from; when it cannot be read, the page says so and shows the rest.
        clock: what `the last minutes` ends at.
        not_ready: why the model or its worker cannot answer; empty when it can.
        degraded: what else is amiss, in words.
        model: who answers; None until it is loaded.
        needs_key: whether the ready-made command has to bring an API key.
        public_url: where people reach the service; None: where this request came to.
        renderer: makes the members of the lists.
        pages: makes the page.
    """

    def __init__(
        self,
        *,
        store: RequestStore,
        clock: Clock,
        not_ready: Callable[[], str],
        degraded: Callable[[], Sequence[str]],
        model: Callable[[], ModelInfo | None],
        needs_key: bool,
        public_url: str | None,
        renderer: StoryRenderer,
        pages: Pages,
    ) -> None:
        self._store = store
        self._clock = clock
        self._not_ready = not_ready
        self._degraded = degraded
        self._model = model
        self._needs_key = needs_key
        self._public_url = public_url
        self._renderer = renderer
        self._pages = pages

    def router(self) -> APIRouter:
        """The route; for people, so it is not in the OpenAPI document."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self._overview, methods=["GET", "HEAD"], response_class=HTMLResponse)
        return router

    async def _overview(self, request: Request) -> Response:
        return self._pages.overview(
            {
                "not_ready": self._not_ready(),
                "degraded": list(self._degraded()),
                "model": self._model(),
                "minutes": MINUTES,
                "needs_key": self._needs_key,
                "url": (self._public_url or _own_url(request)).rstrip("/"),
                **await self._past(),
            }
        )

    async def _past(self) -> dict[str, Any]:
        since = self._clock.unix_ns() - MINUTES * 60 * 1_000_000_000
        try:
            recent = (await self._store.search(Search(since_unix_ns=since, limit=MAX_PAGE))).requests
            newest = recent[:_SHOWN] or (await self._store.search(Search(limit=_SHOWN))).requests
            failed = await asyncio.gather(
                *(self._store.search(Search(status=status, limit=_SHOWN)) for status in Outcome if status in COUNTS_AGAINST_US)
            )
        except StoreError:
            return {"store_failed": True}
        failures = sorted((request for page in failed for request in page.requests), key=lambda each: -each.started_unix_ns)
        return {
            "store_failed": False,
            "sample": len(recent),
            "sample_since": timestamp(recent[-1].started_unix_ns) if len(recent) == MAX_PAGE else None,
            "activity": [{"status": each.status.value, "count": each.count, "p95_ms": milliseconds(each.p95)} for each in activity(recent)],
            "recent": [self._renderer.summary(each) for each in newest],
            "failures": [self._renderer.summary(each) for each in failures[:_SHOWN]],
        }


def _own_url(request: Request) -> str:
    """The address this request came to, if its Host header can stand in a shell command; else a relative one cannot be had."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else "http://localhost:8000"
