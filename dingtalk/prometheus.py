"""Prometheus, as far as it remembers which alerts fired, and what their rules say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx

from dingtalk.errors import UpstreamFailed
from dingtalk.missed import episodes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dingtalk.missed import Episode

T = TypeVar("T")

TIMEOUT = 30.0
_USUAL_INTERVAL = 60.0
CHUNK = 3600.0
"""Seconds asked for at once: an alert has 360 samples an hour at the usual interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the loaded rules say.

    Attributes:
        interval: seconds between two evaluations, the longest of any group with alerts.
        annotations: of each alert by its name, those that are fixed texts.
    """

    interval: float
    annotations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Prometheus:
    """Speaks its API, version 1.

    Args:
        url: where it is; a path prefix may be part of it.
        client: shared, without redirects.
    """

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._where = f"Prometheus at {urlsplit(url).netloc.rpartition('@')[2]}"
        self._client = client

    async def rules(self) -> Rules:
        """The intervals and fixed annotations of its alerting rules.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        return await self._ask("/api/v1/rules", {"type": "alert"}, _rules)

    async def fired(self, since: float, until: float, *, step: float) -> list[Episode]:
        """The episodes of every alert that fired after `since`, up to now, which is `until`; without those of severity none.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        moments: dict[frozenset[tuple[str, str]], list[float]] = {}
        begin = since
        while begin < until:
            end = min(begin + CHUNK, until)
            # What always fires, as proof that alerts arrive, is told to nobody.
            query = f'ALERTS{{alertstate="firing",severity!="none"}}[{max(round((end - begin) * 1000), 1)}ms]'
            for metric, samples in await self._ask("/api/v1/query", {"query": query, "time": f"{end:.3f}"}, _series):
                moments.setdefault(frozenset(metric.items()), []).extend(samples)
            begin = end
        return [
            episode for metric, samples in moments.items() for episode in episodes(dict(metric), sorted(set(samples)), step=step, now=until)
        ]

    async def _ask(self, path: str, params: Mapping[str, str], read: Callable[[Any], T]) -> T:
        try:
            response = await self._client.get(self._url + path, params=dict(params), timeout=TIMEOUT, follow_redirects=False)
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"{self._where} does not answer ({str(error) or type(error).__name__})") from error
        if response.status_code >= 300:
            raise UpstreamFailed(f"{self._where} answered {response.status_code}: {' '.join(response.text.split())[:200]}")
        try:
            return read(response.json()["data"])
        except (ValueError, LookupError, TypeError, AttributeError):
            raise UpstreamFailed(f"{self._where} does not answer as it should; is prometheus_url right?") from None


def _rules(data: Any) -> Rules:  # JSON
    annotations: dict[str, Mapping[str, str]] = {}
    interval = 0.0
    for group in data["groups"]:
        for rule in group["rules"]:
            interval = max(interval, float(group["interval"]))
            # A template has no value any more once the alert is over.
            annotations[rule["name"]] = {name: text for name, text in rule.get("annotations", {}).items() if "{{" not in text}
    return Rules(interval=interval or _USUAL_INTERVAL, annotations=annotations)


def _series(data: Any) -> list[tuple[dict[str, str], list[float]]]:  # JSON
    return [(dict(one["metric"]), [float(at) for at, _ in one["values"]]) for one in data["result"]]
