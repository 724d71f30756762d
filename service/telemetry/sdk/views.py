"""How the SDK aggregates: the names table's boundaries, series that begin at 0, and exemplars that disturb nobody."""

from __future__ import annotations

from functools import partial
from typing import Any

from opentelemetry.sdk.metrics import AlignedHistogramBucketExemplarReservoir, Counter
from opentelemetry.sdk.metrics.view import DropAggregation, ExplicitBucketHistogramAggregation, View

from service.telemetry import names
from service.telemetry.metrics import BEGIN

# Of the HTTP instrumentation only the duration is in the names table; its body sizes are wrong under concurrency.
UNWANTED = ("http.server.active_requests", "http.server.request.body.size", "http.server.response.body.size")


class ZeroedHistogram(ExplicitBucketHistogramAggregation):
    """A histogram in which recording in the context `BEGIN` only makes the series exist, with count 0.

    Prometheus' `increase()` cannot see the first observation of a series that is born with it, and the OpenTelemetry API has
    no other way to begin a histogram at nought.
    """

    def _create_aggregation(self, *args: Any, **kwargs: Any) -> Any:  # Any: the SDK's own hook, passed through
        aggregation: Any = super()._create_aggregation(*args, **kwargs)
        aggregate = aggregation.aggregate

        def aggregate_unless_begin(measurement: Any, *more: Any) -> None:
            if measurement.context is not BEGIN:
                aggregate(measurement, *more)

        aggregation.aggregate = aggregate_unless_begin
        return aggregation


def views() -> list[View]:
    """One view for each histogram of the names table, one for all counters, and none of what is unwanted."""
    histograms = [
        View(instrument_name=metric.name, aggregation=ZeroedHistogram(metric.boundaries, record_min_max=False))
        for metric in names.METRICS
        if metric.kind is names.Kind.HISTOGRAM
    ]
    # The SDK's own choice for counters draws from `random`, which belongs to the script that is being watched. This one keeps
    # the last measurement.
    counters = View(instrument_type=Counter, exemplar_reservoir_factory=lambda _: partial(AlignedHistogramBucketExemplarReservoir, ()))
    return [*histograms, counters, *(View(instrument_name=name, aggregation=DropAggregation()) for name in UNWANTED)]
