"""Metrics in our rules that are not in the service's names table: whose they are, and what they are called.

The Collector's and Jaeger's counters end in `_total` or not, by version and by configuration; `expression.either` asks for both.
"""

from __future__ import annotations

# Prometheus' own making.
UP = "up"
ALERTS = "ALERTS"
TARGET_INFO = "target_info"

# The Collector's, and those of Jaeger, which is made of the same parts.
QUEUE_SIZE = "otelcol_exporter_queue_size"
QUEUE_CAPACITY = "otelcol_exporter_queue_capacity"
REFUSED = "otelcol_receiver_refused"
NOT_RECEIVED = "otelcol_receiver_failed"
SEND_FAILED = "otelcol_exporter_send_failed"
ENQUEUE_FAILED = "otelcol_exporter_enqueue_failed"
SIGNALS = ("spans", "metric_points", "log_records")

LOKI_DISCARDED = "loki_discarded_samples_total"

SIZE_RETENTIONS = "prometheus_tsdb_size_retentions_total"
LOWEST_TIMESTAMP = "prometheus_tsdb_lowest_timestamp_seconds"
RULE_FAILURES = "prometheus_rule_evaluation_failures_total"
RULE_MISSED = "prometheus_rule_group_iterations_missed_total"
ALERTMANAGERS = "prometheus_notifications_alertmanagers_discovered"
SEND_ERRORS = "prometheus_notifications_errors_total"
PROMETHEUS_CONFIG = "prometheus_config_last_reload_successful"

ALERTMANAGER_CONFIG = "alertmanager_config_last_reload_successful"
NOTIFY_FAILED = "alertmanager_notifications_failed_total"

# The notifier's.
NOTIFIER_QUEUE_AGE = "mgeo_notifier_queue_age_seconds"
NOTIFIER_DEAD_LETTERS = "mgeo_notifier_dead_letters"
NOTIFIER_ROBOT_STATE = "mgeo_notifier_robot_state"
NOTIFIER_QUOTA_USED = "mgeo_notifier_quota_used"
NOTIFIER_QUOTA_LIMIT = "mgeo_notifier_quota_limit"
NOTIFIER_QUOTA_FORECAST = "mgeo_notifier_quota_forecast"
NOTIFIER_TEMPLATE_FAILURES = "mgeo_notifier_template_failures_total"
NOTIFIER_STORE_WRITABLE = "mgeo_notifier_store_writable"
NOTIFIER_CLOCK_SKEW = "mgeo_notifier_clock_skew_seconds"
NOTIFIER_RECONCILING_FAILURES = "mgeo_notifier_reconciling_failures_total"

SDK_PROCESSED = ("otel_sdk_processor_span_processed_total", "otel_sdk_processor_log_processed_total")

OWNERS: dict[str, frozenset[str]] = {
    "prometheus itself": frozenset({UP, ALERTS, TARGET_INFO}),
    "collector": frozenset({QUEUE_SIZE, QUEUE_CAPACITY}),
    "collector and jaeger": frozenset(
        f"{counter}_{signal}{end}"
        for counter in (REFUSED, NOT_RECEIVED, SEND_FAILED, ENQUEUE_FAILED)
        for signal in SIGNALS
        for end in ("", "_total")
    ),
    "loki": frozenset({LOKI_DISCARDED}),
    "prometheus": frozenset({SIZE_RETENTIONS, LOWEST_TIMESTAMP, RULE_FAILURES, RULE_MISSED, ALERTMANAGERS, SEND_ERRORS, PROMETHEUS_CONFIG}),
    "alertmanager": frozenset({ALERTMANAGER_CONFIG, NOTIFY_FAILED}),
    "notifier": frozenset(
        {
            NOTIFIER_QUEUE_AGE,
            NOTIFIER_DEAD_LETTERS,
            NOTIFIER_ROBOT_STATE,
            NOTIFIER_QUOTA_USED,
            NOTIFIER_QUOTA_LIMIT,
            NOTIFIER_QUOTA_FORECAST,
            NOTIFIER_TEMPLATE_FAILURES,
            NOTIFIER_STORE_WRITABLE,
            NOTIFIER_CLOCK_SKEW,
            NOTIFIER_RECONCILING_FAILURES,
        }
    ),
}
