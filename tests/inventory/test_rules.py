"""The rules against everything that must agree with them: metrics, runbooks, tests, drills, dashboards, pages."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import promql_parser
import pytest
import yaml

from cli.drill.catalogue import BEYOND, DRILLS
from grafana.dashboards import limits as drawn
from grafana.dashboards.overview import UID
from prometheus.alerting import foreign_metrics, limits
from prometheus.alerting.file import DASHBOARDS, alerts
from prometheus.alerting.recordings import REQUESTS
from prometheus.alerting.scale import TimeScale
from service.api.query import parse_search
from service.settings import PREFIX, Settings
from service.telemetry import names
from service.telemetry.names import Kind
from tests.rules import alerting_cases, backfilled_cases, inference_cases, process_cases, telemetry_cases
from tests.rules.promtool import RULES

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
CASES = (*inference_cases.CASES, *process_cases.CASES, *telemetry_cases.CASES, *alerting_cases.CASES)
RULE_LIST: list[dict[str, Any]] = [
    rule for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULE_LIST if "alert" in rule}
RECORDED = {rule["record"] for rule in RULE_LIST if "record" in rule}
KNOWN = alerts()

# In runbooks only: the Collector's, Prometheus' and the notifier's, for people to look at.
LOOKED_AT = {
    "ALERTS_FOR_STATE",
    "mgeo_notifier_messages_total",
    "mgeo_notifier_queue_depth",
    "mgeo_notifier_rate_headroom",
    "mgeo_notifier_reconciled_timestamp_seconds",
    "otelcol_exporter_sent_log_records",
    "otelcol_exporter_sent_spans",
    "prometheus_rule_group_last_duration_seconds",
}
# Settings that runbooks name and that other parts of the project bring.
OTHER_SETTINGS = {"MGEO_TRAFFIC"}
# Longer than drills reach, whose minutes are short.
FAR = timedelta(hours=1)
HEADINGS = ["## 这意味着什么", "## 先看什么", "## 怎么办", "## 静默"]


def known_series() -> set[str]:
    """Every series that a rule may read."""
    ours = {
        metric.prometheus + part
        for metric in (*names.METRICS, *names.SDK_METRICS)
        for part in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
    }
    return ours | RECORDED | set().union(*foreign_metrics.OWNERS.values())


def selected(expression: str) -> dict[str, set[str]]:
    """The series that an expression selects, with the labels it matches on. Raises ValueError when it cannot be parsed."""
    found: dict[str, set[str]] = {}

    def visit(node: Any) -> None:
        node = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
        if isinstance(node, promql_parser.VectorSelector):
            found.setdefault(node.name or "", set()).update(matcher.name for matcher in node.matchers.matchers)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def looks_back(expression: str) -> timedelta:
    """How far an expression looks back by its windows and offsets, together with those of the recordings that it reads."""
    far = timedelta()

    def visit(node: Any) -> None:
        nonlocal far
        back = timedelta()
        if isinstance(node, promql_parser.SubqueryExpr):
            back = (node.range or timedelta()) + (node.offset or timedelta()) + looks_back(node.expr.prettify())
        if isinstance(node, promql_parser.MatrixSelector):
            back = node.range
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            recorded = [looks_back(rule["expr"]) for rule in RULE_LIST if rule.get("record") == node.name]
            back += (node.offset or timedelta()) + max(recorded, default=timedelta())
        far = max(far, back)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return far


def test_every_metric_of_a_rule_exists() -> None:
    """In the names table, among our recordings, or in the table of other owners; and every recording is read by somebody."""
    read = {name for rule in RULE_LIST for name in selected(rule["expr"])}

    assert read - known_series() == set()
    assert RECORDED - read == set()


def test_the_table_of_other_owners_has_nothing_that_nobody_reads() -> None:
    """A name that stays after its rule has gone would hide a misspelt one."""
    read = {name for rule in RULE_LIST for name in selected(rule["expr"])}

    assert set().union(*foreign_metrics.OWNERS.values()) - read == set()


def test_our_metrics_are_matched_on_labels_they_have() -> None:
    """A matcher on a label that a metric lacks selects nothing, or everything."""
    by_name = {metric.prometheus: metric for metric in names.METRICS}
    wrong = {
        (name, label)
        for rule in RULE_LIST
        for name, labels in selected(rule["expr"]).items()
        if (metric := by_name.get(re.sub(r"_(bucket|sum|count)$", "", name)) or by_name.get(name)) is not None
        for label in labels - {attribute.replace(".", "_") for attribute in metric.attributes}
    }

    assert wrong == set()


def test_durations_are_in_seconds() -> None:
    """The older conventions had milliseconds, over which every line in seconds would be wrong a thousandfold."""
    read = {name for rule in RULE_LIST for name in selected(rule["expr"])}

    assert {name for name in read if "millisecond" in name or "http_server_duration" in name} == set()
    assert names.INFERENCE_DURATION.prometheus.endswith("_seconds")


def test_the_alerts_line_of_latency_is_a_bucket_boundary_and_no_whole_number() -> None:
    """A percentile is exact where a bucket ends, and no boundary is compared as a text that a scrape writes otherwise."""
    assert limits.LATENCY_SECONDS in names.INFERENCE_DURATION.boundaries
    assert not any("le=" in rule["expr"] for rule in RULE_LIST)


def test_the_dashboards_draw_the_alerts_lines() -> None:
    """One line for the eye and for the message."""
    assert drawn.LATENCY_SECONDS == limits.LATENCY_SECONDS == 0.8
    assert drawn.ERROR_RATIO == limits.ERROR_RATIO == 0.05
    assert drawn.COLLECTOR_QUEUE_RATIO == limits.COLLECTOR_QUEUE_RATIO == 0.8


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_all_that_a_message_needs(name: str) -> None:
    """Severity, area, how long, a fixed summary, a rendered description with the English name, value, line, runbook, dashboard."""
    rule = ALERTS[name]

    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert set(rule["labels"]) == {"severity", "area"}
    assert "for" in rule
    said = rule["annotations"]
    assert said["summary"].startswith(f"{name} ")
    assert "{{" not in said["summary"]
    assert said["description"].startswith(f"{name}：")
    assert re.search(r"[\u4e00-\u9fff]", said["summary"])
    assert re.search(r"[\u4e00-\u9fff]", said["description"])
    assert {"value", "threshold"} <= set(said)
    assert said["runbook_url"] == f"docs/runbooks/{name}.md"
    assert set(said) <= {"summary", "description", "value", "threshold", "runbook_url", "dashboard", "story"}


def test_no_alert_is_defined_twice_and_names_are_as_people_say_them() -> None:
    """A name is the key of runbook, drill and message."""
    found = [rule["alert"] for rule in RULE_LIST if "alert" in rule]

    assert len(set(found)) == len(found) == len(KNOWN)
    assert [name for name in found if not re.fullmatch(r"([A-Z][a-z]+)+", name)] == []


def test_only_dashboards_that_exist_are_linked() -> None:
    """The table has them all; the files say which exist."""
    there = {uid for uid, exists in DASHBOARDS.items() if exists}

    assert there == {UID} == {"mgeo-overview"}
    assert {rule["annotations"]["dashboard"] for rule in ALERTS.values()} <= there
    assert list(DASHBOARDS) == [
        "mgeo-overview",
        "mgeo-inference",
        "mgeo-telemetry",
        "mgeo-gpu",
        "mgeo-inputs",
        "mgeo-alerts",
        "mgeo-logs",
    ]


@pytest.mark.parametrize("name", [name for name, rule in ALERTS.items() if "story" in rule["annotations"]])
def test_every_link_to_an_example_is_a_search_that_is_understood(name: str) -> None:
    """By the service's own parser."""
    link = urlsplit(ALERTS[name]["annotations"]["story"])

    assert link.path == "/v1/requests"
    search = parse_search(parse_qsl(link.query))
    assert search.status is not None


