"""Grafana's files against what they speak of: metrics, log fields, data sources, variables, environment, each other."""

from __future__ import annotations

import configparser
import re
from typing import Any

import promql_parser
import pytest
import yaml

from grafana.dashboards import foreign_metrics, limits, palette
from grafana.dashboards.incidents import STORY_FIELD, TRACE_FIELD
from grafana.dashboards.overview import UID
from service.errors import Outcome
from service.telemetry import names
from service.telemetry.event import Stage
from service.telemetry.names import Kind
from service.telemetry.sdk.providers import EXPORT_INTERVAL_MS
from tests.dashboards import FOLDER, PROVISIONING, ROOT, VARIABLES, dashboard, data_sources, expanded, panels, queries

FILES = sorted(path.name for path in FOLDER.glob("*.json"))
QUERIES = [query for name in FILES for query in queries(dashboard(name))]
PROMQL = [query for query in QUERIES if query.source == "prometheus"]
LOGQL = [query for query in QUERIES if query.source == "loki"]
WIDTH = 24


def known_series() -> set[str]:
    """Every name a query may select."""
    ours = {
        metric.prometheus + part
        for metric in (*names.METRICS, *names.SDK_METRICS)
        for part in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
    }
    return ours | foreign_metrics.GAUGES | {counter + end for counter in foreign_metrics.COUNTERS for end in ("", "_total")}


def selected(expression: str) -> dict[str, set[str]]:
    """The series a PromQL expression selects, with the labels it matches on. Raises ValueError when it cannot be parsed."""
    found: dict[str, set[str]] = {}

    def visit(node: Any) -> None:
        node = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
        if isinstance(node, promql_parser.VectorSelector):
            found.setdefault(node.name or "", set()).update(matcher.name for matcher in node.matchers.matchers)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def correlated_queries() -> list[str]:
    """The queries that lead from a span to metrics, with the span's labels filled in."""
    metrics = data_sources()["jaeger"]["jsonData"]["tracesToMetrics"]
    (tag,) = metrics["tags"]
    return [query["query"].replace("$__tags", f'{tag["value"]}="box"') for query in metrics["queries"]]


@pytest.mark.parametrize("query", PROMQL, ids=lambda query: f"{query.panel}-{query.expression[:20]}")
def test_every_promql_is_promql_about_metrics_that_exist(query: Any) -> None:
    """By the names table, or by the table of other owners' names; so are the labels of our own."""
    by_name = {metric.prometheus: metric for metric in names.METRICS}
    for name, labels in selected(query.filled(instance=".*")).items():
        assert name in known_series()
        metric = by_name.get(re.sub(r"_(bucket|sum|count)$", "", name)) or by_name.get(name)
        if metric is not None:
            assert labels <= {"mgeo_instance_name", *(attribute.replace(".", "_") for attribute in metric.attributes)}


@pytest.mark.parametrize("expression", correlated_queries())
def test_every_query_behind_a_span_is_about_metrics_that_exist(expression: str) -> None:
    """They stand in YAML, where no table reaches."""
    series = selected(expression)

    assert series
    assert set(series) <= known_series()
    assert all("mgeo_instance_name" in labels for labels in series.values())


def test_a_broken_query_is_noticed() -> None:
    """The parser is not one that takes everything."""
    with pytest.raises(ValueError, match="unclosed"):
        selected("sum(rate(x[1m])")


@pytest.mark.parametrize("query", LOGQL, ids=lambda query: query.panel)
def test_every_logql_is_about_fields_and_events_that_exist(query: Any) -> None:
    """A stream of the service, an event of the closed set, and filters on log fields or the instance's name."""
    pattern = r'\{service_name="mgeo"\} \|= "(?P<event>[^"]+)"(?P<filters>( \| \w+=~?"[^"]*")*)'
    match = re.fullmatch(pattern, query.expression)

    assert match is not None
    assert match["event"] in {event.value for event in names.EventName}
    filtered = set(re.findall(r"\| (\w+)=", match["filters"]))
    assert filtered <= {"mgeo_instance_name", *(field.name for field in names.LOG_FIELDS)}


@pytest.mark.parametrize("name", FILES)
def test_every_query_knows_its_data_source_and_its_letter(name: str) -> None:
    """Only provisioned data sources; a letter is not used twice in a panel."""
    types = {uid: source["type"] for uid, source in data_sources().items()}
    for panel in panels(dashboard(name)):
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert types[source["uid"]] == source["type"]


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_used_and_every_used_one_exists(name: str) -> None:
    """Grafana's own begin with two underscores."""
    board = dashboard(name)
    used = {
        variable for query in queries(board) for variable in re.findall(r"\$\{?(\w+)", query.expression) if not variable.startswith("__")
    }

    assert used == {variable["name"] for variable in board["templating"]["list"]} == {"instance"}


