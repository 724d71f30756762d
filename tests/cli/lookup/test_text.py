"""A request's story for a terminal."""

from __future__ import annotations

import copy

import pytest

from cli.lookup.text import list_text, story_text, visible

ATTEMPT = {
    "request_id": "r-1",
    "trace_id": "ab" * 16,
    "span_id": "cd" * 8,
    "function": "match",
    "service_instance": "i-1",
    "started": "2026-11-22T12:00:00.000000Z",
    "latency_ms": 12.0,
    "outcome": {
        "status": "success",
        "error_type": None,
        "in_words": "Answered by the model.",
        "advice": None,
        "counts_against_service": False,
        "exception": None,
    },
    "answer": {
        "label": "exact_match",
        "similarity": 0.97,
        "probabilities": {"not_match": 0.01, "partial_match": 0.04, "exact_match": 0.95},
    },
    "truncated": False,
    "output_length": 11,
    "model": {"name": "fake", "version": "1"},
    "addresses": {"address1": {"length": 19, "hash": "h1"}, "address2": {"length": 23, "hash": "h2"}},
    "text": {"captured": False},
    "timeline_ms": 20.0,
    "timeline": [
        {"kind": "span", "name": "POST /v1/match", "offset_ms": 0.0, "duration_ms": 20.0, "depth": 0, "span_id": "x"},
        {"kind": "span", "name": "mgeo.inference", "offset_ms": 5.0, "duration_ms": 12.0, "depth": 1, "span_id": "cd"},
        {"kind": "stage", "name": "inference", "offset_ms": 10.0, "duration_ms": 5.0, "depth": 2},
    ],
    "batch": {
        "batch_id": "b-1",
        "started": "2026-11-22T12:00:00.001000Z",
        "duration_ms": 6.0,
        "error_type": None,
        "members": [{"request_id": f"r-{number}"} for number in range(1, 7)],
    },
    "moment": {
        "minute": "2026-11-22T12:00:00.000000Z",
        "inferences": 120,
        "failed": 1,
        "p95_ms": 34.0,
        "queue_depth": 3,
        "alerts": [],
        "points": [],
    },
    "gpu": [{"id": "GPU-1", "utilization": 0.5, "memory_usage_bytes": 1, "memory_limit_bytes": 4, "sample_age_ms": 3.0}],
    "logs": [{"event": "mgeo.inference", "request_id": "r-1"}],
    "links": {},
}
STORY = {"request_id": "r-1", "attempts": [ATTEMPT], "more": 0, "missing": [], "links": {}}


def attempt(**changes):
    return {**copy.deepcopy(ATTEMPT), **changes}


def story(*attempts, **changes):
    return {**STORY, "attempts": list(attempts), **changes}


def test_the_story_of_a_request():
    """Outcome in words, facts, the timeline as bars, the log line."""
    assert (
        story_text(STORY)
        == """\
r-1

Answered by the model.
  exact_match, similarity 0.970 (not_match 0.010, partial_match 0.040, exact_match 0.950)

  started  2026-11-22T12:00:00.000000Z, took 12.0 ms
  function match on instance i-1
  trace    abababababababababababababababab, span cdcdcdcdcdcdcdcd
  model    fake 1
  input    address1 of 19 characters (hash h1), address2 of 23 characters (hash h2)
  batch    b-1 of 6, ran 6.00 ms, beside r-2, r-3, r-4 and 2 more
  moment   120 inferences in the minute from 2026-11-22T12:00:00.000000Z, 1 failed, P95 34.0 ms; 3 were waiting when it joined the queue
  gpu      GPU-1 25% of memory, 50% busy

  timeline (20.0 ms)
  POST /v1/match    ████████████████████████████████████████    20.0 ms
    mgeo.inference            ████████████████████████          12.0 ms
      inference                         ██████████              5.00 ms

  log line
  {"event": "mgeo.inference", "request_id": "r-1"}
"""
    )


def test_a_failure_says_why_and_what_to_do():
    """With the exception's type and frames, which carry no text of a caller."""
    outcome = {
        "status": "error",
        "error_type": "model_failed",
        "in_words": "Failed: the model raised an exception.",
        "advice": "Retry once.",
        "counts_against_service": True,
        "exception": {"type": "RuntimeError", "frames": ["model.py:1 predict"]},
    }
    lines = story_text(story(attempt(outcome=outcome, answer=None))).splitlines()
    assert lines[2:6] == ["Failed: the model raised an exception.", "  Retry once.", "  RuntimeError", "    model.py:1 predict"]


def test_what_is_not_known_is_left_out():
    """A request that was refused before it had a batch, an address or a model."""
    bare = attempt(
        answer=None,
        model=None,
        batch=None,
        gpu=[],
        logs=[],
        addresses={"address1": None, "address2": None},
        moment={**ATTEMPT["moment"], "p95_ms": None, "queue_depth": None},
    )
    shown = story_text(story(bare))
    for absent in ("model   ", "batch   ", "gpu   ", "input   ", "log line", "P95", "waiting"):
        assert absent not in shown
    assert "120 inferences in the minute" in shown


def test_captured_text_and_cut_addresses_are_shown():
    """When they were kept, or cut."""
    kept = attempt(text={"captured": True, "address1": "甲路", "address2": "乙路"}, truncated=True)
    shown = story_text(story(kept))
    assert "  text     甲路  |  乙路\n" in shown
    assert ", cut before the model saw it\n" in shown


