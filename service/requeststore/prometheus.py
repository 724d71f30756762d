"""What Prometheus knew at a moment: the alerts that fired, and the nearest points of what else mattered."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from service.requeststore.base import FiringAlert, MetricPoint
from service.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from service.requeststore.backend import Backend, JsonAnswer

P95 = "p95_seconds"
# How far from the moment a point may be; metrics come every ten seconds.
NEAR = 60.0
_STEP = 10
_NS = 1_000_000_000

# `ALERTS` says what fires, `ALERTS_FOR_STATE` since when its condition holds.
ALERTS_QUERY = 'ALERTS_FOR_STATE and ignoring(alertstate) ALERTS{alertstate="firing"}'
GAUGES = (names.QUEUE_LENGTH.prometheus, names.GPU_UTILIZATION_METRIC.prometheus, names.GPU_MEMORY_UTILIZATION_METRIC.prometheus)
GAUGES_QUERY = f'{{__name__=~"{"|".join(GAUGES)}"}}[{2 * NEAR:.0f}s]'
P95_QUERY = (
    "histogram_quantile(0.95, sum by (le, instance, service_name) "
    f'(rate({names.INFERENCE_DURATION.prometheus}_bucket{{status="success"}}[5m])))'
)


class PrometheusMetrics:
    """Asks Prometheus.

    Args:
        backend: its API.
        service: `service.name` of the processes whose metrics are meant.
    """

    def __init__(self, backend: Backend, *, service: str) -> None:
        self._backend = backend
        self._service = service

    async def alerts(self, unix_ns: int) -> tuple[FiringAlert, ...]:
        """The alerts that fired then, by name.

        Raises:
            BackendFailed: Prometheus cannot tell.
        """
        params = {"query": ALERTS_QUERY, "time": _seconds(unix_ns)}
        return await self._backend.ask("/api/v1/query", lambda answer: alerts_of(answer.body), params)

    async def points(self, unix_ns: int, instance: str) -> tuple[MetricPoint, ...]:
        """The nearest points of queue depth, P95 over five minutes, and the GPUs' use, of one instance where it is told apart.

        Raises:
            BackendFailed: Prometheus cannot tell.
        """
        end = unix_ns + round(NEAR * _NS)
        evaluated = {"query": P95_QUERY, "start": _seconds(unix_ns - round(NEAR * _NS)), "end": _seconds(end), "step": str(_STEP)}

        def read(answer: JsonAnswer) -> tuple[MetricPoint, ...]:
            return points_of(answer.body, unix_ns=unix_ns, service=self._service, instance=instance)

        gauges, p95 = await asyncio.gather(
            self._backend.ask("/api/v1/query", read, {"query": GAUGES_QUERY, "time": _seconds(end)}),
            self._backend.ask("/api/v1/query_range", read, evaluated),
        )
        return gauges + p95


def alerts_of(body: Any) -> tuple[FiringAlert, ...]:  # JSON
    """The alerts in an answer to `ALERTS_QUERY`.

    Raises:
        LookupError, TypeError, ValueError: it is something else.
    """
    found = [
        FiringAlert(
            name=str(sample["metric"]["alertname"]),
            severity=sample["metric"].get("severity"),
            since_unix_ns=round(float(sample["value"][1])) * _NS,
        )
        for sample in body["data"]["result"]
    ]
    return tuple(sorted(found, key=lambda alert: (alert.name, alert.since_unix_ns)))


def points_of(body: Any, *, unix_ns: int, service: str, instance: str) -> tuple[MetricPoint, ...]:  # JSON
    """Of each metric and device in a matrix the nearest point of this process.

    What came by OTLP says which process it is of; what was scraped is of the one service on this machine.

    Raises:
        LookupError, TypeError, ValueError: it is something else.
    """
    nearest: dict[tuple[str, str | None], MetricPoint] = {}
    for series in body["data"]["result"]:
        labels = series["metric"]
        if "service_name" in labels and (labels["service_name"], labels.get("instance")) != (service, instance):
            continue
        name, device = str(labels.get("__name__", P95)), labels.get("hw_id")
        for at, value in _finite(series["values"]):
            # By whole milliseconds, as Prometheus keeps its time.
            distance = (round(at * 1000) * 1_000_000 - unix_ns) / _NS
            if (name, device) not in nearest or abs(distance) < abs(nearest[name, device].distance):
                nearest[name, device] = MetricPoint(name=name, value=value, distance=distance, device=device)
    return tuple(sorted(nearest.values(), key=lambda point: (point.name, point.device or "")))


def _finite(values: Iterable[Sequence[Any]]) -> Iterator[tuple[float, float]]:
    numbers = ((float(at), float(text)) for at, text in values)
    return (pair for pair in numbers if math.isfinite(pair[1]))


def _seconds(unix_ns: int) -> str:
    """Unix seconds with nine decimals, without the rounding of a float."""
    return f"{unix_ns // _NS}.{unix_ns % _NS:09d}"