def test_the_variable_offers_the_names_of_the_instances_and_all() -> None:
    """All is everything, also series without the label."""
    (variable,) = dashboard()["templating"]["list"]

    assert variable["query"] == "label_values(mgeo_requests_total, mgeo_instance_name)"
    assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
    assert variable["current"]["value"] == "$__all"


@pytest.mark.parametrize("name", FILES)
def test_panels_fill_the_grid_without_gap_or_overlap(name: str) -> None:
    """Each line of the grid is covered exactly once, from the first to the last."""
    board = dashboard(name)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    height = max(y for _, y in cells) + 1

    assert sorted(cells) == [(x, y) for x in range(WIDTH) for y in range(height)]


@pytest.mark.parametrize("name", FILES)
def test_every_panel_says_what_it_shows(name: str) -> None:
    """A title of its own, a description, an id of its own."""
    board = dashboard(name)
    titles = [panel["title"] for panel in board["panels"]]
    ids = [panel["id"] for panel in board["panels"]]

    assert len(set(titles)) == len(titles)
    assert len(set(ids)) == len(ids)
    assert [panel["title"] for panel in panels(board) if not panel.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("name", FILES)
def test_every_number_has_a_unit(name: str) -> None:
    """Base units: seconds, bytes, ratios, rates."""
    units = {panel["title"]: panel["fieldConfig"]["defaults"].get("unit") for panel in panels(dashboard(name)) if panel["type"] != "table"}

    assert set(units.values()) <= {"s", "bytes", "percentunit", "reqps", "cps", "short"}


def test_what_is_seen_first_fits_a_screen() -> None:
    """Tiles, then traffic, errors and latency, then alerts and failures: twenty lines of the grid."""
    top = [(panel["title"], panel["gridPos"]["y"]) for panel in panels(dashboard()) if panel["gridPos"]["y"] < 20]

    assert [title for title, y in top if y == 0] == [
        "Service",
        "Last metrics",
        "Alerts firing",
        "Requests",
        "Error ratio",
        "P95 latency",
        "Waiting",
        "Breaker",
    ]
    assert [title for title, y in top if y > 0] == ["Traffic by status", "Error ratio by type", "Latency", "Alerts", "Recent failures"]


def test_the_limits_are_drawn_and_a_bucket_ends_at_the_latencys() -> None:
    """0.8 s and 5 %; a percentile is exact where a bucket ends."""
    drawn = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for panel in panels(dashboard())
        if panel["fieldConfig"]["defaults"].get("custom", {}).get("thresholdsStyle", {}).get("mode") == "dashed"
    }

    assert drawn == {"Latency": 0.8, "Error ratio by type": 0.05}
    assert limits.LATENCY_SECONDS in names.INFERENCE_DURATION.boundaries


def test_one_query_of_the_latency_asks_for_exemplars() -> None:
    """The three read the same buckets; more would draw each diamond thrice."""
    assert [query.panel for query in PROMQL if query.exemplars] == ["Latency"]


def test_every_status_and_stage_has_a_colour() -> None:
    """Its own, so that it is the same on every panel."""
    assert set(palette.STATUS) == set(Outcome)
    assert set(palette.STAGE) == set(Stage)
    assert len(set(palette.STATUS.values())) == len(Outcome)
    assert len(set(palette.STAGE.values())) == len(Stage)


def test_the_failures_lead_to_story_and_trace() -> None:
    """The two columns are fields that the data source adds; both survive the way to the table, with their links."""
    (panel,) = [panel for panel in panels(dashboard()) if panel["title"] == "Recent failures"]
    kept = next(step["options"]["include"]["names"] for step in panel["transformations"] if step["id"] == "filterFieldsByName")
    added = {field["name"]: field for field in data_sources()["loki"]["jsonData"]["derivedFields"]}

    assert {STORY_FIELD, TRACE_FIELD} == set(added) <= set(kept)
    assert set(kept) - set(added) - {"Time", "timestamp", "mgeo_instance_name"} <= {field.name for field in names.LOG_FIELDS}


def test_the_data_sources_have_fixed_uids_and_addresses_from_the_environment() -> None:
    """Nobody may edit them in the browser, since the next start would undo it."""
    assert {uid: (source["type"], source["url"], source["editable"]) for uid, source in data_sources().items()} == {
        "alertmanager": ("alertmanager", "http://alertmanager.example:9093", False),
        "jaeger": ("jaeger", "http://jaeger.example:16686", False),
        "loki": ("loki", "http://loki.example:3100", False),
        "prometheus": ("prometheus", "http://prometheus.example:9090", False),
    }
    assert [uid for uid, source in data_sources().items() if source.get("isDefault")] == ["prometheus"]


