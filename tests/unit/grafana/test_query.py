"""The queries that panels are made of, letter by letter."""

from __future__ import annotations

import pytest

from grafana.dashboards import query
from service.errors import Outcome
from service.telemetry import names


def test_a_selector_is_cut_to_the_chosen_instances() -> None:
    """Those of our metrics always, others only by what is asked."""
    assert query.series(names.QUEUE_LENGTH) == 'mgeo_queue_depth{mgeo_instance_name=~"$instance"}'
    assert query.series(names.QUEUE_WAIT, 'a="b"', part="_sum") == 'mgeo_queue_wait_seconds_sum{mgeo_instance_name=~"$instance", a="b"}'
    assert query.selector("up") == "up"
    assert query.selector("up", query.OUR_JOB) == 'up{job="mgeo"}'


def test_the_error_ratio_leaves_out_what_is_no_fault_of_the_service() -> None:
    """Invalid and cancelled stand on neither side of the fraction."""
    assert query.error_ratio(window="5m") == (
        'sum(rate(mgeo_requests_total{mgeo_instance_name=~"$instance", status=~"error|overloaded|timeout"}[5m]))'
        ' / sum(rate(mgeo_requests_total{mgeo_instance_name=~"$instance", status=~"error|overloaded|success|timeout"}[5m]))'
    )


def test_the_error_ratio_by_type_divides_each_type_by_the_whole() -> None:
    """One denominator for all types, or each would be 1."""
    failed, _, judged = query.error_ratio(by="error_type").partition(" / on () group_left () ")

    assert failed.startswith("sum by (error_type) (rate(mgeo_requests_total{")
    assert judged.startswith("sum(rate(mgeo_requests_total{")


def test_a_percentile_adds_the_buckets_of_all_instances_first() -> None:
    """A mean of percentiles would be none."""
    assert query.quantile(95, names.QUEUE_WAIT) == (
        'histogram_quantile(0.95, sum by (le) (rate(mgeo_queue_wait_seconds_bucket{mgeo_instance_name=~"$instance"}[$__rate_interval])))'
    )
    assert query.quantile(50, names.STAGE_DURATION, by="stage").startswith("histogram_quantile(0.5, sum by (le, stage) (rate(")


def test_a_counter_of_the_collector_is_asked_for_by_both_its_names() -> None:
    """And shows only where something happened."""
    assert query.counter_rate("x", by="job") == (
        "(sum by (job) (rate(x[$__rate_interval])) or sum by (job) (rate(x_total[$__rate_interval]))) > 0"
    )


def test_log_lines_are_of_the_service_and_the_chosen_instances() -> None:
    """The event is looked for in the line, the rest in its structured metadata."""
    assert query.log_lines('status="error"', event="mgeo.inference") == (
        '{service_name="mgeo"} |= "mgeo.inference" | mgeo_instance_name=~"$instance" | status="error"'
    )
    assert query.log_lines() == '{service_name="mgeo"} | mgeo_instance_name=~"$instance"'


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (query.FAILED, 'status=~"error|overloaded|timeout"'),
        (query.JUDGED, 'status=~"error|overloaded|success|timeout"'),
        (query.ATTEMPTED, 'status=~"error|success|timeout"'),
        (query.ALARMING, 'severity!="none"'),
        (query.OTHER_JOBS, 'job!="mgeo"'),
    ],
)
def test_matchers_are_spelt_out_in_order(matcher: str, expected: str) -> None:
    """So that the generated file does not change by itself."""
    assert matcher == expected


def test_no_status_is_called_what_a_regular_expression_would_read_otherwise() -> None:
    """They stand unescaped between bars."""
    assert [status.value for status in Outcome if not status.value.isalpha()] == []
