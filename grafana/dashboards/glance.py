"""The top of Overview: a line of tiles, and traffic, errors and latency beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana.dashboards import foreign_metrics, limits, palette
from grafana.dashboards.data_source import PROMETHEUS
from grafana.dashboards.panel import color, curves, limit_line, stacked, steps, tile, words
from grafana.dashboards.query import (
    ALARMING,
    ATTEMPTED,
    CHOSEN,
    ERROR_TYPE_LABEL,
    OUR_JOB,
    equal,
    error_ratio,
    now,
    over_time,
    quantile,
    rate,
    selector,
    series,
    template,
)
from service.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grafana_foundation_sdk.builders import stat, timeseries

_WINDOW = "5m"


def tiles() -> Iterator[stat.Panel]:
    """Eight of three columns: state, then work, then what waits."""
    for panel in (_service(), _last_metrics(), _alerts_firing(), _requests(), _errors(), _latency(), _waiting(), _breaker()):
        yield panel.span(3)


def curves_at_a_glance() -> Iterator[timeseries.Panel]:
    """Three of eight columns."""
    for panel in (_traffic_by_status(), _errors_by_type(), _percentiles()):
        yield panel.span(8)


def _service() -> stat.Panel:
    return (
        tile(
            "Service",
            "Whether Prometheus reaches the service, from `up`. A percentage: some instances do not answer.",
            PROMETHEUS,
            [now(f"avg({selector(foreign_metrics.UP, OUR_JOB, CHOSEN)})")],
            unit="percentunit",
            thresholds=steps(palette.BAD, (0.001, palette.WARNING), (1, palette.GOOD)),
        )
        .mappings([words({1: ("UP", palette.GOOD), 0: ("DOWN", palette.BAD)})])
        .no_value("not scraped")
    )


def _last_metrics() -> stat.Panel:
    reported = f"timestamp({selector(foreign_metrics.TARGET_INFO, OUR_JOB, CHOSEN)})"
    return (
        tile(
            "Last metrics",
            "Time since the newest metrics of any chosen instance; they come every 10 s. What is pushed has no `up`: an agent's box that "
            "died shows here.",
            PROMETHEUS,
            # A series is gone five minutes after its last sample, so the past hour is looked through.
            [now(f"time() - max(max_over_time({reported}[1h:10s]))")],
            unit="s",
            thresholds=steps(palette.GOOD, (limits.SILENCE_SECONDS, palette.WARNING), (2 * limits.SILENCE_SECONDS, palette.BAD)),
        )
        .decimals(0)
        .no_value("none for 1 h")
    )


def _alerts_firing() -> stat.Panel:
    firing = selector(foreign_metrics.ALERTS, equal("alertstate", "firing"), ALARMING)
    return tile(
        "Alerts firing",
        "Alerts that fire now, without those of severity `none`, which only prove that alerting works.",
        PROMETHEUS,
        [now(f"count({firing}) or vector(0)")],
        unit="short",
        thresholds=steps(palette.GOOD, (1, palette.BAD)),
    )


def _requests() -> stat.Panel:
    return tile(
        "Requests",
        "Inferences that ended in a second, of every status, over 5 minutes.",
        PROMETHEUS,
        [now(f"sum({rate(names.REQUESTS, window=_WINDOW)})")],
        unit="reqps",
        thresholds=steps(palette.QUIET),
    ).no_value("no data")


def _errors() -> stat.Panel:
    return tile(
        "Error ratio",
        "(error + timeout + overloaded) / (those + success), over 5 minutes. Without traffic there is none.",
        PROMETHEUS,
        [now(f"{error_ratio(window=_WINDOW)} >= 0")],
        unit="percentunit",
        thresholds=steps(palette.GOOD, (limits.ERROR_RATIO / 5, palette.WARNING), (limits.ERROR_RATIO, palette.BAD)),
    ).no_value("no traffic")


def _latency() -> stat.Panel:
    return tile(
        "P95 latency",
        "95 of 100 inferences that the model was asked for took at most this long, over 5 minutes. Refused ones are left out.",
        PROMETHEUS,
        [now(f"{quantile(95, names.INFERENCE_DURATION, ATTEMPTED, window=_WINDOW)} >= 0")],
        unit="s",
        thresholds=steps(palette.GOOD, (limits.LATENCY_SECONDS / 2, palette.WARNING), (limits.LATENCY_SECONDS, palette.BAD)),
    ).no_value("no traffic")


def _waiting() -> stat.Panel:
    return tile(
        "Waiting",
        "Inferences in the queue for the model now.",
        PROMETHEUS,
        [now(f"sum({series(names.QUEUE_LENGTH)})")],
        unit="short",
        thresholds=steps(palette.QUIET),
    ).no_value("no data")


def _breaker() -> stat.Panel:
    return (
        tile(
            "Breaker",
            "The circuit breaker: open, it refuses requests because the model keeps failing. The worst of the chosen instances.",
            PROMETHEUS,
            [now(f"max({series(names.BREAKER_STATE)})")],
            unit="short",
            thresholds=steps(palette.GOOD, (0.5, palette.WARNING), (1, palette.BAD)),
        )
        .mappings([words({0: ("closed", palette.GOOD), 0.5: ("probing", palette.WARNING), 1: ("OPEN", palette.BAD)})])
        .no_value("no data")
    )


def _traffic_by_status() -> timeseries.Panel:
    panel = stacked(
        curves(
            "Traffic by status",
            "Inferences that ended in a second. Error, timeout and overloaded count against the service; invalid and cancelled do not.",
            PROMETHEUS,
            [over_time(f"sum by ({names.STATUS}) ({rate(names.REQUESTS)})", template(names.STATUS))],
            unit="reqps",
        )
    )
    for status, fixed in palette.STATUS.items():
        panel.override_by_name(status.value, [color(fixed)])
    return panel


def _errors_by_type() -> timeseries.Panel:
    panel = stacked(
        curves(
            "Error ratio by type",
            "(error + timeout + overloaded) / (those + success), and the error types it is made of. Types that did not occur are left out. "
            f"The dashed line is the limit, {limits.ERROR_RATIO:.0%}.",
            PROMETHEUS,
            [over_time(f"{error_ratio(by=ERROR_TYPE_LABEL)} > 0", template(ERROR_TYPE_LABEL)), over_time(error_ratio(), "all")],
            unit="percentunit",
        )
    )
    return (
        limit_line(panel, limits.ERROR_RATIO)
        .axis_soft_max(limits.ERROR_RATIO * 1.2)
        .no_value("no traffic")
        .override_by_name(
            "all",
            [
                color(palette.BAD),
                DynamicConfigValue(id_val="custom.stacking", value={"mode": "none", "group": "A"}),
                DynamicConfigValue(id_val="custom.fillOpacity", value=0),
                DynamicConfigValue(id_val="custom.lineWidth", value=2),
            ],
        )
    )


def _percentiles() -> timeseries.Panel:
    panel = curves(
        "Latency",
        "Seconds from start to end of the inferences that the model was asked for. "
        f"The dashed line is the limit, {limits.LATENCY_SECONDS:g} s. A diamond is one request: click it for its trace.",
        PROMETHEUS,
        # All three read the same buckets, so one of them fetches the exemplars.
        [
            over_time(quantile(percent, names.INFERENCE_DURATION, ATTEMPTED), f"P{percent}").exemplar(percent == 99)
            for percent in palette.PERCENTILE
        ],
        unit="s",
    )
    for percent, fixed in palette.PERCENTILE.items():
        panel.override_by_name(f"P{percent}", [color(fixed)])
    return limit_line(panel, limits.LATENCY_SECONDS).axis_soft_max(limits.LATENCY_SECONDS * 1.2).fill_opacity(0).no_value("no traffic")
