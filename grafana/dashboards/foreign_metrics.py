"""Metrics on our dashboards that are not ours: whose they are, and what they are called.

The Collector's counters end in `_total` or not; `query.counter_rate` says why, and asks for both.
"""

from __future__ import annotations

# Made by Prometheus itself.
UP = "up"
ALERTS = "ALERTS"
ALERTS_FOR_STATE = "ALERTS_FOR_STATE"
# Made from a resource, by Prometheus' OTLP receiver and by the exporter behind `/metrics`.
TARGET_INFO = "target_info"

# The Collector's own, at the version pinned in stack/.
COLLECTOR_QUEUE_SIZE = "otelcol_exporter_queue_size"
COLLECTOR_QUEUE_CAPACITY = "otelcol_exporter_queue_capacity"
COLLECTOR_SIGNALS = {"spans": "spans", "metric_points": "metric points", "log_records": "log records"}
COLLECTOR_LOSSES = {
    "otelcol_receiver_refused": "refused",
    "otelcol_receiver_failed": "not received",
    "otelcol_exporter_send_failed": "send failed",
    "otelcol_exporter_enqueue_failed": "queue full",
}

GAUGES = frozenset({UP, ALERTS, ALERTS_FOR_STATE, TARGET_INFO, COLLECTOR_QUEUE_SIZE, COLLECTOR_QUEUE_CAPACITY})
COUNTERS = frozenset(f"{loss}_{signal}" for loss in COLLECTOR_LOSSES for signal in COLLECTOR_SIGNALS)
