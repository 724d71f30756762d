"""Prometheus, as far as it remembers which alerts fired, and what their rules say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dingtalk.missed import episodes
from dingtalk.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from dingtalk.missed import Episode

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
        self._upstream = Upstream("Prometheus", url, client, setting="prometheus_url", timeout=TIMEOUT)

    async def rules(self) -> Rules:
        """The intervals and fixed annotations of its alerting rules.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        return await self._upstream.get("/api/v1/rules", {"type": "alert"}, _rules)

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
            for metric, samples in await self._upstream.get("/api/v1/query", {"query": query, "time": f"{end:.3f}"}, _series):
                moments.setdefault(frozenset(metric.items()), []).extend(samples)
            begin = end
        return [
            episode for metric, samples in moments.items() for episode in episodes(dict(metric), sorted(set(samples)), step=step, now=until)
        ]


def _rules(answer: Any) -> Rules:  # JSON
    annotations: dict[str, Mapping[str, str]] = {}
    interval = 0.0
    for group in answer["data"]["groups"]:
        for rule in group["rules"]:
            interval = max(interval, float(group["interval"]))
            # A template has no value any more once the alert is over.
            annotations[rule["name"]] = {name: text for name, text in rule.get("annotations", {}).items() if "{{" not in text}
    return Rules(interval=interval or _USUAL_INTERVAL, annotations=annotations)


def _series(answer: Any) -> list[tuple[dict[str, str], list[float]]]:  # JSON
    return [(dict(one["metric"]), [float(at) for at, _ in one["values"]]) for one in answer["data"]["result"]]
