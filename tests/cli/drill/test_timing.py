"""How long each step took, and what the samples of Prometheus say of it."""

from __future__ import annotations

from cli.drill.timing import Timing, seen
from tests.cli.drill.results import START, timing


def test_each_step_is_from_one_moment_to_the_next():
    """To the millisecond; a message is also measured from the fault, and its end from when the fault was taken out."""
    whole = timing(true=15.5, firing=30.5004, told=33, cleared=33.25, over=45, ended=50.75)
    assert whole.steps() == {
        "fault_to_true": 15.5,
        "true_to_firing": 15.0,
        "firing_to_delivered": 2.5,
        "fault_to_delivered": 33.0,
        "cleared_to_resolved": 17.5,
    }


def test_a_step_of_which_one_end_is_not_known_is_not_known():
    """As of a notice, which Prometheus knows nothing of, and of a message that never came."""
    assert timing(told=33, cleared=34, ended=40).steps() == {
        "fault_to_true": None,
        "true_to_firing": None,
        "firing_to_delivered": None,
        "fault_to_delivered": 33.0,
        "cleared_to_resolved": 6.0,
    }
    assert set(timing().steps().values()) == {None}


def test_a_message_before_the_sample_that_caused_it_is_a_negative_step_and_not_hidden():
    """Prometheus notes the moment at which an evaluation began; two clocks may differ."""
    assert timing(firing=30, told=29.75).steps()["firing_to_delivered"] == -0.25


def test_for_json_the_moments_stand_by_name():
    """All of them, whether known or not."""
    assert timing(true=1).document() == {
        "fault_at": START,
        "true_at": START + 1,
        "firing_at": None,
        "told_at": None,
        "cleared_at": None,
        "over_at": None,
        "ended_at": None,
    }


def series(state, *moments):
    return {"alertname": "HighLatency", "alertstate": state}, list(moments)


def test_true_is_the_first_sample_and_firing_the_first_that_fires():
    """Pending comes first; the last that fires is when it was over. In no order, of two instances."""
    samples = [series("firing", 130.0, 140.0), series("pending", 110.0, 120.0), series("firing", 125.0, 150.0), series("pending", 115.0)]
    assert seen(samples, since=100.0) == (110.0, 125.0, 150.0)


def test_without_a_hold_it_is_true_and_firing_at_once():
    """There is no pending sample."""
    assert seen([series("firing", 110.0)], since=100.0) == (110.0, 110.0, 110.0)


def test_what_was_before_the_fault_does_not_count():
    """The tail of an earlier drill; a sample of the very moment does."""
    samples = [series("pending", 80.0, 100.0), series("firing", 90.0, 99.9, 110.0)]
    assert seen(samples, since=100.0) == (100.0, 110.0, 110.0)
    assert seen(samples, since=200.0) == (None, None, None)
    assert seen([], since=0.0) == (None, None, None)


def test_what_never_fires_is_true_alone():
    """A fault that was too short."""
    assert seen([series("pending", 110.0)], since=100.0) == (110.0, None, None)


def test_only_the_fault_is_needed():
    """Whatever else happened."""
    assert Timing(fault_at=1.0).told_at is None
