"""Alerts and points from recorded answers of Prometheus."""

from __future__ import annotations

from service.requeststore.base import FiringAlert, MetricPoint
from service.requeststore.prometheus import GAUGES_QUERY, alerts_of, points_of
from tests.unit.requeststore.recorded import ALERTS, GAUGES, P95, STARTED, vector_of


def test_alerts_are_told_by_name_with_their_severity() -> None:
    """One without a severity has none."""
    assert alerts_of(ALERTS) == (FiringAlert(name="QueueDeep", severity="warning", since_unix_ns=1_795_603_380_000_000_000),)
    assert alerts_of(vector_of(({"alertname": "b"}, "2"), ({"alertname": "a"}, "1"))) == (
        FiringAlert(name="a", severity=None, since_unix_ns=1_000_000_000),
        FiringAlert(name="b", severity=None, since_unix_ns=2_000_000_000),
    )


def test_the_nearest_point_of_each_metric_and_device_is_told() -> None:
    """Of the instance that served, though another's is nearer; what is no number is no point."""
    assert points_of(GAUGES, unix_ns=STARTED, service="mgeo", instance="one") == (
        MetricPoint(name="hw_gpu_utilization", value=0.5, distance=1.826738897, device="GPU-1"),
        MetricPoint(name="mgeo_queue_depth", value=7.0, distance=-1.987261103),
    )
    assert points_of(P95, unix_ns=STARTED, service="mgeo", instance="one")[0].value == 0.024
    assert points_of(GAUGES, unix_ns=STARTED, service="mgeo", instance="three") == ()
    assert points_of(GAUGES, unix_ns=STARTED, service="other", instance="one") == ()


def test_a_series_that_does_not_say_whose_it_is_is_taken() -> None:
    """It was scraped from the one service there is."""
    scraped = {
        "data": {"result": [{"metric": {"__name__": "mgeo_queue_depth", "instance": "127.0.0.1:8000"}, "values": [[1795603388, "4"]]}]}
    }
    (point,) = points_of(scraped, unix_ns=STARTED, service="mgeo", instance="one")
    assert (point.name, point.value, point.device) == ("mgeo_queue_depth", 4.0, None)


def test_the_gauges_are_those_of_the_names_table() -> None:
    """A name that changes there changes here."""
    assert GAUGES_QUERY == '{__name__=~"mgeo_queue_depth|hw_gpu_utilization|hw_gpu_memory_utilization"}[120s]'
