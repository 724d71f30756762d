"""The dashboard Overview: what someone who was woken up looks at first.

From top to bottom: is it up and is it well (tiles), how much, how bad and how slow (three curves), what is firing and which
requests failed (two tables); then why: where the time goes, load, GPU; last whether the telemetry itself can be believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery, Dashboard, QueryVariable, Row, TimePicker
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableOption, VariableRefresh, VariableSort

from grafana.dashboards import palette
from grafana.dashboards.causes import gpu, load, time_spent
from grafana.dashboards.data_source import LOKI, PROMETHEUS
from grafana.dashboards.glance import curves_at_a_glance, tiles
from grafana.dashboards.incidents import incidents
from grafana.dashboards.query import INSTANCE, INSTANCE_LABEL, log_lines, template
from grafana.dashboards.telemetry_health import telemetry_health
from service.telemetry import names

if TYPE_CHECKING:
    from grafana_foundation_sdk.models import dashboard

UID = "mgeo-overview"


def overview() -> dashboard.Dashboard:
    """Build it. Panels flow from left to right on Grafana's grid of 24 columns."""
    board = (
        Dashboard("MGeo / Overview")
        .uid(UID)
        .description("Is the service up, how much does it do, how badly and how slowly, and can the telemetry itself be believed.")
        .tags(["mgeo"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .timezone("browser")
        .refresh("30s")
        .timepicker(TimePicker().refresh_intervals(["10s", "30s", "1m", "5m", "15m"]))
        .with_variable(_instances())
        .annotation(_starts())
    )
    for panel in (*tiles(), *curves_at_a_glance(), *incidents()):
        board.with_panel(panel)
    for title, panels in (
        ("Where the time goes", time_spent()),
        ("Load", load()),
        ("GPU", gpu()),
        ("The telemetry itself", telemetry_health()),
    ):
        board.with_row(Row(title))
        for panel in panels:
            board.with_panel(panel)
    made = board.build()
    # Fixed ids, so that a link to one panel stays good, and the file the same.
    for number, panel_or_row in enumerate(made.panels or (), start=1):
        panel_or_row.id_val = number
    return made


def _instances() -> QueryVariable:
    return (
        QueryVariable(INSTANCE)
        .label("Instance")
        .description("Processes of the service, by the name people know them by.")
        .datasource(PROMETHEUS)
        .query(f"label_values({names.REQUESTS.prometheus}, {INSTANCE_LABEL})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(text="All", value="$__all", selected=True))
    )


def _starts() -> AnnotationQuery:
    return (
        AnnotationQuery()
        .name("Starts of the service")
        .datasource(LOKI)
        .expr(log_lines(event=names.EventName.SERVICE_STARTED))
        .icon_color(palette.QUIET)
        .enable(True)
        .title_format("Service started")
        .text_format(template(INSTANCE_LABEL))
    )