def test_symptoms_of_inference_lead_to_an_example() -> None:
    """All that requests show; the others have no request to show."""
    without = {name for name, alert in KNOWN.items() if alert.area in {"inference", "process"} and alert.story is None}

    assert without == {"NoTraffic", "TrafficDrop", "QueueBacklog", "BatchSaturated", "ServiceGone", "AgentGone"}


def test_every_alert_has_a_drill_or_says_why_not() -> None:
    """One of the two, and no drill that there is not; tests/cli/drill/test_catalogue.py has what each expects."""
    assert [name for name, alert in KNOWN.items() if (alert.drill is None) == (not alert.no_drill)] == []
    assert {alert.drill for alert in KNOWN.values() if alert.drill} - {drill.name for drill in DRILLS} == set()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_tested_and_as_often_for_silence(name: str) -> None:
    """A case in which it fires, and at least as many in which it must not; the Watchdog has none, since it always fires."""
    cases = [case for case in CASES if case.alert == name]
    firing = [case for case in cases if case.fires]

    assert firing
    assert len(cases) - len(firing) >= len(firing) or name == "Watchdog"
    assert len({case.says for case in cases}) == len(cases)


def test_what_looks_back_over_an_hour_is_asked_of_a_prometheus_with_a_past() -> None:
    """Drills cannot wait for it. As often for silence here too."""
    cases = backfilled_cases.CASES
    found = {name: [case.fires for case in cases if case.alert == name] for name, rule in ALERTS.items() if looks_back(rule["expr"]) > FAR}

    assert {case.alert for case in cases} == set(found)
    assert set(found) >= BEYOND
    assert set(found) == {
        "AgentGone",
        "AuditOverdue",
        "CollectorQueueFull",
        "CollectorRefused",
        "CollectorSendFailed",
        "ErrorBudgetBurnFast",
        "ErrorBudgetBurnSlow",
        "JaegerRejecting",
        "LokiRejecting",
        "NoTraffic",
        "RetentionBelowFloor",
        "TelemetryDropped",
        "TrafficDrop",
    }
    assert [name for name, fires in found.items() if not 0 < fires.count(True) <= fires.count(False)] == []
    assert len({(case.alert, case.says) for case in cases}) == len(cases)


