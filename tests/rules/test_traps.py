"""Known traps: for each, the form that anybody would write first and how it goes wrong, and ours on the same series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rules import inference_cases, process_cases
from tests.rules.inference_cases import ERROR, OTHER_BOX, SUCCESS, dropped, failed, latency
from tests.rules.process_cases import AGENT, INFO
from tests.rules.promtool import Case, Fires, ours, run, series
from tests.rules.telemetry_cases import COLLECTOR_UP, collector, exporter_labels

NAIVE = Fires(labels={}, description="")


def naive(expr: str) -> str:
    """A rule file with one alert."""
    return f"groups:\n  - name: naive\n    rules:\n      - alert: Naive\n        expr: {expr!r}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """One trap.

    Attributes:
        expr: the naive form.
        series: what comes in, a value each 30 s.
        misled: what the naive form says of it.
        ours: what our rule says of the same.
        theirs: what comes in for the naive form, where it has other names.
    """

    says: str
    expr: str
    series: dict[str, str]
    at: str
    alert: str
    misled: tuple[Fires, ...]
    ours: tuple[Fires, ...]
    theirs: dict[str, str] | None = None


def http(name: str, **labels: str) -> str:
    return ours(name, http_route="/v1/match", **labels)


OTHER_ERROR = ERROR.replace("id-1", "id-2").replace('"box"', '"other"')
COUNT = ours("mgeo_inference_duration_seconds_count", status="success")
LINES = "0+60x40"
SPANS = collector("otelcol_exporter_send_failed_spans_total", exporter="otlp_http/loki")
FAILED_SPANS = "CollectorSendFailed：Collector 发往 otlp_http/loki 的 {} 条 spans 被存储永久拒绝，数据已丢弃。"

TRAPS = (
    Trap(
        says="a line between two bucket boundaries: 760 ms are told as 987 ms",
        expr="histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m]))) > 0.8",
        theirs={
            http("http_server_request_duration_seconds_bucket", le="0.75"): "0x40",
            http("http_server_request_duration_seconds_bucket", le="1"): LINES,
            http("http_server_request_duration_seconds_bucket", le="+Inf"): LINES,
        },
        series={latency("0.4"): "0x40", latency("0.8"): LINES, latency("1.5"): LINES, latency("+Inf"): LINES, COUNT: LINES},
        at="12m",
        alert="HighLatency",
        misled=(NAIVE,),
        ours=(),
    ),
    Trap(
        says="a percentile over the last bucket: twenty seconds are told as ten, and never as more",
        expr="histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m]))) > 10",
        theirs={
            http("http_server_request_duration_seconds_bucket", le="10"): "0x40",
            http("http_server_request_duration_seconds_bucket", le="+Inf"): LINES,
        },
        series={latency("10"): "0x40", latency("30"): LINES, latency("+Inf"): LINES, COUNT: LINES},
        at="12m",
        alert="HighLatency",
        misled=(),
        ours=(Fires(description="HighLatency：box 成功推理的 P95 延迟为 29s。", value="29s"),),
    ),
    Trap(
        says="a ratio of nothing: while nobody is served, the error ratio is not a number and says nothing",
        expr="sum(rate(mgeo_requests_total{status=~'error|timeout|overloaded'}[5m])) / sum(rate(mgeo_requests_total[5m])) > 0.05",
        series={SUCCESS: "0+30x150 4500x40", ERROR: "0x190"},
        at="86m",
        alert="NoTraffic",
        misled=(),
        ours=(inference_cases.NO_TRAFFIC,),
    ),
    Trap(
        says="one failure of one is a hundred per cent",
        expr="sum(rate(mgeo_requests_total{status='error'}[5m])) / sum(rate(mgeo_requests_total[5m])) > 0.05",
        series={SUCCESS: "0x40", ERROR: "0x28 1x12"},
        at="15m",
        alert="HighErrorRate",
        misled=(NAIVE,),
        ours=(),
    ),
    Trap(
        says="a first failure: the counter is born with it, and its increase is nothing",
        expr="increase(otelcol_exporter_send_failed_spans_total[10m]) > 0",
        series={COLLECTOR_UP: "1x60", SPANS: "_x30 1x30"},
        at="16m",
        alert="CollectorSendFailed",
        misled=(),
        ours=(Fires(labels=exporter_labels("spans"), description=FAILED_SPANS.format(1), value="1"),),
    ),
    Trap(
        says="a counter's other name",
        expr="increase(otelcol_exporter_send_failed_spans[10m]) > 0",
        series={COLLECTOR_UP: "1x60", SPANS: "0x30 1+1x30"},
        at="16m",
        alert="CollectorSendFailed",
        misled=(),
        ours=(Fires(labels=exporter_labels("spans"), description=FAILED_SPANS.format(2), value="2"),),
    ),
    Trap(
        says="a total outage: series that have vanished are no fall",
        expr="sum(rate(mgeo_requests_total[5m])) < 0.7 * sum(rate(mgeo_requests_total[5m] offset 1h))",
        series={SUCCESS: "0+60x180 _x60"},
        at="106m",
        alert="TrafficDrop",
        misled=(),
        ours=(dropped("100%"),),
    ),
    Trap(
        says="one of two replicas is gone: something of that name is still there",
        expr="absent_over_time(target_info{job='mgeo'}[5m])",
        series={INFO: "1x20 _x40", series("target_info", job="mgeo", instance="id-2", mgeo_instance_name="other"): "1x60"},
        at="16m",
        alert="AgentGone",
        misled=(),
        ours=(AGENT,),
    ),
    Trap(
        says="summed before the rate is taken: one replica's restart is a peak",
        expr="rate(sum(mgeo_requests_total{status='error'})[5m:30s]) > 1",
        series={SUCCESS: "0+60x40", OTHER_BOX: "0+60x40", ERROR: "500+1x20 0+1x20", OTHER_ERROR: "9000+1x40"},
        at="12m",
        alert="HighErrorRate",
        misled=(NAIVE,),
        ours=(),
    ),
    Trap(
        says="milliseconds against a line in seconds: five of them are over 0.8",
        expr="histogram_quantile(0.95, sum by (le) (rate(http_server_duration_milliseconds_bucket[5m]))) > 0.8",
        theirs={
            http("http_server_duration_milliseconds_bucket", le="5"): LINES,
            http("http_server_duration_milliseconds_bucket", le="+Inf"): LINES,
        },
        series={latency("0.005"): LINES, latency("0.8"): LINES, latency("1.5"): LINES, latency("+Inf"): LINES, COUNT: LINES},
        at="12m",
        alert="HighLatency",
        misled=(NAIVE,),
        ours=(),
    ),
    Trap(
        says="labels that differ on both sides: the guard lets nothing through",
        expr=(
            "sum by (instance, mgeo_instance_name) (rate(mgeo_requests_total{status='error'}[5m])) > 0.05"
            " and sum(increase(mgeo_requests_total[5m])) > 20"
        ),
        series={SUCCESS: "0+94x40", ERROR: "0+6x40"},
        at="15m",
        alert="HighErrorRate",
        misled=(),
        ours=(failed("6%"),),
    ),
    Trap(
        says="everybody together: a healthy box hides one that fails half of what it is asked",
        expr="sum(rate(mgeo_requests_total{status='error'}[5m])) / sum(rate(mgeo_requests_total[5m])) > 0.05",
        series={SUCCESS: "0+50x40", ERROR: "0+50x40", OTHER_BOX: "0+6000x40"},
        at="15m",
        alert="HighErrorRate",
        misled=(),
        ours=(failed("50%"),),
    ),
    Trap(
        says="a bucket's boundary as text: a scrape writes 1.0 where OTLP writes 1",
        expr="1 - sum(rate(x_seconds_bucket{le='1'}[5m])) / sum(rate(x_seconds_count[5m])) > 0.05",
        theirs={
            ours("x_seconds_bucket", le="1.0"): "0x40",
            ours("x_seconds_bucket", le="+Inf"): LINES,
            ours("x_seconds_count"): LINES,
        },
        series=inference_cases.slow(LINES),
        at="12m",
        alert="HighLatency",
        misled=(),
        ours=(Fires(description="HighLatency：box 成功推理的 P95 延迟为 1.465s。", value="1.465s"),),
    ),
    Trap(
        says="a scraped service's `up` for one that is not scraped",
        expr="up{job='mgeo'} == 0",
        series={INFO: "1x20 _x40"},
        at="16m",
        alert="AgentGone",
        misled=(),
        ours=(process_cases.AGENT,),
    ),
)


@pytest.mark.stack
@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.says.partition(":")[0])
def test_the_naive_form_is_misled_and_ours_is_not(trap: Trap, program: Callable[[str], Path], tmp_path: Path) -> None:
    """On the same series, or on those that the naive form relies on."""
    theirs = Case(alert="Naive", says=trap.says, series=trap.theirs or trap.series, at=trap.at, fires=trap.misled, rules=naive(trap.expr))
    right = Case(alert=trap.alert, says=trap.says, series=trap.series, at=trap.at, fires=trap.ours)

    run(program("promtool"), tmp_path, (theirs, right))


def recovered(expr: str) -> str:
    return naive(f"{expr} <= 0.05")


@pytest.mark.stack
def test_a_counter_that_was_never_born_hides_health_and_ours_stands_at_zero(program: Callable[[str], Path], tmp_path: Path) -> None:
    """Without a single error there is no ratio, unless the counter was made beforehand, as all of ours are."""
    ratio = "sum(rate(mgeo_requests_total{status='error'}[5m])) / sum(rate(mgeo_requests_total[5m]))"
    unborn = Case(alert="Naive", says="unborn", series={SUCCESS: "0+60x40"}, at="12m", rules=recovered(ratio))
    at_zero = Case(
        alert="Naive", says="at zero", series={SUCCESS: "0+60x40", ERROR: "0x40"}, at="12m", fires=(NAIVE,), rules=recovered(ratio)
    )

    run(program("promtool"), tmp_path, (unborn, at_zero))
