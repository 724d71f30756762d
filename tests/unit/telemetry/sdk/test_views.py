"""How the SDK aggregates for us."""

from __future__ import annotations

import random
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View

from service.telemetry.metrics import BEGIN
from service.telemetry.sdk import ZeroedHistogram


def test_a_zeroed_histogram_begins_at_0_in_every_reader() -> None:
    """The scraped one and the exported one each have an aggregation of their own."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    view = View(instrument_name="wait", aggregation=ZeroedHistogram((1, 2)))
    provider = MeterProvider(metric_readers=readers, views=[view], shutdown_on_exit=False)
    histogram = provider.get_meter("test").create_histogram("wait")

    histogram.record(1.5, {"kind": "begun"}, BEGIN)
    histogram.record(1.5, {"kind": "counted"})

    for reader in readers:
        points = {point.attributes["kind"]: point for point in _points(reader)}
        assert (points["begun"].count, points["begun"].sum, points["begun"].bucket_counts) == (0, 0, (0, 0, 0))
        assert (points["counted"].count, points["counted"].sum, points["counted"].bucket_counts) == (1, 1.5, (0, 1, 0))
    provider.shutdown()


def _points(reader: InMemoryMetricReader) -> Any:
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    return metric.data.data_points


def test_what_the_http_instrumentation_adds_is_dropped(signals: Any) -> None:
    """Its duration stays; the other three are in no table."""
    signals.meter.create_up_down_counter("http.server.active_requests").add(1)
    for name in ("http.server.request.body.size", "http.server.response.body.size", "http.server.request.duration"):
        signals.meter.create_histogram(name).record(1)

    assert set(signals.points()) == {"http.server.request.duration"}


def test_the_http_duration_has_the_boundaries_of_the_inference_duration(signals: Any) -> None:
    """The two can be laid over one another."""
    signals.meter.create_histogram("http.server.request.duration", explicit_bucket_boundaries_advisory=(1, 2)).record(1)

    (point,) = signals.points()["http.server.request.duration"].values()
    assert point.explicit_bounds == (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5, 5, 10, 30)


def test_counting_inside_a_trace_leaves_the_scripts_random_numbers_alone(signals: Any) -> None:
    """Exemplars of counters are chosen without `random`: the last measurement stays."""
    counter = signals.meter.create_counter("mgeo.requests")
    tracer = signals.telemetry.tracer_provider.get_tracer("test")
    random.seed(0)
    for _ in range(10):
        with tracer.start_as_current_span("work") as span:
            counter.add(1)

    assert random.random() == 0.8444218515250481
    (point,) = signals.points()["mgeo.requests"].values()
    (exemplar,) = point.exemplars
    assert (point.value, exemplar.span_id) == (10, span.get_span_context().span_id)
