"""Why it is slow or refuses: where the time goes, load, GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana.dashboards import palette
from grafana.dashboards.data_source import PROMETHEUS
from grafana.dashboards.panel import color, curves, stacked
from grafana.dashboards.query import mean, over_time, quantile, rate, series, template
from service.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grafana_foundation_sdk.builders import timeseries

_HW_ID = "hw_id"


def time_spent() -> Iterator[timeseries.Panel]:
    """The stages of an inference: on average, and at worst."""
    shares = stacked(
        curves(
            "Mean time by stage",
            "Seconds an inference spends in each stage on average; the upper edge is the mean of the stages together.",
            PROMETHEUS,
            [
                over_time(
                    f"sum by ({names.STAGE}) ({rate(names.STAGE_DURATION, part='_sum')})"
                    f" / on () group_left () sum({rate(names.INFERENCE_DURATION, part='_count')})",
                    template(names.STAGE),
                )
            ],
            unit="s",
        )
    )
    worst = curves(
        "P95 by stage",
        "95 of 100 inferences that reached a stage spent at most this long in it. Percentiles of stages do not add up.",
        PROMETHEUS,
        [over_time(quantile(95, names.STAGE_DURATION, by=names.STAGE), template(names.STAGE))],
        unit="s",
    )
    for panel in (shares, worst):
        for stage, fixed in palette.STAGE.items():
            panel.override_by_name(stage.value, [color(fixed)])
        yield panel.span(12).no_value("no traffic")


def load() -> Iterator[timeseries.Panel]:
    """How much waits, how long, and in how large batches it is served."""
    yield (
        curves(
            "Active and waiting",
            "Inferences that are open, and those among them that wait for the model.",
            PROMETHEUS,
            [over_time(f"sum({series(names.REQUESTS_ACTIVE)})", "active"), over_time(f"sum({series(names.QUEUE_LENGTH)})", "waiting")],
            unit="short",
        )
        .span(8)
        .override_by_name("active", [color(palette.QUIET)])
        .override_by_name("waiting", [color(palette.WARNING)])
    )
    wait = curves(
        "Wait in the queue",
        "Seconds in the queue, also of inferences that left it by deadline or cancellation.",
        PROMETHEUS,
        [over_time(quantile(percent, names.QUEUE_WAIT), f"P{percent}") for percent in palette.PERCENTILE],
        unit="s",
    ).fill_opacity(0)
    for percent, fixed in palette.PERCENTILE.items():
        wait.override_by_name(f"P{percent}", [color(fixed)])
    yield wait.span(8).no_value("no traffic")
    yield (
        curves(
            "Batch size",
            "Inferences in each run of the model. Small batches with a long queue: the model is not the bottleneck.",
            PROMETHEUS,
            # A percentile lies somewhere within its bucket; a batch is of whole inferences.
            [over_time(mean(names.BATCH_SIZES), "mean"), over_time(f"ceil({quantile(95, names.BATCH_SIZES)})", "P95")],
            unit="short",
        )
        .span(8)
        .no_value("no traffic")
        .override_by_name("mean", [color(palette.QUIET)])
        .override_by_name("P95", [color(palette.PERCENTILE[95])])
    )


def gpu() -> Iterator[timeseries.Panel]:
    """Each device once, however many processes share it."""
    device = template(_HW_ID)
    yield (
        curves(
            "GPU utilisation",
            "Part of the time in which a kernel ran, for each device.",
            PROMETHEUS,
            [over_time(f"max by ({_HW_ID}) ({series(names.GPU_UTILIZATION_METRIC)})", device)],
            unit="percentunit",
        )
        .max(1)
        .span(12)
        .no_value("no GPU")
    )
    yield (
        curves(
            "GPU memory",
            "Bytes in use on each device, by all processes; dashed, what there is.",
            PROMETHEUS,
            [
                over_time(f"max by ({_HW_ID}) ({series(names.GPU_MEMORY_USAGE_METRIC)})", device),
                over_time(f"max by ({_HW_ID}) ({series(names.GPU_MEMORY_LIMIT_METRIC)})", f"{device} limit"),
            ],
            unit="bytes",
        )
        .span(12)
        .no_value("no GPU")
        .override_by_regexp(
            " limit$",
            [
                color(palette.BAD),
                DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}),
                DynamicConfigValue(id_val="custom.fillOpacity", value=0),
            ],
        )
    )
