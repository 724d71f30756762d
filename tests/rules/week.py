"""Eight normal days, drawn: a daily rhythm, a weekend, a holiday, a deploy, a few errors, and nothing to tell anybody."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from tests.rules.promtool import ours, series

STEP_MINUTES = 2
DAYS = 8
STEPS_A_DAY = 24 * 60 // STEP_MINUTES
STEPS = DAYS * STEPS_A_DAY
# Prometheus' tests begin on a Thursday, at eight in the morning in China.
FIRST_LOCAL_HOUR = 8
WEEKEND = {2, 3}
HOLIDAY = {6}
# On Tuesday at half past three in the afternoon.
DEPLOY = 5 * STEPS_A_DAY + int((15.5 - FIRST_LOCAL_HOUR) * 60 / STEP_MINUTES)


def local(step: int) -> tuple[int, float]:
    """The day, counted from 0, and the hour on it, in China."""
    hours = step * STEP_MINUTES / 60 + FIRST_LOCAL_HOUR
    return int(hours // 24), hours % 24


def is_workday(step: int) -> bool:
    return local(step)[0] not in WEEKEND | HOLIDAY


def requests_a_second(step: int) -> float:
    """Quiet at night, busy in the afternoon, a third of it when nobody works."""
    hour = local(step)[1]
    day = math.sin(math.pi * (hour - 5) / 19) ** 2 if hour >= 5 else 0.0
    return 3.0 + (7.0 if is_workday(step) else 2.0) * day * (1 + 0.05 * math.sin(step))


def counted(share: Callable[[int], float]) -> str:
    """A counter that gains a share of the requests, and begins anew with the deploy."""
    return " ".join(_counts(share))


def _counts(share: Callable[[int], float]) -> Iterator[str]:
    total = 0.0
    for step in range(STEPS):
        total = 0.0 if step == DEPLOY else total + requests_a_second(step) * STEP_MINUTES * 60 * share(step)
        yield str(int(total))


def level(value: Callable[[int], float]) -> str:
    """A gauge."""
    return " ".join(f"{value(step):g}" for step in range(STEPS))


def always(number: float) -> str:
    return f"{number:g}x{STEPS}"


def normal_days() -> dict[str, str]:
    """Everything that a full stack shows."""
    made = {
        ours("mgeo_requests_total", status="success"): counted(lambda _: 0.966),
        ours("mgeo_requests_total", status="invalid", error_type="empty_address"): counted(lambda _: 0.03),
        ours("mgeo_requests_total", status="cancelled", error_type="client_disconnected"): counted(lambda _: 0.002),
        ours("mgeo_requests_total", status="error", error_type="model_failed"): counted(lambda _: 0.001),
        ours("mgeo_requests_total", status="timeout", error_type="deadline_exceeded"): counted(lambda _: 0.0005),
        ours("mgeo_requests_total", status="overloaded", error_type="queue_full"): counted(lambda _: 0.0005),
        ours("mgeo_requests_total", status="error", error_type="process_died"): always(0),
        ours("mgeo_log_records_total", severity="INFO"): counted(lambda _: 1.0),
        ours("mgeo_log_records_total", severity="ERROR"): counted(lambda _: 0.001),
        ours("process_uptime_seconds"): level(lambda step: (step - (DEPLOY if step >= DEPLOY else 0)) * STEP_MINUTES * 60 + 5),
        ours("mgeo_queue_depth"): level(lambda step: 3 + 2 * math.sin(step)),
        ours("mgeo_batch_size_sum"): counted(lambda _: 1.0),
        ours("mgeo_batch_size_count"): counted(lambda _: 0.3),
        ours("mgeo_breaker_open"): always(0),
        ours("mgeo_worker_restarts_total", reason="stuck"): always(0),
        ours("mgeo_worker_restarts_total", reason="died"): always(0),
        ours("mgeo_telemetry_dropped_total", signal="traces", reason="spool_full"): always(0),
        ours("mgeo_spool_age_seconds"): level(lambda step: 60 if step % 500 == 0 else 0),
        ours("mgeo_workday"): level(lambda step: 1 if is_workday(step) else 0),
        ours("mgeo_traffic_expected"): always(1),
        ours("mgeo_clock_skew_seconds", mgeo_store="loki"): level(lambda step: 1.5 * math.sin(step)),
        ours("mgeo_audit_difference"): always(0),
        ours("mgeo_audit_unread"): always(0),
        ours("mgeo_audit_timestamp_seconds"): level(lambda step: step * STEP_MINUTES * 60 // 3600 * 3600),
        ours("mgeo_drill_failures"): always(0),
        ours("mgeo_drill_timestamp_seconds"): level(lambda step: 5 * 86_400 if step * STEP_MINUTES >= 5 * 1440 else -2 * 86_400),
        ours("system_filesystem_usage_bytes", mgeo_folder="data"): level(lambda step: 500 + 100 * step / STEPS),
        ours("system_filesystem_limit_bytes", mgeo_folder="data"): always(1000),
        ours("up"): level(lambda step: 0 if step == DEPLOY else 1),
        ours("target_info"): always(1),
    }
    for le, share in (("0.1", 0.8), ("0.4", 0.93), ("0.8", 0.96), ("1.5", 0.9655), ("+Inf", 0.966)):
        made[ours("mgeo_inference_duration_seconds_bucket", status="success", le=le)] = counted(lambda _, share=share: share)
    made[ours("mgeo_inference_duration_seconds_count", status="success")] = counted(lambda _: 0.966)
    return {**made, **_programs()}


def _programs() -> dict[str, str]:
    at = {job: {"job": job, "instance": f"{job}:1"} for job in ("collector", "prometheus", "loki", "jaeger", "alertmanager", "notifier")}
    made = {series("up", **labels): always(1) for labels in at.values()}
    queue = {**at["collector"], "exporter": "otlp_http/loki", "data_type": "logs"}
    robot = {**at["notifier"], "robot": "main"}
    organisation = {**at["notifier"], "organisation": "corp"}
    return {
        **made,
        series("otelcol_exporter_queue_size", **queue): level(lambda step: 100 + 90 * math.sin(step)),
        series("otelcol_exporter_queue_capacity", **queue): always(1000),
        series("prometheus_rule_evaluation_failures_total", **at["prometheus"], rule_group="g"): always(0),
        series("prometheus_rule_group_iterations_missed_total", **at["prometheus"], rule_group="g"): always(2),
        series("prometheus_notifications_alertmanagers_discovered", **at["prometheus"]): always(1),
        series("prometheus_notifications_errors_total", **at["prometheus"], alertmanager="a"): always(0),
        series("prometheus_config_last_reload_successful", **at["prometheus"]): always(1),
        series("prometheus_tsdb_size_retentions_total", **at["prometheus"]): always(0),
        series("prometheus_tsdb_lowest_timestamp_seconds", **at["prometheus"]): always(0),
        series("alertmanager_config_last_reload_successful", **at["alertmanager"]): always(1),
        series("alertmanager_notifications_failed_total", **at["alertmanager"], integration="webhook", reason="other"): always(0),
        series("mgeo_notifier_store_writable", **at["notifier"]): always(1),
        series("mgeo_notifier_queue_age_seconds", **at["notifier"]): level(lambda step: 20 if step % 300 == 0 else 0),
        series("mgeo_notifier_dead_letters", **at["notifier"]): always(0),
        series("mgeo_notifier_robot_state", **robot, state="ok"): always(1),
        series("mgeo_notifier_robot_state", **robot, state="banned"): always(0),
        series("mgeo_notifier_robot_state", **robot, state="dead"): always(0),
        series("mgeo_notifier_quota_limit", **organisation): always(3000),
        series("mgeo_notifier_quota_used", **organisation): level(lambda step: 1000 * step / STEPS),
        series("mgeo_notifier_quota_forecast", **organisation): always(2400),
        series("mgeo_notifier_template_failures_total", **at["notifier"]): always(0),
        series("mgeo_notifier_clock_skew_seconds", **robot): always(1),
    }
