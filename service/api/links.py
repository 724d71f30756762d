"""Where people see more of one request: Grafana where there is one, else the raw API of a store that they can reach. Pure.

A store that cannot be reached from where people are has no link, and neither has one that is not set up, though Grafana has a data
source for it, nor a trace that is not there.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from service.requeststore.prometheus import P95_QUERY
from service.telemetry.names import QUEUE_LENGTH, SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Collection

    from service.settings import Settings

# The data sources' uids in grafana/provisioning.
JAEGER_UID, LOKI_UID, PROMETHEUS_UID = "jaeger", "loki", "prometheus"
_NS_PER_MS = 1_000_000
_AROUND_MS = 300_000
_STEP = 10


class StackLinks:
    """Makes the links.

    Args:
        grafana: Grafana, as people reach it; its links are preferred.
        in_grafana: the uids of the data sources it has a store for.
        jaeger: Jaeger's API, as people reach it; None: they do not.
        loki: the same of Loki.
        prometheus: the same of Prometheus.
    """

    def __init__(
        self,
        *,
        grafana: str | None = None,
        in_grafana: Collection[str] = (),
        jaeger: str | None = None,
        loki: str | None = None,
        prometheus: str | None = None,
    ) -> None:
        self._in_grafana = frozenset(in_grafana)
        self._grafana, self._jaeger, self._loki, self._prometheus = (
            None if url is None else url.rstrip("/") for url in (grafana, jaeger, loki, prometheus)
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """By the settings: through the gateway's paths when it stands before the service, or on this machine without one."""
        stores = {JAEGER_UID: settings.jaeger_url, LOKI_UID: settings.loki_url, PROMETHEUS_UID: settings.prometheus_url}
        in_grafana = [uid for uid, url in stores.items() if url]
        if settings.gateway_links and settings.public_url:
            public = settings.public_url.rstrip("/")
            return cls(
                grafana=settings.grafana_url,
                in_grafana=in_grafana,
                jaeger=f"{public}/jaeger" if settings.jaeger_url else None,
                prometheus=f"{public}/prometheus" if settings.prometheus_url else None,
            )
        if settings.public_url is None and is_loopback(settings.host):
            return cls(
                grafana=settings.grafana_url,
                in_grafana=in_grafana,
                jaeger=_without_password(settings.jaeger_url),
                loki=_without_password(settings.loki_url),
                prometheus=_without_password(settings.prometheus_url),
            )
        return cls(grafana=settings.grafana_url, in_grafana=in_grafana)

    def of_request(self, *, request_id: str, trace_id: str, in_jaeger: bool, unix_ns: int) -> dict[str, str]:
        """`trace`, `logs` and `metrics` of a request that started then, as far as there are such links."""
        start_ms = unix_ns // _NS_PER_MS
        links = {
            "trace": self._trace(trace_id, start_ms) if in_jaeger else None,
            "logs": self._logs(request_id, start_ms),
            "metrics": self._metrics(start_ms),
        }
        return {name: link for name, link in links.items() if link is not None}

    def _trace(self, trace_id: str, start_ms: int) -> str | None:
        if self._explores(JAEGER_UID):
            return self._explore(JAEGER_UID, start_ms, {"query": trace_id})
        return None if self._jaeger is None else f"{self._jaeger}/api/v3/traces/{trace_id}"

    def _logs(self, request_id: str, start_ms: int) -> str | None:
        query = f'{{service_name="{SERVICE_NAME}"}} | request_id="{request_id}"'
        if self._explores(LOKI_UID):
            return self._explore(LOKI_UID, start_ms, {"expr": query, "queryType": "range"})
        if self._loki is None:
            return None
        window = {"start": (start_ms - _AROUND_MS) * _NS_PER_MS, "end": (start_ms + _AROUND_MS) * _NS_PER_MS}
        return f"{self._loki}/loki/api/v1/query_range?{urlencode({'query': query, **window})}"

    def _metrics(self, start_ms: int) -> str | None:
        if self._explores(PROMETHEUS_UID):
            return self._explore(PROMETHEUS_UID, start_ms, {"expr": P95_QUERY}, {"expr": QUEUE_LENGTH.prometheus})
        if self._prometheus is None:
            return None
        window = {"start": (start_ms - _AROUND_MS) / 1000, "end": (start_ms + _AROUND_MS) / 1000, "step": _STEP}
        return f"{self._prometheus}/api/v1/query_range?{urlencode({'query': P95_QUERY, **window})}"

    def _explores(self, uid: str) -> bool:
        return self._grafana is not None and uid in self._in_grafana

    def _explore(self, uid: str, start_ms: int, *queries: dict[str, Any]) -> str:
        """Grafana's Explore, on one data source, for the minutes around the start."""
        source = {"type": uid, "uid": uid}
        pane = {
            "datasource": uid,
            "queries": [{"refId": chr(ord("A") + place), "datasource": source, **query} for place, query in enumerate(queries)],
            "range": {"from": str(start_ms - _AROUND_MS), "to": str(start_ms + _AROUND_MS)},
        }
        panes = json.dumps({"mgeo": pane}, separators=(",", ":"))
        return f"{self._grafana}/explore?{urlencode({'schemaVersion': 1, 'panes': panes, 'orgId': 1})}"


def is_loopback(host: str) -> bool:
    """Whether who listens there is reached from this machine alone. No name is looked up."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_password(url: str | None) -> str | None:
    """The address, unless it has a password, which a page must not show."""
    return None if url is None or "@" in urlsplit(url).netloc else url
