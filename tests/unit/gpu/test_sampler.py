"""The GPU sampler: what it keeps, how long that stands, and its thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import pytest

from service.gpu import FakeGpuReader, GpuDevice, GpuSample, GpuSampler, NullGpuReader

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 10.0
START_UNIX_NS = 1_770_000_000_000_000_000
SECOND_NS = 1_000_000_000


def device(used: int) -> GpuDevice:
    return GpuDevice(hw_id="GPU-1", index=0, name="card", memory_used_bytes=used, memory_limit_bytes=1000, utilization=0.5)


@dataclass
class Clock:
    """Both clocks, moved by hand from the same origin; `wall_shift` is what somebody did to the wall clock."""

    seconds: float = 0.0
    wall_shift: float = 0.0

    def monotonic(self) -> float:
        return 5000.0 + self.seconds

    def wall(self) -> int:
        return START_UNIX_NS + round((self.seconds + self.wall_shift) * SECOND_NS)


class Turnstile:
    """A reader each of whose reads tells that it has come and waits to be let through, as in a hanging driver."""

    def __init__(self, inner: FakeGpuReader) -> None:
        self._inner = inner
        self.came = threading.Semaphore(0)
        self.passes = threading.Semaphore(0)
        self.closed = threading.Event()

    def read(self) -> tuple[GpuDevice, ...]:
        self.came.release()
        assert self.passes.acquire(timeout=DEADLINE)
        return self._inner.read()

    def close(self) -> None:
        self._inner.close()
        self.closed.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sampler_of(clock: Clock, *script: tuple[GpuDevice, ...] | Exception, interval: float = 1.0) -> GpuSampler:
    return GpuSampler(FakeGpuReader(script), interval, clock.monotonic, clock.wall)


# --- latest -----------------------------------------------------------------------------------------------------------


def test_before_the_first_read_there_is_no_sample(clock: Clock) -> None:
    """Nothing is made up."""
    sampler = sampler_of(clock, (device(1),))

    assert sampler.latest() is None
    assert sampler.nearest(START_UNIX_NS) is None
    assert (sampler.errors, sampler.last_error) == (0, None)


def test_a_sample_carries_the_devices_and_both_clocks(clock: Clock) -> None:
    """What the reader said, stamped with the moment just before it was asked."""
    clock.seconds = 2.5
    sampler = sampler_of(clock, (device(1),))

    expected = GpuSample(taken_at_monotonic=5002.5, taken_at_unix_ns=1_770_000_002_500_000_000, devices=(device(1),))
    assert sampler.sample_once() == expected
    assert sampler.latest() == expected


def test_a_slow_read_is_stamped_with_its_beginning(clock: Clock) -> None:
    """A sample never claims to be newer than it is."""

    class SlowReader(NullGpuReader):
        def read(self) -> tuple[GpuDevice, ...]:
            clock.seconds += 3
            return ()

    sampler = GpuSampler(SlowReader(), 1.0, clock.monotonic, clock.wall)

    assert sampler.sample_once() == GpuSample(taken_at_monotonic=5000.0, taken_at_unix_ns=START_UNIX_NS, devices=())


@pytest.mark.parametrize(("age", "fresh"), [(0.0, True), (9.75, True), (10.0, False), (3600.0, False)])
def test_a_sample_is_stale_from_five_intervals_on(clock: Clock, age: float, fresh: bool) -> None:
    """At an interval of 2 s: served below 10 s of age, absent from 10 s on."""
    sampler = sampler_of(clock, (device(1),), interval=2.0)
    sampler.sample_once()

    clock.seconds = age

    assert (sampler.latest() is not None) is fresh


def test_age_is_judged_by_the_monotonic_clock(clock: Clock) -> None:
    """Setting the wall clock an hour ahead does not make the latest sample stale."""
    sampler = sampler_of(clock, (device(1),))
    sampler.sample_once()

    clock.wall_shift = 3600

    assert sampler.latest() is not None


# --- nearest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "used"),
    [
        (-5.0, 0),
        (0.0, 0),
        (0.4, 0),
        (0.5, 0),
        (0.6, 1),
        (1.0, 1),
        (2.2, 2),
        (7.0, 2),
    ],
)
def test_the_nearest_sample_belongs_to_a_moment(clock: Clock, moment: float, used: int) -> None:
    """Of samples at 0, 1 and 2 s the nearer one, the earlier of two as near, up to five intervals beyond the ends."""
    sampler = sampler_of(clock, (device(0),), (device(1),), (device(2),))
    for clock.seconds in (0.0, 1.0, 2.0):
        sampler.sample_once()

    sample = sampler.nearest(START_UNIX_NS + round(moment * SECOND_NS))

    assert sample is not None
    assert sample.devices == (device(used),)


@pytest.mark.parametrize("moment", [-5.001, 7.001])
def test_a_moment_more_than_five_intervals_away_has_no_sample(clock: Clock, moment: float) -> None:
    """A reading of another time is no description of this one."""
    sampler = sampler_of(clock, (device(0),))
    for clock.seconds in (0.0, 1.0, 2.0):
        sampler.sample_once()

    assert sampler.nearest(START_UNIX_NS + round(moment * SECOND_NS)) is None


def test_a_moment_inside_a_long_gap_has_no_sample(clock: Clock) -> None:
    """While the reader hung for a minute, nothing is known of the middle of it."""
    sampler = sampler_of(clock, (device(0),))
    for clock.seconds in (0.0, 60.0):
        sampler.sample_once()

    assert sampler.nearest(START_UNIX_NS + 30 * SECOND_NS) is None


def test_sixty_samples_are_kept(clock: Clock) -> None:
    """Of 100 samples one second apart, the 41st is the oldest that can be found."""
    sampler = sampler_of(clock, *[(device(second),) for second in range(100)])
    for clock.seconds in range(100):
        sampler.sample_once()

    oldest = sampler.nearest(START_UNIX_NS + 36 * SECOND_NS)

    assert oldest is not None
    assert oldest.devices == (device(40),)
    assert sampler.nearest(START_UNIX_NS + 34 * SECOND_NS) is None


def test_setting_the_wall_clock_back_forgets_the_samples_with_later_stamps(clock: Clock) -> None:
    """After a step of 10 s back, a moment gets the sample taken since, not the one that bore that stamp before."""
    sampler = sampler_of(clock, (device(0),), (device(1),), (device(2),))
    for clock.seconds in (0.0, 10.0):
        sampler.sample_once()
    clock.seconds, clock.wall_shift = 11.0, -10.0
    sampler.sample_once()

    sample = sampler.nearest(START_UNIX_NS)

    assert sample is not None
    assert sample.devices == (device(2),)
    assert sampler.nearest(START_UNIX_NS + 10 * SECOND_NS) is None


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_failed_read_is_counted_and_leaves_the_last_sample(clock: Clock) -> None:
    """One failure costs nothing but its own sample."""
    sampler = sampler_of(clock, (device(0),), RuntimeError("the driver is gone"), (device(2),))
    first = sampler.sample_once()
    clock.seconds = 1.0

    assert sampler.sample_once() is None
    assert sampler.latest() == first
    assert (sampler.errors, sampler.last_error) == (1, "RuntimeError: the driver is gone")


def test_a_good_read_clears_the_reason_but_not_the_count(clock: Clock) -> None:
    """The count is for a counter, the reason for the present state."""
    sampler = sampler_of(clock, RuntimeError("the driver is gone"), (device(1),))
    sampler.sample_once()

    sampler.sample_once()

    assert (sampler.errors, sampler.last_error) == (1, None)


def test_the_pause_doubles_from_the_second_failure_in_a_row_up_to_a_minute(clock: Clock) -> None:
    """The first failure is tried again at once, so that a device lost once leaves no gap."""
    sampler = sampler_of(clock, *[RuntimeError("lost")] * 9, (device(1),))
    delays = [sampler.delay]
    for _ in range(10):
        sampler.sample_once()
        delays.append(sampler.delay)

    assert delays == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 1.0]


def test_a_reader_that_fails_for_ever_keeps_a_finite_pause(clock: Clock) -> None:
    """Thousands of failures do not overflow; an interval above a minute is never shortened by failing."""
    sampler = sampler_of(clock, RuntimeError("lost"), interval=90.0)
    for _ in range(5000):
        sampler.sample_once()

    assert (sampler.errors, sampler.delay) == (5000, 90.0)


# --- the thread -------------------------------------------------------------------------------------------------------


@pytest.fixture
def turnstile() -> Turnstile:
    return Turnstile(FakeGpuReader([(device(0),), RuntimeError("lost"), (device(2),)]))


@pytest.fixture
def running(turnstile: Turnstile, clock: Clock) -> Iterator[GpuSampler]:
    """A started sampler whose reads wait at the turnstile; it ends with the test."""
    sampler = GpuSampler(turnstile, 0.001, clock.monotonic, clock.wall)
    sampler.start()
    yield sampler
    for _ in range(1000):
        turnstile.passes.release()
    assert sampler.stop(DEADLINE)


def test_the_thread_samples_and_survives_a_reader_that_raises(running: GpuSampler, turnstile: Turnstile) -> None:
    """Good, failing, good: the third read comes although the second raised."""
    turnstile.passes.release(3)
    for _ in range(4):  # that the fourth read has come says that the third is done
        assert turnstile.came.acquire(timeout=DEADLINE)

    latest = running.latest()

    assert latest is not None
    assert latest.devices == (device(2),)
    assert running.errors == 1


def test_a_hanging_reader_lets_the_sample_go_stale_and_blocks_nobody(running: GpuSampler, turnstile: Turnstile, clock: Clock) -> None:
    """While the second read hangs, the first sample is served until it is stale, and then None, at once."""
    turnstile.passes.release()
    for _ in range(2):
        assert turnstile.came.acquire(timeout=DEADLINE)

    assert running.latest() is not None
    clock.seconds = 0.005
    assert running.latest() is None
    assert running.nearest(START_UNIX_NS) is not None


def test_stopping_does_not_wait_for_a_hanging_reader(running: GpuSampler, turnstile: Turnstile) -> None:
    """The join is bounded and says that the thread lives; the reader is closed by its thread once the read returns."""
    assert turnstile.came.acquire(timeout=DEADLINE)

    assert running.stop(0.0) is False
    assert not turnstile.closed.is_set()
    running.start()  # refused: a second thread must not enter the reader
    turnstile.passes.release()

    assert turnstile.closed.wait(DEADLINE)
    assert not turnstile.came.acquire(blocking=False)
    assert running.stop(DEADLINE) is True


def test_starting_and_stopping_twice_is_harmless(running: GpuSampler, turnstile: Turnstile) -> None:
    """One thread only, and after the stop no read follows."""
    running.start()
    assert turnstile.came.acquire(timeout=DEADLINE)
    assert [thread.name for thread in threading.enumerate()].count("gpu-sampler") == 1
    running.stop(0.0)
    turnstile.passes.release()

    assert running.stop(DEADLINE) is True
    assert running.stop(DEADLINE) is True
    assert not turnstile.came.acquire(blocking=False)


def test_a_stopped_sampler_can_be_started_again(running: GpuSampler, turnstile: Turnstile) -> None:
    """Its reader opens again by being read."""
    assert turnstile.came.acquire(timeout=DEADLINE)
    running.stop(0.0)
    turnstile.passes.release()
    assert running.stop(DEADLINE)

    running.start()

    assert turnstile.came.acquire(timeout=DEADLINE)


def test_a_sampler_never_started_is_stopped_already(clock: Clock) -> None:
    """Closing in reverse order works after a start-up that did not get this far."""
    assert sampler_of(clock, ()).stop() is True


def test_stopping_wakes_a_thread_that_waits_for_its_next_read(clock: Clock) -> None:
    """An interval of an hour does not delay the end, and a reader that fails to close does not disturb it."""

    class StubbornReader(NullGpuReader):
        asked = threading.Event()

        def read(self) -> tuple[GpuDevice, ...]:
            self.asked.set()
            return ()

        def close(self) -> NoReturn:
            raise RuntimeError("cannot close")

    sampler = GpuSampler(StubbornReader(), 3600.0, clock.monotonic, clock.wall)
    sampler.start()
    assert StubbornReader.asked.wait(DEADLINE)

    assert sampler.stop(DEADLINE) is True
