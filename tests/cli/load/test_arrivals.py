"""When the requests of a load are due."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.load.arrivals import Arrival, Phase, arrivals, expected_requests, parse_phase, total_duration


class Metronome(Random):
    """Draws every gap as its mean."""

    def expovariate(self, lambd):
        return 1 / lambd


@given(rate=st.floats(1, 500), duration=st.floats(1, 20), seed=st.integers())
def test_as_many_arrive_as_the_rate_says(rate, duration, seed):
    """A Poisson count: within six standard deviations of its mean."""
    count = sum(1 for _ in arrivals([Phase(duration=duration, rate=rate)], Random(seed)))
    mean = rate * duration
    assert abs(count - mean) <= 6 * math.sqrt(mean) + 1


@given(
    phases=st.lists(
        st.builds(lambda duration, rate: Phase(duration=duration, rate=rate), st.floats(0.1, 5), st.floats(0, 100)), min_size=1
    ),
    seed=st.integers(),
)
def test_arrivals_rise_and_lie_in_their_phases(phases, seed):
    """Each in the phase it names, none after the end."""
    found = list(arrivals(phases, Random(seed)))
    assert all(earlier.at <= later.at for earlier, later in pairwise(found))
    ends = [total_duration(phases[: index + 1]) for index in range(len(phases))]
    for arrival in found:
        begin = ends[arrival.phase] - phases[arrival.phase].duration
        assert begin - 1e-9 <= arrival.at <= ends[arrival.phase] + 1e-9


def test_gaps_are_exponential():
    """Their standard deviation equals their mean: users do not come like a metronome."""
    moments = [arrival.at for arrival in arrivals([Phase(duration=200, rate=100)], Random(1))]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert mean == pytest.approx(0.01, rel=0.05)
    assert deviation == pytest.approx(mean, rel=0.05)


def test_the_same_seed_gives_the_same_moments():
    """And another seed gives others."""
    phases = [Phase(duration=1, rate=50)]
    assert list(arrivals(phases, Random(7))) == list(arrivals(phases, Random(7)))
    assert list(arrivals(phases, Random(7))) != list(arrivals(phases, Random(8)))


def test_a_phase_at_rate_nought_is_a_pause():
    """Nothing is due in it; the next phase begins after it."""
    phases = [Phase(duration=1, rate=4), Phase(duration=10, rate=0), Phase(duration=1, rate=2)]
    assert list(arrivals(phases, Metronome())) == [Arrival(0.25, 0), Arrival(0.5, 0), Arrival(0.75, 0), Arrival(11.5, 2)]
    assert total_duration(phases) == pytest.approx(12)
    assert expected_requests(phases) == pytest.approx(6)


@pytest.mark.parametrize(
    ("text", "phase"),
    [("30s@200", Phase(duration=30, rate=200)), ("1.5m@0.5", Phase(duration=90, rate=0.5)), ("5s@0", Phase(duration=5, rate=0))],
)
def test_a_phase_is_a_duration_at_a_rate(text, phase):
    """As it is written on the command line."""
    assert parse_phase(text) == phase


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("30s", "write DURATION@RATE, such as 30s@200"),
        ("30@200", "'30' is not a duration"),
        ("30s@fast", "could not convert"),
        ("0s@1", "longer than 0 s"),
        ("200h@1", "at most a week"),
        ("1s@-1", "from 0 to 100000"),
        ("1s@1000000", "from 0 to 100000"),
        ("1s@nan", "from 0 to 100000"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text, reason):
    """Before a single request is sent."""
    with pytest.raises(ValueError, match=reason):
        parse_phase(text)
