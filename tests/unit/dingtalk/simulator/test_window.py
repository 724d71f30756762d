"""How many calls a window takes."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dingtalk.simulator.window import FixedWindow, SlidingWindow, WindowKind, new_window

# Long enough that windows fill, with pauses short and long.
STEPS = st.lists(st.integers(0, 3) | st.integers(0, 40), min_size=40, max_size=150)
LIMITS = st.integers(1, 20)


def admitted(window, steps: list[int], width: int) -> list[int]:
    """The moments of the calls that got in."""
    now, taken = 0, []
    for step in steps:
        now += step
        if window.admit(now, width):
            taken.append(now)
    return taken


@given(STEPS, LIMITS, st.integers(1, 60))
def test_a_sliding_window_never_takes_more_than_the_limit_in_any_stretch(steps, limit, width):
    """Whichever call the stretch begins with, both ends included."""
    taken = admitted(SlidingWindow(limit), steps, width)
    assert all(sum(start <= other <= start + width for other in taken) <= limit for start in taken)


@given(STEPS, LIMITS, st.integers(1, 60))
def test_a_sliding_window_refuses_nobody_for_whom_there_is_room(steps, limit, width):
    """A refused call has `limit` admitted ones in the stretch that ends with it."""
    window, now, taken = SlidingWindow(limit), 0, []
    for step in steps:
        now += step
        if window.admit(now, width):
            taken.append(now)
        else:
            assert sum(other >= now - width for other in taken) == limit


@given(STEPS, LIMITS, st.integers(1, 60))
def test_a_fixed_window_never_takes_more_than_the_limit_between_its_borders(steps, limit, width):
    """The borders are the multiples of the width."""
    taken = Counter(math.floor(moment / width) for moment in admitted(FixedWindow(limit), steps, width))
    assert all(count <= limit for count in taken.values())


def test_twenty_in_a_minute_and_the_next_after_it():
    """The first call frees its place only when more than the whole minute has passed."""
    window = new_window(WindowKind.SLIDING, 20)
    assert [window.admit(0.0, 60.0) for _ in range(21)] == [True] * 20 + [False]
    assert window.used(60.0, 60.0) == 20
    assert not window.admit(60.0, 60.0)
    assert window.admit(60.001, 60.0)
    assert window.used(60.001, 60.0) == 1


def test_a_fixed_window_lets_forty_through_around_a_border():
    """That is what tells the two kinds apart."""
    window = new_window(WindowKind.FIXED, 20)
    assert sum(window.admit(59.9, 60.0) for _ in range(30)) == 20
    assert sum(window.admit(60.0, 60.0) for _ in range(30)) == 20
    assert new_window(WindowKind.SLIDING, 20).admit(0.0, 60.0)


def test_a_refused_call_takes_no_place():
    """Else a sender that never stops would never get in again."""
    window = SlidingWindow(1)
    assert window.admit(0.0, 60.0)
    assert not any(window.admit(float(second), 60.0) for second in range(1, 61))
    assert window.admit(61.0, 60.0)


def test_a_width_that_shrinks_counts_at_once():
    """Drills scale it while it runs."""
    window = SlidingWindow(1)
    assert window.admit(0.0, 60.0)
    assert not window.admit(10.0, 60.0)
    assert window.admit(10.0, 6.0)
