"""The states of the circuit breaker, by an injected clock."""

from __future__ import annotations

import threading

import pytest

from service.breaker import BreakerState, CircuitBreaker
from service.errors import ErrorType, Overloaded


class Scene:
    """A breaker that opens after three failures for five seconds, its clock, and what it said."""

    def __init__(self, failures: int = 3, cooldown: float = 5.0) -> None:
        self.now = 100.0
        self.said: list[BreakerState] = []
        self.breaker = CircuitBreaker(failures=failures, cooldown=cooldown, clock=lambda: self.now, on_change=self.said.append)

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.breaker.failed()

    def refusal(self) -> Overloaded:
        with pytest.raises(Overloaded) as caught:
            self.breaker.admit()
        return caught.value


def test_a_closed_breaker_admits():
    """As no probe."""
    scene = Scene()
    assert (scene.breaker.admit(), scene.breaker.state, scene.said) == (None, BreakerState.CLOSED, [])


def test_fewer_failures_than_the_limit_do_not_open_it():
    """Two of three."""
    scene = Scene()
    scene.fail(2)
    assert (scene.breaker.admit(), scene.breaker.state) == (None, "closed")


def test_a_success_starts_the_count_again():
    """Only failures in a row count."""
    scene = Scene()
    scene.fail(2)
    scene.breaker.succeeded()
    scene.fail(2)
    assert (scene.breaker.state, scene.said) == ("closed", [])


def test_the_limit_opens_it_and_says_so_once():
    """The refusal tells how long is left."""
    scene = Scene()
    scene.fail(3)
    scene.now += 1.5
    error = scene.refusal()
    assert (error.error_type, error.retry_after) == (ErrorType.BREAKER_OPEN, 3.5)
    assert (scene.breaker.state, scene.said) == ("open", ["open"])


def test_failures_of_what_was_admitted_before_change_nothing():
    """They neither prolong the cooldown nor are told again."""
    scene = Scene()
    scene.fail(3)
    scene.now += 4
    scene.fail(5)
    assert (scene.refusal().retry_after, scene.said) == (1.0, ["open"])


def test_after_the_cooldown_one_probe_goes_through():
    """Others are refused while it is out."""
    scene = Scene()
    scene.fail(3)
    scene.now += 5
    assert (scene.breaker.admit(), scene.breaker.state) == (1, "half_open")
    assert scene.refusal().retry_after == 1.0
    assert scene.said == ["open"]


def test_a_probe_that_succeeds_closes_it():
    """And the count begins at zero."""
    scene = Scene()
    scene.fail(3)
    scene.now += 5
    scene.breaker.admit()
    scene.breaker.succeeded()
    scene.fail(2)
    assert (scene.breaker.admit(), scene.breaker.state, scene.said) == (None, "closed", ["open", "closed"])


def test_a_probe_that_fails_opens_it_again_for_twice_as_long():
    """Up to a minute: 5, 10, 20, 40, 60, 60 seconds."""
    scene = Scene()
    scene.fail(3)
    waits = []
    for _ in range(6):
        waits.append(scene.refusal().retry_after)
        scene.now += waits[-1]
        scene.breaker.admit()
        scene.breaker.failed()
    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert scene.said == ["open"] * 7


def test_a_success_shortens_the_cooldown_again():
    """Doubling belongs to one outage."""
    scene = Scene()
    scene.fail(3)
    scene.now += 5
    scene.breaker.admit()
    scene.breaker.failed()
    scene.now += 10
    scene.breaker.admit()
    scene.breaker.succeeded()
    scene.fail(3)
    assert scene.refusal().retry_after == 5.0


def test_a_cooldown_over_a_minute_is_not_shortened_by_the_cap():
    """The cap bounds the doubling, not the setting."""
    scene = Scene(cooldown=90.0)
    scene.fail(3)
    scene.now += 90
    scene.breaker.admit()
    scene.breaker.failed()
    assert scene.refusal().retry_after == 90.0


def test_a_released_probe_makes_room_for_another():
    """It was cancelled, or waited in vain, and so gave no verdict."""
    scene = Scene()
    scene.fail(3)
    scene.now += 5
    first = scene.breaker.admit()
    scene.breaker.release(first)
    assert (first, scene.breaker.admit(), scene.breaker.state) == (1, 2, "half_open")


def test_an_old_probe_does_not_free_the_place_of_a_new_one():
    """Released late, after its place was given to another; and an ordinary request frees nothing."""
    scene = Scene()
    scene.fail(3)
    scene.now += 5
    old = scene.breaker.admit()
    scene.breaker.failed()
    scene.now += 10
    scene.breaker.admit()
    scene.breaker.release(old)
    scene.breaker.release(None)
    assert ErrorType.BREAKER_OPEN is scene.refusal().error_type


def test_a_success_of_what_was_queued_before_it_opened_closes_it():
    """The model answers: there is nothing to wait for."""
    scene = Scene()
    scene.fail(3)
    scene.breaker.succeeded()
    assert (scene.breaker.admit(), scene.said) == (None, ["open", "closed"])


def test_of_many_threads_one_gets_the_probe():
    """Eight ask at once."""
    scene = Scene()
    scene.fail(3)
    scene.now += 5
    start = threading.Barrier(8)
    admitted: list[int | None] = []

    def ask() -> None:
        start.wait(5)
        try:
            admitted.append(scene.breaker.admit())
        except Overloaded:
            return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert admitted == [1]


def test_by_default_it_tells_nobody():
    """The callback is optional."""
    breaker = CircuitBreaker(failures=1, cooldown=60.0)
    breaker.failed()
    assert BreakerState.OPEN is breaker.state
