"""What the Collector's metrics page says of what arrived."""

from __future__ import annotations

import pytest

from benchmarks.collector_counters import CollectorCounters

PAGE = """\
# HELP otelcol_receiver_accepted_spans Number of spans successfully pushed into the pipeline.
# TYPE otelcol_receiver_accepted_spans counter
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 20
otelcol_receiver_accepted_spans{receiver="otlp",transport="http"} 9
# TYPE otelcol_receiver_accepted_log_records counter
otelcol_receiver_accepted_log_records{receiver="otlp",transport="grpc"} 12
# TYPE otelcol_exporter_sent_spans counter
otelcol_exporter_sent_spans{exporter="otlp_http/jaeger"} 29
# TYPE otelcol_exporter_sent_log_records counter
otelcol_exporter_sent_log_records{exporter="otlp_http/loki"} 11
# TYPE otelcol_exporter_queue_size gauge
otelcol_exporter_queue_size{data_type="logs",exporter="otlp_http/loki"} 700
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_http/jaeger"} 300
"""
START = CollectorCounters(accepted_logs=2, accepted_spans=0, stored_logs=2, stored_spans=0, queued=0)


def test_series_of_one_name_are_added_up():
    """Receivers and exporters each have a series of their own."""
    assert CollectorCounters.parse(PAGE) == CollectorCounters(
        accepted_logs=12, accepted_spans=29, stored_logs=11, stored_spans=29, queued=1000
    )


def test_what_was_never_counted_is_nought():
    """A Collector that has just started has no series for what it has not seen."""
    assert CollectorCounters.parse("") == CollectorCounters(accepted_logs=0, accepted_spans=0, stored_logs=0, stored_spans=0, queued=0)


def counters(**changed: int) -> CollectorCounters:
    """Ten requests, of which everything is stored."""
    whole = {"accepted_logs": 12, "accepted_spans": 29, "stored_logs": 12, "stored_spans": 29, "queued": 0}
    return CollectorCounters(**{**whole, **changed})


def test_ten_requests_are_held_when_their_records_and_spans_are_stored():
    """What was there before does not count."""
    assert counters().holds(10, START)
    assert not counters().holds(11, START)


@pytest.mark.parametrize(
    "changed",
    [
        {"stored_logs": 11},
        {"stored_spans": 28},
        {"accepted_spans": 19, "stored_spans": 19},
        {"accepted_logs": 11, "stored_logs": 11},
        {"queued": 1},
    ],
)
def test_they_are_not_while_anything_is_on_its_way(changed):
    """A record that no store has yet, a request without its two spans, bytes in a queue."""
    assert not counters(**changed).holds(10, START)
