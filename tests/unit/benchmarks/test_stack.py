"""From what was measured on a stack to the figures."""

from __future__ import annotations

from benchmarks.disk_use import Store
from benchmarks.effort import QUICK
from benchmarks.stack import FRESH, LOOK_UPS, PROCESSES, Measured, Stored, report


def stored(*, requests: int, at: float, factor: float) -> Stored:
    """A stack of which everything is `factor` times as much."""
    return Stored(
        requests=requests,
        at=at,
        look_ups={name: [2.0 * factor, 4.0 * factor, 6.0 * factor] for name in LOOK_UPS},
        disk={store: round(1_000_000 * factor) for store in Store},
        series=4000,
        memory=dict.fromkeys(PROCESSES, round(100_000_000 * factor)),
    )


MEASURED = Measured(
    fresh={name: [hundredth / 100 for hundredth in range(100, 0, -1)] for name in FRESH},
    cpu={name: 0.25 * place for place, name in enumerate(PROCESSES)},
    memory=dict.fromkeys(PROCESSES, 50_000_000),
    few=stored(requests=1000, at=100.0, factor=1.0),
    many=stored(requests=3000, at=1900.0, factor=3.0),
    again={name: [5.0] for name in LOOK_UPS},
    fill_rate=432.1,
)
FOUND = report(MEASURED, QUICK)
FIGURES = {figure.name: (figure.number, figure.value, figure.spread) for figure in FOUND.figures}


def test_every_figure_has_a_number_of_its_own():
    """By which reports refer to it."""
    numbers = [figure.number for figure in FOUND.figures]
    assert numbers == [*range(300, 308), *range(310, 345), *range(345, 348), *range(350, 356), *range(360, 366), *range(370, 376), 380]
    assert len(FIGURES) == len(numbers)


def test_freshness_is_told_by_the_middle_and_the_slowest_hundredth():
    """Seconds; the longest stands in the table alone."""
    assert FIGURES["stack.fresh.embedded.p50_seconds"] == (300, 0.5, None)
    assert FIGURES["stack.fresh.whole.p99_seconds"] == (307, 0.99, None)
    assert FOUND.tables[0].rows[0] == ("the embedded store", "0.50", "0.99", "1.00")


def test_look_ups_are_compared_with_the_few_stored():
    """Any of the many, and the same ones again."""
    assert FIGURES["stack.look_up.embedded.few_milliseconds"] == (310, 4.0, (2.0, 6.0))
    assert FIGURES["stack.look_up.embedded.many_milliseconds"] == (311, 12.0, (6.0, 18.0))
    assert FIGURES["stack.look_up.embedded.many_to_few_ratio"] == (312, 3.0, None)
    assert FIGURES["stack.look_up.embedded.again_milliseconds"] == (313, 5.0, (5.0, 5.0))
    assert FIGURES["stack.look_up.embedded.again_to_few_ratio"] == (314, 1.25, None)
    assert FOUND.tables[1].rows[0] == (
        "the embedded store alone",
        "4.0 (2.0 to 6.0)",
        "12.0 (6.0 to 18.0)",
        "3.00",
        "5.0 (5.0 to 5.0)",
        "1.25",
    )


def test_a_request_takes_what_was_added_since_the_few():
    """What a store takes when it is empty is not a request's."""
    assert FIGURES["stack.disk.embedded.bytes_per_request"] == (340, 1000.0, None)
    assert FOUND.tables[2].rows[2] == ("Jaeger", "1000", "3")


def test_prometheus_takes_by_the_hour():
    """Two megabytes within half an hour; by request it would mean nothing."""
    assert FIGURES["stack.disk.prometheus.bytes_per_hour"] == (345, 4_000_000.0, None)
    assert FOUND.remarks[1].startswith("Prometheus has 4000 series and took 4.0 MB an hour")
    assert "stack.disk.prometheus.bytes_per_request" not in FIGURES


def test_a_process_has_its_cpu_time_and_its_memory():
    """Memory twice: after the load, and with everything stored."""
    assert FIGURES["stack.cpu.loki.seconds_per_thousand_requests"] == (372, 0.5, None)
    assert FIGURES["stack.memory.service.megabytes"] == (355, 50.0, None)
    assert FOUND.tables[3].rows[1] == ("prometheus", "0.25", "50", "300")


def test_the_remarks_say_how_much_was_done():
    """For whoever compares two runs."""
    assert FOUND.remarks[0] == (
        "Freshness: 10 requests, one every 0.2 s on average. "
        "CPU time: 50 requests a second for 4 s, less what each process takes when idle. "
        "Look-ups: medians of 2 rounds of 5 each (smallest to largest)."
    )
    assert FOUND.remarks[2].startswith("Requests were stored at 432 a second")