def test_text_cannot_steer_the_terminal():
    """An address may hold control characters; they are written out."""
    hostile = attempt(text={"captured": True, "address1": "\x1b[2J甲", "address2": "\u202e乙\r"})
    shown = story_text(story(hostile))
    assert "\\x1b[2J甲  |  \\u202e乙\\r" in shown
    assert "\x1b" not in shown
    assert visible("a\tb\n\ud800") == "a\\tb\\n\\ud800"


@pytest.mark.parametrize(
    ("members", "error_type", "shown"),
    [
        (["r-1"], None, "b-1 of 1, ran 6.00 ms, alone"),
        (["r-1", "r-2"], None, "b-1 of 2, ran 6.00 ms, beside r-2"),
        (["r-1"], "model_failed", "b-1 of 1, ran 6.00 ms, alone, failed: model_failed"),
    ],
)
def test_a_batch_is_shown_with_its_other_members(members, error_type, shown):
    """The first three by name."""
    batch = {**ATTEMPT["batch"], "members": [{"request_id": member} for member in members], "error_type": error_type}
    assert f"  batch    {shown}\n" in story_text(story(attempt(batch=batch)))


def test_a_gpu_that_does_not_tell_its_utilisation_is_shown_without():
    """A nought would be a lie."""
    gpu = [{**ATTEMPT["gpu"][0], "utilization": None}]
    assert "  gpu      GPU-1 25% of memory\n" in story_text(story(attempt(gpu=gpu)))


def test_what_the_stack_knows_is_shown():
    """What fired then, the nearest points on either side, and where to see more."""
    moment = {
        **ATTEMPT["moment"],
        "alerts": [
            {"name": "SlowAnswers", "severity": "critical", "since": "2026-11-22T11:58:00Z"},
            {"name": "Watchdog", "severity": None, "since": "2026-11-21T12:00:00Z"},
        ],
        "points": [
            {"name": "hw_gpu_utilization", "value": 0.5, "device": "GPU-1", "distance_ms": 2500.0},
            {"name": "mgeo_queue_depth", "value": 7.0, "device": None, "distance_ms": -4250.0},
        ],
    }
    shown = story_text(story(attempt(moment=moment, links={"self": "/x", "trace": "http://j/t", "logs": "http://l/q"})))
    assert (
        "  alerts   SlowAnswers (critical) was firing, its condition true since 2026-11-22T11:58:00Z; "
        "Watchdog was firing, its condition true since 2026-11-21T12:00:00Z\n"
        "  metrics  hw_gpu_utilization of GPU-1 0.5 (2.50 s after); mgeo_queue_depth 7 (4.25 s before)\n"
    ) in shown
    assert "  links    trace http://j/t, logs http://l/q\n" in shown


def test_what_a_log_line_alone_does_not_tell_is_left_out():
    """No probabilities, no similarity, and no count of the minute."""
    moment = {**ATTEMPT["moment"], "inferences": None, "failed": None, "p95_ms": None}
    answer = {"label": "exact_match", "similarity": None, "probabilities": None}
    lines = story_text(story(attempt(answer=answer, moment=moment))).splitlines()
    assert lines[3] == "  exact_match"
    assert (
        "  moment   what else ran in the minute from 2026-11-22T12:00:00.000000Z is not known; 3 were waiting when it joined the queue"
        in lines
    )


def test_a_timeline_of_no_length_is_shown():
    """A clock may not have moved between start and end."""
    still = attempt(timeline_ms=0.0, timeline=[{**ATTEMPT["timeline"][0], "duration_ms": 0.0}])
    assert "  timeline (0 µs)\n" in story_text(story(still))


def test_several_attempts_are_told_one_after_the_other():
    """A repeated id has several."""
    shown = story_text(story(attempt(), attempt()))
    assert "attempt 1 of 2, r-1" in shown
    assert "attempt 2 of 2, r-1" in shown
    assert shown.count("log line") == 2


def test_many_inferences_are_a_list():
    """A batch call of four: one line each, and how to see one in full."""
    refused = {**ATTEMPT["outcome"], "status": "invalid", "error_type": "empty_address"}
    shown = story_text(
        story(
            *(attempt(request_id=f"r:{index}") for index in range(3)),
            attempt(request_id="r:3", outcome=refused, answer=None),
            request_id="r",
            more=7,
        )
    )
    assert (
        shown
        == """\
r
4 inferences; one of them in full: mgeo lookup r:0
2026-11-22T12:00:00.000000Z  success    exact_match            12.0 ms  r:0
2026-11-22T12:00:00.000000Z  success    exact_match            12.0 ms  r:1
2026-11-22T12:00:00.000000Z  success    exact_match            12.0 ms  r:2
2026-11-22T12:00:00.000000Z  invalid    empty_address          12.0 ms  r:3
7 more were left out
"""
    )


def test_what_is_missing_is_said():
    """A backend that did not answer."""
    assert story_text(story(attempt(), missing=["the spans: Jaeger did not answer"])).endswith(
        "missing: the spans: Jaeger did not answer\n"
    )


def test_found_requests_are_a_list():
    """Newest first, as the API gives them; whether there are more is said."""
    found = {
        "request_id": "r-1",
        "started": "2026-11-22T12:00:00Z",
        "status": "cancelled",
        "error_type": None,
        "label": None,
        "latency_ms": 0.5,
    }
    shown = list_text({"requests": [found], "next_cursor": "more"})
    assert shown == "2026-11-22T12:00:00Z  cancelled                          500 µs  r-1\nthere are more; raise --limit\n"
