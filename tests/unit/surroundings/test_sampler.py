"""The sampler: what it shows, for how long, and that nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from service.surroundings.sampler import Sampler
from tests.conftest import TickingClock
from tests.deadline import DEADLINE


def sampler_of(ticking: TickingClock, *script: int | Exception, interval: float = 2.0) -> Sampler[int]:
    """One whose reads give these in turn; an exception is raised."""
    turns = iter(script)

    def read() -> int:
        turn = next(turns)
        if isinstance(turn, Exception):
            raise turn
        return turn

    return Sampler("a-sampler", read, interval=interval, clock=ticking.monotonic)


def test_before_the_first_read_there_is_nothing(ticking: TickingClock) -> None:
    """Nothing is made up."""
    assert sampler_of(ticking, 1).latest() is None


@pytest.mark.parametrize(("age", "shown"), [(0.0, 7), (9.75, 7), (10.0, None), (3600.0, None)])
def test_a_value_is_stale_from_five_intervals_on(ticking: TickingClock, age: float, shown: int | None) -> None:
    """At an interval of 2 s: shown below 10 s of age, absent from 10 s on."""
    sampler = sampler_of(ticking, 7)
    sampler.sample_once()

    ticking.tick(age)

    assert sampler.latest() == shown


def test_a_slow_read_is_as_old_as_its_beginning(ticking: TickingClock) -> None:
    """What was told before a disk hung for 10 s is not shown as fresh."""

    def read() -> int:
        ticking.tick(10)
        return 7

    sampler = Sampler("a-sampler", read, interval=2.0, clock=ticking.monotonic)
    sampler.sample_once()

    assert sampler.latest() is None


def test_a_failed_read_leaves_the_value_before(ticking: TickingClock) -> None:
    """Whatever is raised."""
    sampler = sampler_of(ticking, 1, RuntimeError("the disk is gone"), OSError("still"), 2)
    shown = []
    for _ in range(4):
        sampler.sample_once()
        shown.append(sampler.latest())

    assert shown == [1, 1, 1, 2]


class Turnstile:
    """A read that tells that it has come and waits to be let through, as on a file system that hangs."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self.passes = threading.Semaphore(0)
        self.reads = 0

    def __call__(self) -> int:
        self.came.release()
        assert self.passes.acquire(timeout=DEADLINE)
        self.reads += 1
        return self.reads


@pytest.fixture
def turnstile() -> Turnstile:
    return Turnstile()


@pytest.fixture
def running(turnstile: Turnstile, ticking: TickingClock) -> Iterator[Sampler[int]]:
    """A started sampler whose reads wait at the turnstile; it ends with the test."""
    sampler = Sampler("a-sampler", turnstile, interval=0.001, clock=ticking.monotonic)
    sampler.start()
    yield sampler
    sampler.ask_to_stop()
    turnstile.passes.release(1000)
    assert sampler.stop(DEADLINE)


def test_a_hanging_read_lets_the_value_go_stale_and_blocks_nobody(
    running: Sampler[int], turnstile: Turnstile, ticking: TickingClock
) -> None:
    """While the second read hangs, the first value is shown until it is stale, and then none, at once."""
    turnstile.passes.release()
    for _ in range(2):
        assert turnstile.came.acquire(timeout=DEADLINE)

    assert running.latest() == 1
    ticking.tick(0.006)
    assert running.latest() is None


def test_stopping_does_not_wait_for_a_hanging_read(running: Sampler[int], turnstile: Turnstile) -> None:
    """The join is bounded and says that the thread lives; a second thread never enters the read."""
    assert turnstile.came.acquire(timeout=DEADLINE)

    assert running.stop(0.0) is False
    running.start()
    turnstile.passes.release()

    assert running.stop(DEADLINE) is True
    assert not turnstile.came.acquire(blocking=False)


def test_the_thread_is_a_daemon_of_its_name(running: Sampler[int], turnstile: Turnstile) -> None:
    """One that hangs for good does not keep the process alive; starting twice makes no second one."""
    running.start()

    assert [thread.daemon for thread in threading.enumerate() if thread.name == "a-sampler"] == [True]


def test_stopping_wakes_a_thread_that_waits_for_its_next_read() -> None:
    """An interval of an hour does not delay the end; one that was stopped, or never started, is stopped already."""
    came = threading.Event()
    read: Callable[[], None] = came.set
    sampler = Sampler("a-sampler", read, interval=3600.0)
    assert sampler.stop(0.0) is True
    sampler.start()
    assert came.wait(DEADLINE)

    assert sampler.stop(DEADLINE) is True
    assert sampler.stop(0.0) is True
