"""Whether the other panels can be believed: what is up, what piles up, what was lost, who reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models.common import BigValueColorMode, BigValueTextMode
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana.dashboards import foreign_metrics, limits, palette
from grafana.dashboards.data_source import PROMETHEUS
from grafana.dashboards.panel import CURVE_HEIGHT, color, columns, curves, rows, stacked, steps, tile, words
from grafana.dashboards.query import (
    CHOSEN,
    INSTANCE_LABEL,
    OTHER_JOBS,
    OUR_JOB,
    counter_rate,
    now,
    over_time,
    rate,
    records,
    selector,
    series,
    template,
)
from service.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grafana_foundation_sdk.builders import stat, table, timeseries

_SIGNAL = "signal"


def telemetry_health() -> Iterator[stat.Panel | table.Panel | timeseries.Panel]:
    """Who is up and reports; then what waits; then what was lost: the Collector's on the left, the service's on the right."""
    yield _programs().span(5)
    yield _fullest_queue().span(3)
    yield _instances().span(16)
    for panel in (_collector_queue(), _spool(), _service_queue()):
        yield panel.span(8)
    for panel in (_collector_losses(), _service_losses()):
        yield panel.span(12)


def _programs() -> stat.Panel:
    return (
        tile(
            "Programs of the stack",
            "Every job that Prometheus scrapes beside the service, from `up`; the worst of its instances.",
            PROMETHEUS,
            [now(f"min by (job) ({selector(foreign_metrics.UP, OTHER_JOBS)})", template("job"))],
            unit="short",
            thresholds=steps(palette.BAD, (1, palette.GOOD)),
        )
        .height(CURVE_HEIGHT)
        .color_mode(BigValueColorMode.VALUE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .mappings([words({1: ("UP", palette.GOOD), 0: ("DOWN", palette.BAD)})])
        .no_value("nothing is scraped")
    )


def _instances() -> table.Panel:
    about = selector(foreign_metrics.TARGET_INFO, OUR_JOB, CHOSEN)
    return (
        rows(
            "Instances",
            "Processes of the service that reported within the hour, and how long ago they last did. One that has done its work and ended, "
            "such as `mgeo match`, stays for that hour.",
            PROMETHEUS,
            [records(f"time() - max by ({INSTANCE_LABEL}, service_version) (max_over_time(timestamp({about})[1h:10s]))")],
        )
        .transformations(columns({INSTANCE_LABEL: "Instance", "service_version": "Version", "Value": "Last metrics"}))
        .override_by_name(
            "Last metrics",
            [
                DynamicConfigValue(id_val="unit", value="s"),
                DynamicConfigValue(id_val="decimals", value=0),
            ],
        )
        .no_value("none for 1 h")
        .sort_by([TableSortByFieldState().display_name("Instance")])
    )


def _fullest_queue() -> stat.Panel:
    return (
        tile(
            "Fullest queue",
            "How full the fullest of the Collector's queues on disk is. Full, the Collector refuses and the service's spool fills.",
            PROMETHEUS,
            [now(f"max({foreign_metrics.COLLECTOR_QUEUE_SIZE} / {foreign_metrics.COLLECTOR_QUEUE_CAPACITY})")],
            unit="percentunit",
            thresholds=steps(
                palette.GOOD, (limits.COLLECTOR_QUEUE_RATIO / 2, palette.WARNING), (limits.COLLECTOR_QUEUE_RATIO, palette.BAD)
            ),
        )
        .height(CURVE_HEIGHT)
        .decimals(1)
        .no_value("no Collector")
    )


def _collector_queue() -> timeseries.Panel:
    return curves(
        "Collector: waiting on disk",
        "Bytes in the queue before each store. It grows while the store is away, for it is tried for ever, and empties when it is back.",
        PROMETHEUS,
        # In bytes, by `sizer` in the Collector's configuration.
        [over_time(f"sum by (exporter) ({foreign_metrics.COLLECTOR_QUEUE_SIZE})", template("exporter"))],
        unit="bytes",
    ).no_value("no Collector")


def _collector_losses() -> timeseries.Panel:
    return curves(
        "Collector: refused and failed",
        "Items in a second. Refused: the sender keeps them and tries again. Not received: they could not be read. Send failed: tried "
        "again, unless the store said never. Queue full: lost. Jaeger is built of the same parts and shows here too.",
        PROMETHEUS,
        [
            over_time(counter_rate(f"{counter}_{signal}", by="job"), f"{template('job')}: {what}, {items}")
            for counter, what in foreign_metrics.COLLECTOR_LOSSES.items()
            for signal, items in foreign_metrics.COLLECTOR_SIGNALS.items()
        ],
        unit="cps",
    ).no_value("none")


def _spool() -> timeseries.Panel:
    return (
        curves(
            "Service: waiting on disk",
            "Bytes in the spool of each instance, which grows while the Collector is away; dashed, on the right, the age of the oldest.",
            PROMETHEUS,
            [
                over_time(f"max by ({INSTANCE_LABEL}) ({series(names.SPOOL_SIZE)})", template(INSTANCE_LABEL)),
                over_time(f"max({series(names.SPOOL_AGE)})", "age"),
            ],
            unit="bytes",
        )
        .no_value("no data")
        .override_by_name(
            "age",
            [
                color(palette.WARNING),
                DynamicConfigValue(id_val="unit", value="s"),
                DynamicConfigValue(id_val="custom.axisPlacement", value="right"),
                DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}),
                DynamicConfigValue(id_val="custom.fillOpacity", value=0),
            ],
        )
    )


def _service_queue() -> timeseries.Panel:
    return curves(
        "Service: waiting to be written or sent",
        "Items in the service's own queues, by signal.",
        PROMETHEUS,
        [over_time(f"sum by ({_SIGNAL}) ({series(names.TELEMETRY_QUEUE)})", template(_SIGNAL))],
        unit="short",
    ).no_value("no data")


def _service_losses() -> timeseries.Panel:
    panel = curves(
        "Service: lost",
        "Items in a second that a full queue, a full spool or a failing destination lost.",
        PROMETHEUS,
        [over_time(f"sum by ({_SIGNAL}, reason) ({rate(names.TELEMETRY_DROPPED)}) > 0", f"{template(_SIGNAL)} {template('reason')}")],
        unit="cps",
    )
    return stacked(panel).no_value("none")
