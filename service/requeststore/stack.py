"""The request store over Jaeger, Loki and Prometheus: what many processes sent is told as the embedded store tells its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

import httpx

from service.errors import RequestNotFound, StoreError
from service.requeststore.backend import Backend
from service.requeststore.jaeger import JaegerTraces
from service.requeststore.loki import LokiLogs
from service.requeststore.prometheus import PrometheusMetrics
from service.requeststore.stack_search import find
from service.requeststore.stack_story import JAEGER, LOKI, PROMETHEUS, Backends, StackTeller
from service.telemetry.ids import is_inference_id
from service.telemetry.names import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.requeststore.base import RequestPage, RequestStory, Search
    from service.settings import Settings

_DAY = 86_400.0
# Look-ups wait for one another rather than crowd the stores.
_CONNECTIONS = httpx.Limits(max_connections=16, max_keepalive_connections=4)


def stack_client() -> httpx.AsyncClient:
    """A client for the stores: by no proxy, and without time limits of its own, since every question has one."""
    return httpx.AsyncClient(trust_env=False, timeout=None, limits=_CONNECTIONS)  # noqa: S113 -- see above


def stack_wanted(settings: Settings) -> bool:
    """Whether the settings name any store of the stack."""
    return bool(settings.jaeger_url or settings.loki_url or settings.prometheus_url)


class StackRequestStore:
    """Answers from the stores of the stack, as far as they do; one that does not leaves a gap, which the story names.

    Args:
        backends: those that are set up.
        unix_ns: the wall clock.
    """

    def __init__(self, backends: Backends, *, unix_ns: Callable[[], int] = time.time_ns) -> None:
        self._backends = backends
        self._unix_ns = unix_ns

    @classmethod
    def of(cls, settings: Settings, client: httpx.AsyncClient, *, service: str = SERVICE_NAME) -> Self:
        """The store over what the settings name. The client stays its owner's."""
        jaeger_url, loki_url, prometheus_url = settings.jaeger_url, settings.loki_url, settings.prometheus_url

        def backend(name: str, url: str) -> Backend:
            return Backend(client, name=name, url=url, timeout=settings.lookup_timeout)

        return cls(
            Backends(
                jaeger=JaegerTraces(backend(JAEGER, jaeger_url), service=service) if jaeger_url else None,
                loki=LokiLogs(backend(LOKI, loki_url), service=service) if loki_url else None,
                prometheus=PrometheusMetrics(backend(PROMETHEUS, prometheus_url), service=service) if prometheus_url else None,
                log_retention=settings.loki_retention_days * _DAY,
                trace_retention=settings.jaeger_retention_days * _DAY,
            )
        )

    @property
    def knows_requests(self) -> bool:
        """Whether it can tell of a request by itself; Prometheus alone only knows what else went on."""
        return self._backends.jaeger is not None or self._backends.loki is not None

    @property
    def searches_everywhere(self) -> bool:
        """Whether Loki is set up; there is no other search here."""
        return self._backends.loki is not None

    async def story(self, request_id: str, *, limit: int = 300) -> RequestStory:
        """Tell all attempts of a request id; of one pair for `<id>:<index>`, of the whole call for the bare id.

        Raises:
            RequestNotFound: all were asked, and none knows it.
            StoreError: those that could be asked do not know it, and not all could be.
        """
        if not is_inference_id(request_id):
            raise RequestNotFound(request_id)
        if not self.knows_requests:
            raise StoreError("neither Jaeger nor Loki is set up; set MGEO_JAEGER_URL and MGEO_LOKI_URL")
        teller = StackTeller(self._backends, now_unix_ns=self._unix_ns())
        story = await teller.tell(request_id, limit)
        if story is None and teller.asking.failures:
            raise StoreError(f"it was not found, but not all could be asked: {'; '.join(teller.asking.failures.values())}")
        if story is None:
            raise RequestNotFound(request_id)
        return story

    async def enrich(self, story: RequestStory) -> RequestStory:
        """Add to a story from elsewhere what only the stack knows: the spans around each inference, alerts and metrics."""
        return await StackTeller(self._backends, now_unix_ns=self._unix_ns()).enrich(story)

    async def search(self, search: Search) -> RequestPage:
        """List inferences, newest first. With address hashes: those that had every given hash on either side.

        Raises:
            InvalidQuery: the cursor was not made by this store.
            StoreError: Loki is not set up, or cannot tell.
        """
        loki = self._backends.loki
        if loki is None:
            raise StoreError("requests are searched in Loki, which is not set up; set MGEO_LOKI_URL")
        return await find(loki, search, now_unix_ns=self._unix_ns(), retention=self._backends.log_retention)

    def close(self) -> None:
        """Nothing of its own is open."""
