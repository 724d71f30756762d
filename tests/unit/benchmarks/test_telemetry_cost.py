"""From readings of the CPU clock to the cost of telemetry."""

from __future__ import annotations

import pytest

from benchmarks.cpu_time import CpuTime
from benchmarks.effort import QUICK, Effort
from benchmarks.telemetry_cost import Cost, LostSignalsError, check_arrived, cost_of, report
from benchmarks.variants import Variant

EFFORT = Effort(warm_up=1, rounds=2, turns=1, requests=100, seconds=1.0, collections=1, stack=QUICK.stack, notifier=QUICK.notifier)
COSTS = {
    Variant.BARE: Cost(process=(200.0, 400.0), main_thread=(150.0, 250.0)),
    Variant.TWIN: Cost(process=(201.0, 402.0), main_thread=(150.0, 252.0)),
    Variant.OURS: Cost(process=(300.0, 500.0), main_thread=(200.0, 300.0)),
    Variant.OURS_LOCAL: Cost(process=(250.0, 450.0), main_thread=(190.0, 290.0)),
    Variant.STOCK: Cost(process=(400.0, 800.0), main_thread=(250.0, 350.0)),
}


def test_a_round_lasts_until_the_next_one_begins():
    """What is put off counts too; microseconds a request."""
    readings = [CpuTime(1.0, 0.5), CpuTime(1.02, 0.51), CpuTime(1.06, 0.53)]
    cost = cost_of(readings, requests=100)
    assert cost.process == pytest.approx((200.0, 400.0))
    assert cost.main_thread == pytest.approx((100.0, 200.0))


def test_what_is_added_is_the_difference_within_a_round():
    """The second round was slower for all, which shows in the bare server's own figure."""
    found = {figure.name: (figure.number, figure.value, figure.spread) for figure in report({1: COSTS}, {}, EFFORT).figures}
    assert found == {
        "telemetry_cost.connections_1.ours.added_cpu_microseconds": (100, 100.0, (100.0, 100.0)),
        "telemetry_cost.connections_1.ours.added_main_thread_microseconds": (101, 50.0, (50.0, 50.0)),
        "telemetry_cost.connections_1.ours.cpu_times_bare": (102, 1.375, (1.25, 1.5)),
        "telemetry_cost.connections_1.ours_local.added_cpu_microseconds": (103, 50.0, (50.0, 50.0)),
        "telemetry_cost.connections_1.ours_local.added_main_thread_microseconds": (104, 40.0, (40.0, 40.0)),
        "telemetry_cost.connections_1.ours_local.cpu_times_bare": (105, 1.1875, (1.125, 1.25)),
        "telemetry_cost.connections_1.stock.added_cpu_microseconds": (106, 300.0, (200.0, 400.0)),
        "telemetry_cost.connections_1.stock.added_main_thread_microseconds": (107, 100.0, (100.0, 100.0)),
        "telemetry_cost.connections_1.stock.cpu_times_bare": (108, 2.0, (2.0, 2.0)),
        "telemetry_cost.connections_1.twin.added_cpu_microseconds": (109, 1.5, (1.0, 2.0)),
        "telemetry_cost.connections_1.twin.added_main_thread_microseconds": (110, 1.0, (0.0, 2.0)),
        "telemetry_cost.connections_1.twin.cpu_times_bare": (111, 1.005, (1.005, 1.005)),
        "telemetry_cost.connections_1.bare.cpu_microseconds": (112, 300.0, (200.0, 400.0)),
        "telemetry_cost.connections_1.bare.main_thread_microseconds": (113, 200.0, (150.0, 250.0)),
        "telemetry_cost.connections_1.ours_to_stock.added_cpu_ratio": (114, 0.375, (0.25, 0.5)),
        "telemetry_cost.connections_1.ours_to_stock.added_main_thread_ratio": (115, 0.5, (0.5, 0.5)),
    }


def test_each_number_of_connections_has_numbers_and_a_table_of_its_own():
    """So that a number means the same in every run."""
    found = report({1: COSTS, 32: COSTS}, {Variant.OURS: {"spans": 3.0}}, EFFORT)
    assert [figure.number for figure in found.figures] == [*range(100, 116), *range(120, 136)]
    assert [table.title for table in found.tables] == ["1 connection", "32 connections"]
    assert found.tables[0].rows[1] == (
        "this service, all signals exported",
        "+ 100 (100 to 100)",
        "+ 50 (50 to 50)",
        "1.38 (1.25 to 1.50)",
        "0.38 (0.25 to 0.50)",
    )
    assert found.remarks[-1] == "Arrived at the OTLP endpoint per request: ours: 3 spans."


def test_what_arrived_is_counted_per_request():
    """Of the variants that export."""
    arrived = {"ours": {"spans": 300, "log_records": 101, "collections": 2}, "stock": {"spans": 500}}
    assert check_arrived(arrived, 100) == {
        Variant.OURS: {"spans": 3.0, "log_records": 1.01, "collections": 0.02},
        Variant.STOCK: {"spans": 5.0},
    }


@pytest.mark.parametrize(
    ("arrived", "said"),
    [
        ({}, "ours sent 0.000 log_records"),
        ({"ours": {"spans": 300}, "stock": {"spans": 500}}, "ours sent 0.000 log_records"),
        ({"ours": {"spans": 199, "log_records": 100}, "stock": {"spans": 500}}, "ours sent 1.990 spans"),
        ({"ours": {"spans": 300, "log_records": 100}, "stock": {"spans": 499}}, "stock sent 4.990 spans"),
        ({"ours": {"spans": 300, "log_records": 100}}, "stock sent 0.000 spans"),
    ],
)
def test_a_variant_that_lost_signals_has_no_figures(arrived, said):
    """What was dropped cost nothing, so the figure would be too good."""
    with pytest.raises(LostSignalsError, match=said):
        check_arrived(arrived, 100)
