"""The instruments, made from the names table, with all their series at 0."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.context import Context

from service.telemetry import names
from service.telemetry.metrics import BEGIN, Instruments, observe

SUCCESS = (("status", "success"),)


@pytest.fixture
def instruments(signals: Any) -> Instruments:
    return Instruments.of(signals.meter)


def test_a_counter_has_every_label_set_at_0(signals: Any, instruments: Instruments) -> None:
    """Among them one for each error type, and success without any."""
    points = signals.points()

    assert len(points["mgeo.requests"]) == 26
    assert SUCCESS in points["mgeo.requests"]
    assert (("error.type", "queue_full"), ("status", "overloaded")) in points["mgeo.requests"]
    assert {point.value for point in points["mgeo.requests"].values()} == {0}
    assert {labels: point.value for labels, point in points["mgeo.worker.restarts"].items()} == {
        (("reason", "died"),): 0,
        (("reason", "stuck"),): 0,
    }


def test_a_histogram_is_there_before_its_first_observation(signals: Any, instruments: Instruments) -> None:
    """Count and sum 0 in every series, so that the first observation is an increase."""
    points = signals.points()

    histograms = {
        name: points[name] for name in ("mgeo.inference.duration", "mgeo.inference.stage.duration", "mgeo.batch.size", "mgeo.queue.wait")
    }
    assert {name: sorted(series) for name, series in histograms.items()} == {
        "mgeo.inference.duration": [
            (("status", status),) for status in ("cancelled", "error", "invalid", "overloaded", "success", "timeout")
        ],
        "mgeo.inference.stage.duration": [(("stage", stage),) for stage in ("clean", "deliver", "inference", "queue", "read", "tokenize")],
        "mgeo.batch.size": [()],
        "mgeo.queue.wait": [()],
    }
    assert {(point.count, point.sum) for series in histograms.values() for point in series.values()} == {(0, 0)}


def test_an_observation_after_the_beginning_is_counted_once(signals: Any, instruments: Instruments) -> None:
    """Count, sum and bucket are those of the observations alone, also after the empty collection of before."""
    signals.points()
    instruments.inference_duration.record(0.3, {"status": "success"})
    instruments.inference_duration.record(40.0, {"status": "success"})

    point = signals.points()["mgeo.inference.duration"][SUCCESS]

    assert (point.count, point.sum) == (2, 40.3)
    assert point.explicit_bounds == (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5, 5, 10, 30)
    assert point.bucket_counts == (0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1)


def test_a_true_observation_of_0_is_counted(signals: Any, instruments: Instruments) -> None:
    """Only the context makes a beginning, not the number."""
    instruments.queue_wait.record(0)
    instruments.queue_wait.record(0, None, Context({"of": "somebody"}))

    assert signals.points()["mgeo.queue.wait"][()].count == 2


def test_what_is_recorded_in_the_context_of_the_beginning_is_never_counted(signals: Any, instruments: Instruments) -> None:
    """Neither at the start nor later."""
    instruments.batch_size.record(8)
    instruments.batch_size.record(99, None, BEGIN)

    point = signals.points()["mgeo.batch.size"][()]
    assert (point.count, point.sum) == (1, 8)


def test_the_line_of_the_alert_is_a_boundary() -> None:
    """A request of exactly 0.8 s is within 0.8 s, one above is not; the histogram reaches three deadlines."""
    assert 0.8 in names.DURATION_BOUNDARIES
    assert names.DURATION_BOUNDARIES[-1] == 30


@pytest.mark.parametrize(("seconds", "within"), [(0.8, 1), (0.8000001, 0)])
def test_a_duration_of_exactly_the_alerts_line_is_still_within_it(
    signals: Any, instruments: Instruments, seconds: float, within: int
) -> None:
    """Boundaries include their own value."""
    instruments.inference_duration.record(seconds, {"status": "success"})

    point = signals.points()["mgeo.inference.duration"][SUCCESS]
    assert sum(point.bucket_counts[: point.explicit_bounds.index(0.8) + 1]) == within


def test_a_gauge_is_read_at_each_collection(signals: Any) -> None:
    """Its value, and whether it exists, are those of the moment."""
    readings: list[list[tuple[float, dict[str, str]]]] = [[(1.0, {"signal": "file"})], [], [(3.0, {"signal": "file"})]]
    observe(signals.meter, names.TELEMETRY_QUEUE, lambda: readings.pop(0))

    seen = [signals.points().get("mgeo.telemetry.queue.depth", {}) for _ in range(3)]

    assert [{labels: point.value for labels, point in series.items()} for series in seen] == [
        {(("signal", "file"),): 1.0},
        {},
        {(("signal", "file"),): 3.0},
    ]


def test_an_observed_counter_is_a_counter(signals: Any) -> None:
    """Monotonic, so that it becomes `_total` in Prometheus."""
    observe(signals.meter, names.TELEMETRY_DROPPED, lambda: [(5, {"signal": "file", "reason": "queue_full"})])

    data = signals.reader.get_metrics_data()
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit, metric.data.is_monotonic) == ("mgeo.telemetry.dropped", "{item}", True)


def test_name_unit_and_description_come_from_the_table(signals: Any, instruments: Instruments) -> None:
    """Nothing is said twice."""
    data = signals.reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    table = {metric.name: metric for metric in names.METRICS}

    assert scope.scope.name == "mgeo"
    # The order of the metrics is the SDK's: those that are observed come when they are read.
    assert sorted((metric.name, metric.unit, metric.description) for metric in scope.metrics) == sorted(
        (name, table[name].unit, table[name].description)
        for name in (
            "mgeo.requests",
            "mgeo.inference.duration",
            "mgeo.inference.stage.duration",
            "mgeo.batch.size",
            "mgeo.queue.wait",
            "mgeo.log.records",
            "mgeo.worker.restarts",
        )
    )
