"""What a load found out, as JSON and as a page."""

from __future__ import annotations

import json

import pytest

from cli.load.arrivals import Phase
from cli.load.assertions import parse_assertions
from cli.load.mix import Kind
from cli.load.outcome import Answer, LoadOutcome, judge, verdict_without_answer
from cli.load.report import LoadReport, report_json, report_text
from cli.load.request import LoadRequest
from cli.load.tally import Tally


def tally(*ends: tuple[int | None, float], not_sent: int = 0, lateness: float = 0.0) -> Tally:
    """Statuses with latencies; status 0 stands for no answer, None for a cancelled request."""
    counted = Tally(not_sent=not_sent)
    for status, latency in ends:
        request = LoadRequest(
            request_id="x", kind=Kind.VALID if status is not None else Kind.CANCELLED, path="/", content_type="application/json", body=b""
        )
        answer = Answer(status, b"{}") if status else None
        verdict = verdict_without_answer(request, LoadOutcome.UNREACHABLE) if status == 0 else judge(request, answer)
        counted.lateness.append(lateness)
        counted.add(request, verdict, answer=answer, latency=latency)
    return counted


def report(*tallies: Tally, stopped: bool = False) -> LoadReport:
    phases = [Phase(duration=2, rate=2), Phase(duration=1, rate=5)][: len(tallies)]
    return LoadReport.of(
        url="http://127.0.0.1:8000", run="abc", seed=7, phases=phases, tallies=tallies, elapsed=2.0 * len(tallies), stopped=stopped
    )


def test_the_json_of_a_load():
    """One object with everything; times in seconds, what was not measured is null."""
    measured = report(tally((200, 0.01), (200, 0.03), (503, 0.002), (None, 0.005), not_sent=1, lateness=0.001))
    found = report_json(measured, [term.judge(measured) for term in parse_assertions("p95<800ms")])
    latency = found.pop("latency_seconds")
    assert latency["success"] == {"count": 2, "mean": 0.02, "p50": 0.01, "p90": 0.03, "p95": 0.03, "p99": 0.03, "max": 0.03}
    assert latency["all"] == {"count": 3, "mean": 0.014, "p50": 0.01, "p90": 0.03, "p95": 0.03, "p99": 0.03, "max": 0.03}
    assert latency["cancelled"]["max"] == pytest.approx(0.005)
    assert latency["timeout"] is None
    assert set(latency) == {"all", *LoadOutcome}
    (phase,) = found.pop("phases")
    assert phase["latency_seconds"] == latency
    assert (phase["duration_seconds"], phase["rate"], phase["sent"], phase["not_sent"]) == (2, 2, 4, 1)
    outcomes = {"success": 2, "invalid": 0, "overloaded": 1, "timeout": 0, "cancelled": 1, "error": 0, "unreachable": 0, "unexpected": 0}
    assert phase["outcomes"] == outcomes
    assert found == {
        "url": "http://127.0.0.1:8000",
        "run": "abc",
        "request_ids": "load-abc-<number>",
        "seed": 7,
        "stopped": False,
        "duration_seconds": 2.0,
        "rate": {"intended": 2.0, "achieved": 2.0},
        "sent": 4,
        "not_sent": 1,
        "outcomes": outcomes,
        "unexpected_statuses": {},
        "kinds": {"cancelled": 1, "valid": 3},
        "inferences": 4,
        "inferences_by_outcome": outcomes,
        "lateness_seconds": {"count": 4, "mean": 0.001, "p50": 0.001, "p90": 0.001, "p95": 0.001, "p99": 0.001, "max": 0.001},
        "assertions": [
            {"text": "p95<800ms", "actual": 0.03, "shown": "30.0 ms", "passed": True},
            {"text": "not_sent=0", "actual": 1, "shown": "1", "passed": False},
        ],
        "passed": False,
    }
    json.dumps(found)


def test_a_load_of_nothing_has_a_report_too():
    """Nothing divides by nought."""
    measured = LoadReport.of(url="u", run="r", seed=1, phases=[Phase(duration=1, rate=1)], tallies=[Tally()], elapsed=0.0, stopped=True)
    found = report_json(measured, [])
    assert (found["sent"], found["rate"], found["latency_seconds"]["all"], found["passed"]) == (
        0,
        {"intended": 1.0, "achieved": 0.0},
        None,
        True,
    )
    assert "all                  0        -         -" in report_text(measured, [])


def test_the_page_of_a_load():
    """Outcomes with their percentiles, and what was asserted."""
    measured = report(tally((200, 0.01), (200, 0.03), (422, 0.002), (None, 0.005)))
    shown = report_text(measured, [term.judge(measured) for term in parse_assertions("p95<20ms,errors<1%")])
    assert (
        shown
        == """\
4 requests (4 inferences) in 2.00 s to http://127.0.0.1:8000
  2.0/s sent, 2.0/s intended; request ids load-abc-<number>

  outcome       requests    share       p50       p90       p95       p99       max
  success              2    50.0%   10.0 ms   30.0 ms   30.0 ms   30.0 ms   30.0 ms
  invalid              1    25.0%   2.00 ms   2.00 ms   2.00 ms   2.00 ms   2.00 ms
  cancelled            1    25.0%   5.00 ms   5.00 ms   5.00 ms   5.00 ms   5.00 ms
  all                  4   100.0%   10.0 ms   30.0 ms   30.0 ms   30.0 ms   30.0 ms

  FAIL p95<20ms  (30.0 ms)
  ok   errors<1%  (0.00%)
  ok   not_sent=0  (0)
"""
    )


def test_several_phases_are_shown_beside_each_other():
    """Their successful requests."""
    shown = report_text(report(tally((200, 0.01)), tally((200, 0.5), (503, 0.001))), [])
    assert "successful requests by phase" in shown
    assert "  2.00 s @ 2/s" in shown
    assert "  1.00 s @ 5/s" in shown
    assert [line.split()[4:6] for line in shown.splitlines() if "@" in line] == [["1", "100.0%"], ["1", "50.0%"]]


@pytest.mark.parametrize(
    ("measured", "doubt"),
    [
        (report(tally((200, 0.1)), stopped=True), "Stopped before its time"),
        (report(tally((200, 0.1), not_sent=3)), "3 requests were due but NOT SENT"),
        (report(tally((200, 0.1), lateness=0.2)), "This side was late itself (p99 200 ms)"),
        (report(tally((401, 0.1), (401, 0.1), (404, 0.1))), "Unexpected HTTP statuses: 2 times 401, 1 times 404. 401 asks for an API key"),
    ],
)
def test_what_makes_the_figures_doubtful_is_said(measured, doubt):
    """At the end, where it is read."""
    assert doubt in report_text(measured, [])


def test_a_sound_load_raises_no_doubt():
    """None of these words."""
    shown = report_text(report(tally((200, 0.1), (0, 1.0))), [])
    assert shown.splitlines()[-1].split() == ["all", "2", "100.0%", "100", "ms", *["1.00", "s"] * 4]


def test_tallies_add_up():
    """Phase by phase, everything."""
    total = Tally()
    total.merge(tally((200, 0.1), (404, 0.2), not_sent=1))
    total.merge(tally((200, 0.3), (0, 9.0), not_sent=2))
    assert (total.sent, total.not_sent, total.failures) == (4, 3, 2)
    assert list(total.latencies[LoadOutcome.SUCCESS]) == [0.1, 0.3]
    assert (total.statuses, len(total.lateness), total.kinds[Kind.VALID]) == ({404: 1}, 4, 4)