def test_how_far_an_expression_looks_back() -> None:
    """A window and its offset, in a subquery too, and what a recording adds."""
    assert looks_back("x + rate(x[5m])") == timedelta(minutes=5)
    assert looks_back("rate(x[5m] offset 1h) or x offset 1h") == timedelta(hours=1, minutes=5)
    assert looks_back("max_over_time(rate(x[5m])[2h:1m] offset 1h)") == timedelta(hours=3, minutes=5)
    assert looks_back("mgeo:requests:increase") == timedelta(minutes=5)
    assert looks_back("mgeo:requests:last_hour") == timedelta(hours=1, minutes=20)
    assert looks_back("mgeo:requests:same_window") == timedelta(days=7, minutes=5)


def test_there_are_as_many_runbooks_as_alerts() -> None:
    """None is missing, and none is left over."""
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_every_runbook_says_what_it_means_where_to_look_what_to_do_and_how_to_silence(name: str) -> None:
    """In this order, under the alert's name, with the steps numbered, since messages show the first of them."""
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")

    assert text.startswith(f"# {name}：{KNOWN[name].summary}\n")
    assert re.findall(r"^## .*", text, re.MULTILINE) == HEADINGS
    assert f"阈值 {KNOWN[name].threshold}。" in text
    assert KNOWN[name].severity in text
    steps = text.partition("## 怎么办")[2].partition("## 静默")[0]
    assert re.match(r"\s+1\. ", steps)
    assert f"alertname={name}" in text.partition("## 静默")[2] or name == "Watchdog"


@pytest.mark.parametrize("name", [name for name, alert in KNOWN.items() if alert.keep.seconds])
def test_a_runbook_says_how_long_its_alert_fires_on(name: str) -> None:
    """Or whoever has mended the cause would look for another one."""
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")

    assert f"告警再保持 {TimeScale().spoken(KNOWN[name].keep)}才算恢复" in text


@pytest.mark.parametrize("name", ALERTS)
def test_every_query_of_a_runbook_is_about_metrics_that_exist(name: str) -> None:
    """What somebody pastes at three in the morning works; and every link leads to another runbook."""
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    queries = re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
    read = {series for query in queries for series in selected(query)}

    assert read - known_series() - LOOKED_AT == set()
    assert set(re.findall(r"\]\((\w+)\.md\)", text)) <= set(ALERTS)
    assert queries or name == "NotifierNotStoring"


def test_every_setting_that_a_runbook_names_exists() -> None:
    """A setting nobody knows helps nobody."""
    named = {each for path in RUNBOOKS.iterdir() for each in re.findall(r"\bMGEO_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    settings = {f"{PREFIX}{field}".upper() for field in Settings.model_fields}

    assert named - settings - OTHER_SETTINGS == set()


def test_the_queue_and_the_batch_are_those_of_the_settings() -> None:
    """A quarter of the queue, nine tenths of a batch: of the defaults, which the lines rely on."""
    fields = Settings.model_fields

    assert fields["queue_size"].default / 4 == limits.QUEUE_DEPTH
    assert pytest.approx(fields["max_batch_size"].default * 0.9) == limits.BATCH_SIZE


def test_a_broken_expression_is_noticed() -> None:
    """The parser is not one that takes everything."""
    with pytest.raises(ValueError, match="unclosed"):
        selected("sum(rate(x[1m])")
    assert selected(f"sum(rate({REQUESTS}[1m]))") == {"mgeo_requests_total": set()}
