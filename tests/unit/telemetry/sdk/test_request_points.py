"""The counts of a collection, by a real reader of the SDK."""

from __future__ import annotations

import time
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import MetricsData

from service.errors import ErrorType, Outcome
from service.telemetry.metrics import Instruments
from service.telemetry.sdk import request_counts, setup


def test_a_collection_gives_its_time_and_its_counts(signals: Any) -> None:
    """As they stand in the data points."""
    instruments = Instruments.of(signals.meter)
    for error_type in (None, None, ErrorType.QUEUE_FULL, ErrorType.NOT_READY, ErrorType.INTERNAL):
        instruments.requests.add(error_type, lambda _seq: None)
    before = time.time_ns()
    data = signals.reader.get_metrics_data()

    counted = request_counts(data)
    assert counted is not None
    assert before <= counted[0] <= time.time_ns()
    assert counted[1] == dict.fromkeys(Outcome, 0) | {Outcome.SUCCESS: 2, Outcome.OVERLOADED: 2, Outcome.ERROR: 1}


def test_a_collection_without_the_metric_gives_nothing(signals: Any) -> None:
    """There may be other metrics in it."""
    signals.meter.create_counter("other").add(1)

    assert request_counts(signals.reader.get_metrics_data()) is None
    assert request_counts(MetricsData(resource_metrics=[])) is None


def test_each_collection_is_shown_and_one_more_at_the_end(monkeypatch: pytest.MonkeyPatch, eventually: Any) -> None:
    """Without an endpoint as well; the last one has counted everything."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    shown: list[Any] = []
    telemetry = setup(
        instance_id="i", instance_name="n", version="1", on_collection=lambda collection: shown.append(request_counts(collection))
    )
    instruments = Instruments.of(telemetry.meter_provider.get_meter("mgeo"))
    eventually(lambda: [one for one in shown if one is not None])
    instruments.requests.add(None, lambda _seq: None)
    assert telemetry.shutdown(20)

    assert shown[-1][1].total() == 1
    times = [one[0] for one in shown if one is not None]
    assert times == sorted(times)