def test_an_exemplar_leads_to_its_trace() -> None:
    """By the label that the OTLP receiver gives it."""
    assert data_sources()["prometheus"]["jsonData"]["exemplarTraceIdDestinations"] == [
        {"name": "trace_id", "datasourceUid": "jaeger", "urlDisplayLabel": "Trace"}
    ]


def test_a_log_line_leads_to_its_story_and_its_trace() -> None:
    """Both ids are fields of the line; what matches them matches no other field."""
    fields = {field["name"]: field for field in data_sources()["loki"]["jsonData"]["derivedFields"]}
    matched = {
        name: [each.name for each in names.LOG_FIELDS if re.search(field["matcherRegex"], each.name)] for name, field in fields.items()
    }

    assert matched == {"Story": ["request_id"], "Trace": ["trace_id"]}
    assert {field["matcherType"] for field in fields.values()} == {"label"}
    assert fields["Story"]["url"] == "https://box.example:6006/v1/requests/${__value.raw}"
    assert "datasourceUid" not in fields["Story"]
    assert (fields["Trace"]["datasourceUid"], fields["Trace"]["url"]) == ("jaeger", "${__value.raw}")


def test_a_span_leads_to_its_log_lines_and_its_metrics() -> None:
    """By the trace id, and by the instance."""
    jaeger = data_sources()["jaeger"]["jsonData"]

    assert jaeger["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert jaeger["tracesToLogsV2"]["customQuery"] is True
    assert jaeger["tracesToLogsV2"]["query"] == '{service_name=~".+"} | trace_id="${__trace.traceId}"'
    assert jaeger["tracesToMetrics"]["datasourceUid"] == "prometheus"
    assert jaeger["tracesToMetrics"]["tags"] == [{"key": "mgeo.instance.name", "value": "mgeo_instance_name"}]


def test_every_data_source_that_another_leads_to_is_provisioned() -> None:
    """No link ends at nothing."""
    sources = data_sources()

    def named(value: Any) -> set[str]:
        if isinstance(value, dict):
            return {each for key, each in value.items() if key in {"datasourceUid", "alertmanagerUid"}}.union(*map(named, value.values()))
        return set().union(*map(named, value)) if isinstance(value, list) else set()

    assert {uid: named(source["jsonData"]) for uid, source in sources.items()} == {
        "alertmanager": set(),
        "jaeger": {"loki", "prometheus"},
        "loki": {"jaeger"},
        "prometheus": {"alertmanager", "jaeger"},
    }


def test_the_rate_interval_is_the_export_interval() -> None:
    """Shorter, a rate would have no points; longer, it would be coarser than it must."""
    assert data_sources()["prometheus"]["jsonData"]["timeInterval"] == f"{EXPORT_INTERVAL_MS // 1000}s" == "10s"


def test_the_provider_reads_the_dashboards_folder() -> None:
    """And nobody can save over it in the browser."""
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/mgeo.yaml").read_text(encoding="utf-8"))["providers"]

    assert expanded(provider["options"]["path"]) == "/etc/grafana/dashboards"
    assert provider["allowUiUpdates"] is False
    assert dashboard()["uid"] == UID == "mgeo-overview"


def test_the_documented_variables_are_those_in_use() -> None:
    """In provisioning `$NAME`, where `$$` is a dollar sign; in grafana.ini `$__env{NAME}`."""
    used: set[str] = set()
    for path in PROVISIONING.rglob("*.yaml"):
        lines = [line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
        used |= set(re.findall(r"(?<!\$)\$\{?(\w+)", "\n".join(lines).replace("$$", "\0")))
    ini = (ROOT / "grafana/grafana.ini").read_text(encoding="utf-8")
    used |= {name for name in re.findall(r"\$__env\{(\w+)\}", ini) if name != "NAME"}

    assert used == set(VARIABLES)


def test_grafana_asks_for_a_login_and_calls_nobody() -> None:
    """No anonymous access, no sign-up, no reports, no look for updates; below a path when its address has one."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string((ROOT / "grafana/grafana.ini").read_text(encoding="utf-8"))

    assert ini["auth.anonymous"]["enabled"] == "false"
    assert ini["auth.basic"]["enabled"] == "false"
    assert ini["users"]["allow_sign_up"] == "false"
    assert ini["server"]["serve_from_sub_path"] == "true"
    assert {name: value for name, value in ini["analytics"].items() if name != "feedback_links_enabled"} == {
        "reporting_enabled": "false",
        "check_for_updates": "false",
        "check_for_plugin_updates": "false",
    }
    assert ini["dashboards"]["default_home_dashboard_path"] == "$__env{MGEO_GRAFANA_DASHBOARDS}/overview.json"
    assert [f"{section}.{name}" for section in ini.sections() for name in ini[section] if "password" in name or "secret" in name] == []
