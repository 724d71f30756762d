"""The points of `mgeo.requests` in a collection, as plain values."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics.export import NumberDataPoint

from service.errors import Outcome
from service.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData


def request_counts(collection: MetricsData) -> tuple[int, Counter[Outcome]] | None:
    """When it was collected (`time_unix_nano`), and the counts by outcome; None without the metric."""
    points = [
        point
        for resource in collection.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == names.REQUESTS.name
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    ]
    if not points:
        return None
    counts: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))
    for point in points:
        counts[Outcome(str((point.attributes or {})[names.STATUS]))] += int(point.value)
    return max(point.time_unix_nano for point in points), counts
