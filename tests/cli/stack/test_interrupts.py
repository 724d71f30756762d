"""Signals as an exception: where the program stands, once, and not while something must be done whole."""

from __future__ import annotations

import signal

import pytest

from cli.stack.interrupts import SIGNALS, Interrupted, interrupts


@pytest.fixture(autouse=True)
def handlers():
    """Handlers of the test, which are there again in the end; what they take."""
    taken = []
    before = {number: signal.signal(number, lambda number, _frame: taken.append(number)) for number in SIGNALS}
    yield taken
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises_and_further_ones_wait_for_the_clean_up(number, handlers):
    """Whichever they are; afterwards the handlers of before are there again."""
    with interrupts():
        with pytest.raises(Interrupted):
            signal.raise_signal(number)
        for further in SIGNALS:
            signal.raise_signal(further)
    assert handlers == []
    signal.raise_signal(number)
    assert handlers == [number]


def test_a_signal_while_it_is_held_raises_once_it_is_let_go():
    """What stands between is done whole."""
    done = []
    with interrupts() as signals:
        signals.hold()
        signal.raise_signal(signal.SIGTERM)
        done.append("whole")
        with pytest.raises(Interrupted):
            signals.let_go()
        signal.raise_signal(signal.SIGTERM)
    assert done == ["whole"]


def test_without_a_signal_letting_go_does_nothing_and_the_next_one_raises():
    """As before."""
    with interrupts() as signals:
        signals.hold()
        signals.let_go()
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_still_held_at_the_end_is_forgotten(handlers):
    """What it would have ended has ended."""
    with interrupts() as signals:
        signals.hold()
        signal.raise_signal(signal.SIGTERM)
    assert handlers == []
