"""What is wrong now, by name: the alerts, and the newest requests that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana.dashboards import foreign_metrics, palette
from grafana.dashboards.data_source import LOKI, PROMETHEUS
from grafana.dashboards.panel import columns, rows, transformation, words_of_text
from grafana.dashboards.query import ALARMING, FAILED, INSTANCE_LABEL, lines, log_lines, records, selector
from service.telemetry import names
from service.telemetry.span_attributes import COUNTS_AGAINST_US

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grafana_foundation_sdk.builders import table
    from grafana_foundation_sdk.models.dashboard import DynamicConfigValue as Property

# Fields that the Loki data source adds, with their links; grafana/provisioning/datasources/loki.yaml says where to.
STORY_FIELD = "Story"
TRACE_FIELD = "Trace"

_SHOWN = 100


def incidents() -> Iterator[table.Panel]:
    """Alerts on a third of the width, requests on the rest."""
    yield _alerts().span(8)
    yield _failures().span(16)


def _alerts() -> table.Panel:
    # ALERTS says pending or firing, ALERTS_FOR_STATE since when (seconds since 1970; Grafana wants milliseconds).
    state = selector(foreign_metrics.ALERTS, ALARMING)
    since = selector(foreign_metrics.ALERTS_FOR_STATE, ALARMING)
    panel = rows(
        "Alerts",
        "Alerts of Prometheus, firing and pending, with the moment their condition became true.",
        PROMETHEUS,
        [records(f"1000 * max by (alertname, severity, alertstate) ({state} * ignoring (alertstate) group_left () {since})")],
    )
    return (
        panel.transformations(columns({"alertstate": "State", "alertname": "Alert", "severity": "Severity", "Value": "Since"}))
        .override_by_name("Since", [_property("unit", "dateTimeFromNow")])
        .override_by_name(
            "State", [_colored(), _property("mappings", [words_of_text({"firing": palette.BAD, "pending": palette.WARNING})]), _width(90)]
        )
        .override_by_name("Severity", [_width(90)])
        .no_value("nothing is firing")
        .sort_by([TableSortByFieldState().display_name("State")])
    )


def _failures() -> table.Panel:
    panel = rows(
        "Recent failures",
        "The newest inferences that count against the service, from their log lines. Story opens all that is known of a request; "
        "Trace opens its spans.",
        LOKI,
        [lines(log_lines(FAILED, event=names.EventName.INFERENCE), _SHOWN)],
    )
    colors = {status.value: palette.STATUS[status] for status in sorted(COUNTS_AGAINST_US)}
    return (
        panel.transformations(
            [
                # The labels of a line become columns; the data source has added the two with links.
                transformation("extractFields", {"source": "labels", "replace": False}),
                transformation("convertFieldType", {"conversions": [{"targetField": "latency_ms", "destinationType": "number"}]}),
                *columns(
                    {
                        # Which of the two, depends on the version of Grafana.
                        "Time": "Time",
                        "timestamp": "Time",
                        names.STATUS: "Status",
                        "error_type": "Error type",
                        "latency_ms": "Latency",
                        INSTANCE_LABEL: "Instance",
                        STORY_FIELD: STORY_FIELD,
                        TRACE_FIELD: TRACE_FIELD,
                    }
                ),
            ]
        )
        .override_by_name("Time", [_width(170)])
        .override_by_name("Status", [_colored(), _property("mappings", [words_of_text(colors)]), _width(100)])
        .override_by_name("Error type", [_width(150)])
        .override_by_name("Latency", [_property("unit", "ms"), _width(90)])
        .no_value("no failures")
        .sort_by([TableSortByFieldState().display_name("Time").desc(True)])
    )


def _property(name: str, value: object) -> Property:
    return DynamicConfigValue(id_val=name, value=value)


def _colored() -> Property:
    return _property("custom.cellOptions", {"type": "color-text"})


def _width(pixels: int) -> Property:
    return _property("custom.width", pixels)
