"""A load as asked for on the command line."""

from __future__ import annotations

import pytest

from cli.load.arrivals import Phase
from cli.load.pairs import PAIRS
from cli.load.plan import LoadPlan

ASKED = {
    "url": "http://127.0.0.1:8000",
    "phases": ["10s@5"],
    "mix": "valid=1",
    "pairs": None,
    "batch_size": 8,
    "connections": 10,
    "patience": "30s",
    "seed": 1,
    "assertions": None,
    "api_key_file": None,
    "allow_remote": False,
}


def test_a_plan_is_read_from_the_options():
    """With the built-in pairs unless a file is named, and a run of its own each time."""
    plan = LoadPlan.of(**ASKED)
    assert (plan.phases, plan.patience, plan.terms, plan.api_key) == ((Phase(duration=10, rate=5),), 30.0, (), None)
    assert plan.pairs == PAIRS
    assert plan.run != LoadPlan.of(**ASKED).run
    assert len(plan.run) == 12


def test_a_plan_never_prints_its_key(monkeypatch):
    """Not even in a traceback."""
    monkeypatch.setenv("MGEO_API_KEY", "s3cret")
    plan = LoadPlan.of(**ASKED)
    assert plan.api_key == "s3cret"
    assert "s3cret" not in repr(plan)


def test_another_host_needs_a_word(monkeypatch):
    """A load is not sent to someone else's service by a mistyped address."""
    remote = ASKED | {"url": "http://geo.example:8000"}
    with pytest.raises(ValueError, match=r"geo\.example is not surely this machine; add --allow-remote"):
        LoadPlan.of(**remote)
    assert LoadPlan.of(**remote | {"allow_remote": True}).url.host == "geo.example"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"url": "nowhere"}, "is not the address of a service"),
        ({"phases": ["10s"]}, "is not a phase"),
        ({"phases": ["10s@0"]}, "0 requests: there must be at least one"),
        ({"phases": ["100h@100000"]}, "and at most 50000000"),
        ({"mix": "all=1"}, "is not a part of a mix"),
        ({"patience": "long"}, "is not a duration"),
        ({"assertions": "p95"}, "is not an assertion"),
    ],
)
def test_every_option_is_checked_before_the_first_request(change, reason):
    """With the reason."""
    with pytest.raises(ValueError, match=reason):
        LoadPlan.of(**ASKED | change)
