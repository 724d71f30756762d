"""What a load must fulfil."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.load.arrivals import Phase
from cli.load.assertions import ALL_SENT, Term, Unit, parse_assertions
from cli.load.outcome import LoadOutcome
from cli.load.report import LoadReport
from cli.load.tally import Tally


def report(*, latencies=None, outcomes=None, not_sent=0, lateness=(), elapsed=10.0):
    latencies = {LoadOutcome(name): array("d", seconds) for name, seconds in (latencies or {}).items()}
    counts = outcomes or {outcome.value: len(samples) for outcome, samples in latencies.items()}
    tally = Tally(
        outcomes=Counter({LoadOutcome(name): count for name, count in counts.items()}),
        latencies=latencies,
        lateness=array("d", lateness),
        not_sent=not_sent,
    )
    return LoadReport.of(url="u", run="r", seed=1, phases=[Phase(duration=10, rate=10)], tallies=[tally], elapsed=elapsed, stopped=False)


HUNDRED = [number / 1000 for number in range(1, 101)]
"""1 ms to 100 ms."""


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("p95<800ms", Term(text="p95<800ms", metric="p95", comparison="<", bound=0.8, unit=Unit.SECONDS)),
        ("all.p99 <= 2s", Term(text="all.p99 <= 2s", metric="all.p99", comparison="<=", bound=2.0, unit=Unit.SECONDS)),
        ("errors<1%", Term(text="errors<1%", metric="errors", comparison="<", bound=1.0, unit=Unit.PERCENT)),
        ("timeout==0", Term(text="timeout==0", metric="timeout", comparison="=", bound=0.0, unit=Unit.COUNT)),
        ("rate>95/s", Term(text="rate>95/s", metric="rate", comparison=">", bound=95.0, unit=Unit.RATE)),
        ("sent>=100", Term(text="sent>=100", metric="sent", comparison=">=", bound=100.0, unit=Unit.COUNT)),
    ],
)
def test_a_term_is_a_metric_a_comparison_and_a_number(text, term):
    """Times with their unit, shares with %, counts plain."""
    assert parse_assertions(text) == (term, ALL_SENT)


def test_terms_are_separated_by_commas():
    """All must hold."""
    assert [term.text for term in parse_assertions("p95<800ms, errors<1%,success>99%")] == [
        "p95<800ms",
        "errors<1%",
        "success>99%",
        "not_sent=0",
    ]


def test_who_speaks_of_not_sent_decides_about_it():
    """Otherwise every request must have been sent."""
    assert [term.text for term in parse_assertions("not_sent<1%")] == ["not_sent<1%"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not an assertion; write METRIC<NUMBER, such as p95<800ms or errors<1%"),
        ("p95", "'p95' is not an assertion"),
        ("p95<fast", "'p95<fast' is not an assertion"),
        ("p95<800", "'800' is not a duration"),
        ("p95<1%", "'1%' is not a duration"),
        ("p95<1.2.3s", "'1.2.3s' is not a duration"),
        ("errors<1ms", "errors is a count, or a share with %"),
        ("sent>1%", "sent is a plain number"),
        ("p96<1s", "there is no 'p96'; there are p50, p90, p95, p99, max, mean, errors, not_sent, success,"),
        ("slow.p95<1s", "there is no 'slow.p95'"),
        ("errors<1.2.3%", "could not convert"),
        ("p95<1s,,errors<1%", "'' is not an assertion"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(text, reason):
    """Before a single request is sent."""
    with pytest.raises(ValueError, match=reason.replace("(", "\\(")):
        parse_assertions(text)


@given(text=st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    """Nothing else happens."""
    try:
        refusal = "" if parse_assertions(text) else "nothing came of it"
    except ValueError as error:
        refusal = str(error)
    assert not refusal or "is not an assertion" in refusal


@pytest.mark.parametrize(
    ("text", "passed", "shown"),
    [
        ("p95<95.1ms", True, "95.0 ms"),
        ("p95<95ms", False, "95.0 ms"),
        ("p95<=95ms", True, "95.0 ms"),
        ("p50>49ms", True, "50.0 ms"),
        ("max=100ms", True, "100 ms"),
        ("mean<51ms", True, "50.5 ms"),
        ("all.max<1s", False, "1.00 s"),
        ("timeout.p50>=1s", True, "1.00 s"),
        ("error.p50<1s", False, "nothing to measure"),
        ("lateness.max<3ms", True, "2.00 ms"),
        ("errors<2%", True, "1.98%"),
        ("errors=2", True, "2"),
        ("success>99%", False, "98.02%"),
        ("sent=101", True, "101"),
        ("rate>10", True, "10.1/s"),
        ("timeout<2", True, "1"),
    ],
)
def test_terms_compare_with_what_was_measured(text, passed, shown):
    """Times are those of successful requests unless a source is named."""
    measured = report(
        latencies={"success": [*HUNDRED[:99], 0.1], "timeout": [1.0], "unreachable": [0.5]},
        outcomes={"success": 99, "timeout": 1, "unreachable": 1},
        lateness=[0.001, 0.002],
    )
    judgement = parse_assertions(text)[0].judge(measured)
    assert (judgement.text, judgement.passed, judgement.shown) == (text, passed, shown)


@pytest.mark.parametrize("text", ["p95<1h", "success>=0%", "errors<100%", "lateness.p99<1h"])
def test_a_load_of_nothing_fulfils_nothing(text):
    """What was not measured cannot pass."""
    judgement = parse_assertions(text)[0].judge(report())
    assert (judgement.passed, judgement.actual, judgement.shown) == (False, None, "nothing to measure")


def test_fast_refusals_do_not_make_a_service_fast():
    """Refused in a millisecond, it is still as slow as its answers."""
    measured = report(latencies={"success": [2.0] * 5, "overloaded": [0.001] * 95})
    assert not parse_assertions("p95<1s")[0].judge(measured).passed
    assert parse_assertions("all.p95<=2s")[0].judge(measured).passed


def test_requests_that_were_not_sent_fail_the_load():
    """Their share is of all that were due."""
    measured = report(latencies={"success": [0.1] * 75}, not_sent=25)
    assert [judgement.judge(measured).passed for judgement in parse_assertions("p95<1s")] == [True, False]
    assert parse_assertions("not_sent<26%")[0].judge(measured).shown == "25.00%"
