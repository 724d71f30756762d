"""The batcher under any order of events: nothing lost, nothing twice, every ticket ends exactly once.

One thread plays all parts, so that Hypothesis decides every interleaving; the loop's clock is stepped by hand. One more
test lets real threads race.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.batch import BatchRun
from service.batching import MicroBatcher
from service.errors import DeadlineExceeded, ErrorType, InferenceRefused, ModelError, Overloaded

OUTCOMES = st.sampled_from(["right", "right", "right", "too few", "raises"])


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is set by hand, and that runs only what is due."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def step(self) -> None:
        """Run everything that is ready, and what that makes ready, without waiting."""
        for _ in range(6):
            self.call_soon(self.stop)
            self.run_forever()


class BatcherMachine(RuleBasedStateMachine):
    """Callers, a worker that may hang or fail, a clock, and the closing of the queue."""

    @initialize(size=st.integers(1, 4), room=st.integers(1, 8))
    def begin(self, size: int, room: int) -> None:
        self.loop = SteppedLoop()
        self.size, self.room = size, room
        self.numbers = itertools.count()
        self.batch_ids = itertools.count()
        self.outcome = "right"
        self.runs: list[BatchRun[int, int]] = []
        self.batcher: MicroBatcher[int, int] = MicroBatcher(
            self.process,
            max_batch_size=size,
            max_queue_delay=0,
            max_queue_size=room,
            new_batch_id=lambda: str(next(self.batch_ids)),
            clock=self.loop.time,
            on_end=self.runs.append,
        )
        self.batcher.open(self.loop)
        self.callers: dict[int, asyncio.Task[object]] = {}
        self.tickets = {}
        self.lengths: dict[int, int] = {}
        self.dispatched: list[int] = []
        self.closed = False
        self.hanging: list = []
        self.complaints: list[object] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context))

    def process(self, _batch_id: str, items: tuple[int, ...]) -> list[int]:
        if self.outcome == "raises":
            raise ValueError
        return [-item for item in items][: None if self.outcome == "right" else -1]

    @rule(length=st.integers(1, 3), patience=st.integers(1, 5))
    def submit(self, length: int, patience: int) -> None:
        number = next(self.numbers)
        waiting = self.batcher.depth
        try:
            ticket = self.batcher.submit(number, size=length, deadline=self.loop.now + patience)
        except Overloaded as error:
            reason = error.error_type
        else:
            reason = None
        full = ErrorType.QUEUE_FULL if waiting == self.room else None
        assert reason is (ErrorType.SHUTTING_DOWN if self.closed else full)
        if reason is not None:
            return
        self.tickets[number], self.lengths[number] = ticket, length
        self.callers[number] = self.loop.create_task(ticket.answer())
        self.loop.step()

    @precondition(lambda self: self.callers)
    @rule(data=st.data())
    def cancel_a_caller(self, data: st.DataObject) -> None:
        self.callers[data.draw(st.sampled_from(sorted(self.callers)))].cancel()
        self.loop.step()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def abandon_a_ticket(self, data: st.DataObject) -> None:
        self.tickets[data.draw(st.sampled_from(sorted(self.tickets)))].abandon()
        self.loop.step()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]), loop_runs=st.booleans())
    def time_passes(self, seconds: float, loop_runs: bool) -> None:
        self.loop.now += seconds
        if loop_runs:
            self.loop.step()

    def has_work(self) -> bool:
        return self.batcher.running is None and any(
            ticket.dispatch is None and not self.callers[number].done() and ticket.deadline > self.loop.now
            for number, ticket in self.tickets.items()
        )

    @precondition(lambda self: not self.closed and self.has_work())
    @rule()
    def the_worker_takes_a_batch(self) -> None:
        oldest = min(number for number, ticket in self.tickets.items() if self.is_waiting(number, ticket))
        batch = self.batcher.take()
        items = list(batch.items)
        assert 1 <= len(items) <= self.size
        assert items[0] == oldest
        assert len(items) == batch.dispatch.batch_size
        left = [number for number, ticket in self.tickets.items() if self.is_waiting(number, ticket)]
        for length in (1, 2, 3):
            taken = [number for number in items if self.lengths[number] == length]
            assert all(other > max(taken) for other in left if taken and self.lengths[other] == length)
        self.dispatched += items
        self.hanging.append(batch)

    def is_waiting(self, number: int, ticket) -> bool:
        return ticket.dispatch is None and not self.callers[number].done() and ticket.deadline > self.loop.now

    @precondition(lambda self: self.hanging)
    @rule(outcome=OUTCOMES, data=st.data())
    def a_worker_comes_back(self, outcome: str, data: st.DataObject) -> None:
        batch = self.hanging.pop(data.draw(st.integers(0, len(self.hanging) - 1)))
        self.outcome = outcome
        current = self.batcher.running is batch
        assert current == self.batcher.run(batch)
        self.loop.step()

    @precondition(lambda self: self.batcher.running is not None)
    @rule()
    def the_watchdog_gives_a_batch_up(self) -> None:
        assert self.batcher.give_up(self.batcher.running, ModelError(ErrorType.WORKER_STUCK))
        self.loop.step()

    # Late, or nearly every run would close before anything has happened.
    @precondition(lambda self: len(self.dispatched) > 5)
    @rule(fatal=st.booleans())
    def the_queue_closes(self, fatal: bool) -> None:
        self.closed = True
        self.batcher.shut(ModelError(ErrorType.WORKER_DIED) if fatal else Overloaded(ErrorType.SHUTTING_DOWN))
        self.loop.step()

    @invariant()
    def no_item_runs_twice(self) -> None:
        if hasattr(self, "loop"):
            assert len(self.dispatched) == len(set(self.dispatched))
            assert self.batcher.depth <= self.room

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.batcher.shut(Overloaded(ErrorType.SHUTTING_DOWN))
        for batch in self.hanging:
            assert self.batcher.run(batch) is False
        self.loop.step()
        batches = [item for run in self.runs for item in run.items]
        assert sorted(self.dispatched) == sorted(batches), "every batch ends exactly once"
        answered = {item: -item for run in self.runs if run.failure is None for item in run.items}
        for number, caller in self.callers.items():
            assert caller.done(), "every ticket ends"
            if caller.cancelled():
                continue
            error = caller.exception()
            if error is None:
                assert answered[number] == caller.result().output
            else:
                assert isinstance(error, InferenceRefused)
                if isinstance(error, DeadlineExceeded):
                    assert self.loop.now >= self.tickets[number].deadline
        assert 0 == self.batcher.depth == self.batcher._open_tickets
        assert self.complaints == []
        self.callers.clear()
        self.loop.close()


BatcherMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


class TestBatcher(BatcherMachine.TestCase):
    """Whatever the order of events, the invariants of `BatcherMachine` hold."""


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 8), delay=st.sampled_from([0.0, 0.0005]))
def test_real_threads_lose_nothing_either(seed, size, delay):
    """A worker on its own thread, callers that come, leave and time out; each ends once, and each answer is the caller's own."""
    chance = random.Random(seed)
    processed: list[int] = []

    def process(_batch_id, items):
        processed.extend(items)
        if sum(items) % 5 == 0:
            raise ValueError
        return [-item for item in items]

    async def scene() -> list[object]:
        counter = itertools.count()
        batcher: MicroBatcher[int, int] = MicroBatcher(
            process, max_batch_size=size, max_queue_delay=delay, max_queue_size=40, new_batch_id=lambda: str(next(counter))
        )
        batcher.open(asyncio.get_running_loop())

        def work() -> None:
            while (batch := batcher.take()) is not None:
                batcher.run(batch)

        worker = threading.Thread(target=work)
        worker.start()
        callers, refusals = [], set()
        for number in range(60):
            patience = chance.choice([0.0003, 30, 30, 30])
            try:
                ticket = batcher.submit(number, size=chance.randint(1, 40), deadline=time.monotonic() + patience)
            except (Overloaded, DeadlineExceeded) as error:
                refusals.add(error.error_type)
                continue
            callers.append((number, asyncio.create_task(ticket.answer())))
            if chance.random() < 0.2:
                await asyncio.sleep(0)
                callers[-1][1].cancel()
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        await batcher.close(30)
        await asyncio.to_thread(worker.join, 10)
        assert not worker.is_alive()
        await asyncio.wait([caller for _, caller in callers], timeout=10)
        assert refusals <= {ErrorType.QUEUE_FULL, ErrorType.DEADLINE_EXCEEDED}
        return callers

    for number, caller in asyncio.run(scene()):
        assert caller.done()
        if not caller.cancelled() and caller.exception() is None:
            assert -number == caller.result().output
    assert len(processed) == len(set(processed))
