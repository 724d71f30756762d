"""The open loop, on a clock of its own: every figure is exact."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from cli.load.arrivals import Phase
from cli.load.connection import ConnectionFailed
from cli.load.generator import LoadGenerator
from cli.load.mix import ONLY_VALID, Kind
from cli.load.outcome import Answer, LoadOutcome
from cli.load.request import RequestFactory


class Metronome(Random):
    """Draws every gap as its mean."""

    def expovariate(self, lambd):
        return 1 / lambd


class OneAtATime:
    """A server that takes `seconds` for each request and works on one at a time."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.free_at = 0.0
        self.sent_at = []

    async def send(self, request):
        loop = asyncio.get_running_loop()
        self.sent_at.append(loop.time())
        self.free_at = max(self.free_at, loop.time()) + self.seconds
        await asyncio.sleep(self.free_at - loop.time())
        return Answer(200, b"{}")


class Silent:
    """A server that never answers."""

    async def send(self, request):
        await asyncio.sleep(1e6)


class Quiet:
    def update(self, done, note):
        note()


def generator(loop, transport, *, max_in_flight=1000, patience=30.0, progress=None):
    factory = RequestFactory(run="r", mix=ONLY_VALID, pairs=(("a", "b"),), batch_size=1, random=Random(1))
    return LoadGenerator(
        transport=transport,
        factory=factory,
        progress=progress or Quiet(),
        max_in_flight=max_in_flight,
        patience=patience,
        monotonic=loop.time,
    )


def test_a_slow_server_is_not_spared(virtual_loop):
    """Half as fast as requests come, it falls behind by 50 ms with each: the tenth waits 550 ms, though its own work takes 100.

    A closed loop would have sent the second request when the first was answered, and reported 100 ms for all.
    """
    server = OneAtATime(0.1)
    phases = [Phase(duration=0.52, rate=20)]
    (tally,) = virtual_loop.run_until_complete(generator(virtual_loop, server).run(phases, Metronome()))
    assert server.sent_at == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5])
    latencies = list(tally.latencies[LoadOutcome.SUCCESS])
    assert latencies == pytest.approx([0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55])
    assert list(tally.lateness) == pytest.approx([0.0] * 10)


def test_a_fast_server_has_the_latency_it_has(virtual_loop):
    """Nothing is added."""
    (tally,) = virtual_loop.run_until_complete(generator(virtual_loop, OneAtATime(0.01)).run([Phase(duration=1.02, rate=10)], Metronome()))
    assert list(tally.latencies[LoadOutcome.SUCCESS]) == pytest.approx([0.01] * 10)


def test_this_side_s_own_delay_is_in_the_latency_and_told(virtual_loop):
    """When the generator could not send in time, the caller waited all the same."""

    class Stalling(OneAtATime):
        async def send(self, request):
            if not self.sent_at:
                virtual_loop.now += 0.25  # the machine was busy with something else
            return await super().send(request)

    (tally,) = virtual_loop.run_until_complete(generator(virtual_loop, Stalling(0.0)).run([Phase(duration=0.42, rate=10)], Metronome()))
    assert list(tally.lateness) == pytest.approx([0.0, 0.15, 0.05, 0.0])
    assert list(tally.latencies[LoadOutcome.SUCCESS]) == pytest.approx([0.25, 0.15, 0.05, 0.0])


def test_what_exceeds_the_requests_in_flight_is_counted_as_not_sent(virtual_loop):
    """Never silently left out: two hang, the other eight were due and are missing."""
    (tally,) = virtual_loop.run_until_complete(
        generator(virtual_loop, Silent(), max_in_flight=2, patience=5.0).run([Phase(duration=1.02, rate=10)], Metronome())
    )
    assert (tally.sent, tally.not_sent) == (2, 8)


def test_an_answer_that_does_not_come_is_unreachable(virtual_loop):
    """After the patience, which counts from the moment the request left."""
    (tally,) = virtual_loop.run_until_complete(
        generator(virtual_loop, Silent(), patience=5.0).run([Phase(duration=0.15, rate=10)], Metronome())
    )
    assert tally.outcomes == {LoadOutcome.UNREACHABLE: 1}
    assert list(tally.latencies[LoadOutcome.UNREACHABLE]) == pytest.approx([5.0])


def test_a_connection_that_fails_is_unreachable(virtual_loop):
    """And is an inference that was asked for."""

    class Refusing:
        async def send(self, request):
            raise ConnectionFailed

    (tally,) = virtual_loop.run_until_complete(generator(virtual_loop, Refusing()).run([Phase(duration=0.25, rate=10)], Metronome()))
    assert tally.outcomes == {LoadOutcome.UNREACHABLE: 2}
    assert tally.inferences == {LoadOutcome.UNREACHABLE: 2}
    assert tally.kinds == {Kind.VALID: 2}


def test_each_phase_has_its_own_figures(virtual_loop):
    """A request belongs to the phase it was due in, whenever it ends."""
    phases = [Phase(duration=0.25, rate=10), Phase(duration=1.0, rate=0), Phase(duration=0.25, rate=20)]
    tallies = virtual_loop.run_until_complete(generator(virtual_loop, OneAtATime(2.0)).run(phases, Metronome()))
    assert [tally.sent for tally in tallies] == [2, 0, 4]


def test_a_stop_ends_the_sending_and_waits_for_what_is_in_flight(virtual_loop):
    """Within a quarter of a second, also when the next request is far off."""
    running = generator(virtual_loop, OneAtATime(1.0))
    virtual_loop.call_at(0.35, running.stop)
    (tally,) = virtual_loop.run_until_complete(running.run([Phase(duration=0.4, rate=10), Phase(duration=900, rate=0.01)], Metronome()))[:1]
    assert running.stopping
    assert tally.outcomes == {LoadOutcome.SUCCESS: 3}
    assert virtual_loop.time() == pytest.approx(3.1)


def test_the_progress_is_told(virtual_loop):
    """How far it is in seconds, and what has happened in words."""
    told = []

    class Listening:
        def update(self, done, note):
            told.append((round(done, 3), note()))

    virtual_loop.run_until_complete(
        generator(virtual_loop, OneAtATime(0.04), progress=Listening()).run([Phase(duration=0.35, rate=10)], Metronome())
    )
    assert told == [
        (0.0, "0 answered, 0 in flight, 0 failed"),
        (0.1, "0 answered, 1 in flight, 0 failed"),
        (0.2, "1 answered, 1 in flight, 0 failed"),
    ]


def test_a_fault_of_the_program_is_not_an_outcome(virtual_loop):
    """It ends the run."""

    class Faulty:
        async def send(self, request):
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        virtual_loop.run_until_complete(generator(virtual_loop, Faulty()).run([Phase(duration=0.25, rate=10)], Metronome()))
