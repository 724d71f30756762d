"""The queue between callers and the worker; the tests play the worker, on this thread where nothing has to wait."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from service.batching import Answered, BatchRun, Dispatch, MicroBatcher
from service.errors import DeadlineExceeded, ErrorType, InferenceRefused, ModelError, ModelPoisoned, Overloaded

FAR = 1e6


class ManualClock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def shout(_batch_id: str, items: Sequence[str]) -> list[str]:
    return [item.upper() for item in items]


def batcher_of(
    process: Callable[[str, Sequence[str]], Sequence[str]] = shout,
    *,
    clock: Callable[[], float] | None = None,
    size: int = 4,
    delay: float = 0.0,
    room: int = 100,
    runs: list[BatchRun[str, str]] | None = None,
    opened: bool = True,
) -> MicroBatcher[str, str]:
    counter = itertools.count(1)
    batcher = MicroBatcher(
        process,
        max_batch_size=size,
        max_queue_delay=delay,
        max_queue_size=room,
        new_batch_id=lambda: f"batch-{next(counter)}",
        clock=clock or ManualClock(),
        on_end=(runs if runs is not None else []).append,
    )
    if opened:
        batcher.open(asyncio.get_running_loop())
    return batcher


def run_next(batcher: MicroBatcher[str, str]) -> bool:
    """Do what the worker does, once."""
    batch = batcher.take()
    assert batch is not None
    return batcher.run(batch)


async def failure_of(ticket) -> InferenceRefused:
    with pytest.raises(InferenceRefused) as caught:
        await asyncio.wait_for(ticket.answer(), 5)
    return caught.value


async def test_an_answer_comes_with_its_batch_and_its_moments():
    """One item, alone in its batch."""
    clock = ManualClock()
    batcher = batcher_of(clock=clock)
    ticket = batcher.submit("a", size=1, deadline=FAR)
    clock.now += 2
    batch = batcher.take()
    clock.now += 3
    assert batcher.run(batch) is True
    expected = Answered(output="A", batch_id="batch-1", batch_size=1, enqueued_at=1000.0, dispatched_at=1002.0, completed_at=1005.0)
    assert expected == await ticket.answer()
    assert Dispatch(batch_id="batch-1", batch_size=1, dispatched_at=1002.0) == ticket.dispatch


async def test_each_gets_its_own_output():
    """Whatever the order within the batch."""
    batcher = batcher_of(size=3)
    tickets = {word: batcher.submit(word, size=len(word), deadline=FAR) for word in ("a", "eeeee", "bb", "dddd", "ccc")}
    run_next(batcher)
    run_next(batcher)
    answers = {word: await ticket.answer() for word, ticket in tickets.items()}
    assert {word: word.upper() for word in tickets} == {word: answer.output for word, answer in answers.items()}
    assert {word: answer.batch_size for word, answer in answers.items()} == {"a": 3, "bb": 3, "ccc": 3, "dddd": 2, "eeeee": 2}


async def test_the_loop_is_called_once_per_batch():
    """Not once per item."""
    loop = asyncio.get_running_loop()
    calls = []
    real = loop.call_soon_threadsafe
    loop.call_soon_threadsafe = lambda *args: calls.append(args) or real(*args)
    batcher = batcher_of()
    tickets = [batcher.submit(word, size=1, deadline=FAR) for word in "abcd"]
    run_next(batcher)
    await asyncio.gather(*(ticket.answer() for ticket in tickets))
    assert len(calls) == 1


async def test_before_it_is_opened_nothing_is_taken():
    """The model is not warm yet; a retry may succeed."""
    batcher = batcher_of(opened=False)
    with pytest.raises(Overloaded) as caught:
        batcher.submit("a", size=1, deadline=FAR)
    assert (caught.value.error_type, caught.value.retry_after, batcher.accepting) == (ErrorType.NOT_READY, 1.0, False)


async def test_one_more_than_the_room_is_refused():
    """At once, and what waits keeps its place."""
    batcher = batcher_of(room=2)
    for word in "ab":
        batcher.submit(word, size=1, deadline=FAR)
    with pytest.raises(Overloaded) as caught:
        batcher.submit("c", size=1, deadline=FAR)
    assert (caught.value.error_type, caught.value.retry_after, batcher.depth) == (ErrorType.QUEUE_FULL, 1.0, 2)


@pytest.mark.parametrize(("run_seconds", "retry_after"), [(2.0, 4.0), (0.001, 0.1), (1000.0, 60.0)])
async def test_the_refusal_estimates_when_the_queue_is_empty(run_seconds, retry_after):
    """Four entries in batches of two, at the pace of the last runs, between 0.1 and 60 seconds."""
    clock = ManualClock()
    batcher = batcher_of(clock=clock, size=2, room=4)
    batcher.submit("warm", size=1, deadline=FAR)
    batch = batcher.take()
    clock.now += run_seconds
    batcher.run(batch)
    for word in "abcd":
        batcher.submit(word, size=1, deadline=FAR)
    with pytest.raises(Overloaded) as caught:
        batcher.submit("e", size=1, deadline=FAR)
    assert retry_after == pytest.approx(caught.value.retry_after)


async def test_the_pace_follows_the_runs():
    """A run of 10 s after one of 1 s moves the mean to 2.8 s."""
    clock = ManualClock()
    batcher = batcher_of(clock=clock, size=1, room=1)
    for seconds in (1.0, 10.0):
        batcher.submit("a", size=1, deadline=FAR)
        batch = batcher.take()
        clock.now += seconds
        batcher.run(batch)
    batcher.submit("a", size=1, deadline=FAR)
    with pytest.raises(Overloaded) as caught:
        batcher.submit("b", size=1, deadline=FAR)
    assert pytest.approx(caught.value.retry_after) == 2.8


async def test_a_deadline_that_has_passed_is_not_queued():
    """The time was lost before, in reading the body for example."""
    batcher = batcher_of()
    with pytest.raises(DeadlineExceeded):
        batcher.submit("a", size=1, deadline=1000.0)
    assert batcher.depth == 0


async def test_the_deadline_removes_what_waits():
    """It never runs, and knows no batch."""
    batcher = batcher_of()
    ticket = batcher.submit("a", size=1, deadline=1000.01)
    assert ErrorType.DEADLINE_EXCEEDED is (await failure_of(ticket)).error_type
    assert (batcher.depth, ticket.dispatch) == (0, None)


async def test_the_deadline_ends_what_runs():
    """It knows its batch; the answer that comes later is dropped, and the others of the batch get theirs."""
    batcher = batcher_of()
    hasty = batcher.submit("a", size=1, deadline=1000.01)
    patient = batcher.submit("b", size=1, deadline=FAR)
    batch = batcher.take()
    assert ErrorType.DEADLINE_EXCEEDED is (await failure_of(hasty)).error_type
    batcher.run(batch)
    assert (await patient.answer()).output == "B"
    assert Dispatch(batch_id="batch-1", batch_size=2, dispatched_at=1000.0) == hasty.dispatch


async def test_what_expired_is_skipped_though_the_loop_is_late():
    """Its timer has not fired yet, since the loop was busy; running it would be for nobody."""
    clock = ManualClock()
    batcher = batcher_of(clock=clock)
    late = batcher.submit("a", size=1, deadline=1000.01)
    batcher.submit("b", size=1, deadline=FAR)
    clock.now += 1
    assert batcher.take().items == ("b",)
    assert ErrorType.DEADLINE_EXCEEDED is (await failure_of(late)).error_type


async def test_a_queue_of_the_expired_makes_no_batch():
    """The worker goes on waiting, and takes the next that comes."""
    clock = ManualClock()
    batcher = batcher_of(clock=clock)
    late = batcher.submit("a", size=1, deadline=1000.01)
    clock.now += 1
    taking = asyncio.create_task(asyncio.to_thread(batcher.take))
    assert ErrorType.DEADLINE_EXCEEDED is (await failure_of(late)).error_type
    batcher.submit("b", size=1, deadline=FAR)
    assert (await asyncio.wait_for(taking, 5)).items == ("b",)


async def test_an_abandoned_entry_never_runs():
    """It leaves the queue at once."""
    batcher = batcher_of()
    gone = batcher.submit("a", size=1, deadline=FAR)
    batcher.submit("b", size=1, deadline=FAR)
    gone.abandon()
    assert batcher.depth == 1
    assert batcher.take().items == ("b",)
    assert gone.dispatch is None


async def test_a_cancelled_caller_leaves_the_queue():
    """By the cancellation alone."""
    batcher = batcher_of()
    caller = asyncio.create_task(batcher.submit("a", size=1, deadline=FAR).answer())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    assert batcher.depth == 0


async def test_a_model_that_raises_fails_its_batch_only():
    """Each caller gets an error of its own with the same cause; the next batch is answered."""
    boom = ValueError("浙江省")

    def process(_batch_id, items):
        if "bad" in items:
            raise boom
        return shout(_batch_id, items)

    runs: list[BatchRun[str, str]] = []
    batcher = batcher_of(process, runs=runs)
    failing = [batcher.submit(word, size=1, deadline=FAR) for word in ("bad", "x")]
    assert run_next(batcher) is True
    good = batcher.submit("good", size=1, deadline=FAR)
    run_next(batcher)
    first, second = [await failure_of(ticket) for ticket in failing]
    assert (first.error_type, second.error_type) == (ErrorType.MODEL_FAILED, ErrorType.MODEL_FAILED)
    assert first is not second
    assert first.__cause__ is second.__cause__ is boom
    assert "浙江" not in str(first)
    assert (await good.answer()).output == "GOOD"
    assert [tuple(run.outputs) for run in runs] == [(), ("GOOD",)]


@pytest.mark.parametrize("outputs", [[], ["A"], ["A", "B", "C"]])
async def test_a_wrong_number_of_outputs_fails_the_batch(outputs):
    """Nobody could say whose output is whose."""
    batcher = batcher_of(lambda _id, _items: outputs)
    tickets = [batcher.submit(word, size=1, deadline=FAR) for word in "ab"]
    run_next(batcher)
    assert [(await failure_of(ticket)).error_type for ticket in tickets] == [ErrorType.INVALID_OUTPUT] * 2


@pytest.mark.parametrize(
    ("raised", "error_type"),
    [
        (ModelError(ErrorType.INVALID_OUTPUT), ErrorType.INVALID_OUTPUT),
        (ModelError(ErrorType.MODEL_FAILED), ErrorType.MODEL_FAILED),
        (ModelError(ErrorType.WORKER_STUCK), ErrorType.MODEL_FAILED),
        (Overloaded(ErrorType.QUEUE_FULL), ErrorType.MODEL_FAILED),
        (TimeoutError(), ErrorType.MODEL_FAILED),
    ],
)
async def test_what_a_model_may_say_of_itself(raised, error_type):
    """Its own `invalid_output` stands; the rest of the list is not for a model to claim."""

    def process(_batch_id, _items):
        raise raised

    batcher = batcher_of(process)
    ticket = batcher.submit("a", size=1, deadline=FAR)
    assert run_next(batcher) is True
    assert error_type is (await failure_of(ticket)).error_type


async def test_none_instead_of_outputs_is_a_failed_model():
    """With the exception that came of it as the cause."""
    batcher = batcher_of(lambda _id, _items: None)
    ticket = batcher.submit("a", size=1, deadline=FAR)
    run_next(batcher)
    error = await failure_of(ticket)
    assert (ErrorType.MODEL_FAILED, TypeError) == (error.error_type, type(error.__cause__))


async def test_a_poisoned_device_fails_the_batch_and_is_passed_on():
    """The worker has to know; callers see the cause the model gave."""
    cause = RuntimeError("CUDA error")

    def process(_batch_id, _items):
        raise ModelPoisoned(ErrorType.DEVICE_FAILED) from cause

    batcher = batcher_of(process)
    ticket = batcher.submit("a", size=1, deadline=FAR)
    with pytest.raises(ModelPoisoned):
        run_next(batcher)
    error = await failure_of(ticket)
    assert (ErrorType.DEVICE_FAILED, ModelPoisoned, cause) == (error.error_type, type(error), error.__cause__)


@pytest.mark.parametrize("fatal", [SystemExit(3), MemoryError(), KeyboardInterrupt(), GeneratorExit()])
async def test_what_no_worker_survives_fails_the_batch_and_is_passed_on(fatal):
    """Out of memory is such a case: the thread and its frames shall go."""

    def process(_batch_id, _items):
        raise fatal

    batcher = batcher_of(process)
    ticket = batcher.submit("a", size=1, deadline=FAR)
    with pytest.raises(type(fatal)):
        run_next(batcher)
    error = await failure_of(ticket)
    assert (ErrorType.WORKER_DIED, fatal) == (error.error_type, error.__cause__)


async def test_a_batch_that_was_given_up_ends_once():
    """Its worker is told so when it comes back, and what it brings is dropped."""
    runs: list[BatchRun[str, str]] = []
    batcher = batcher_of(runs=runs)
    ticket = batcher.submit("a", size=1, deadline=FAR)
    batch = batcher.take()
    assert batcher.running is batch
    assert batcher.give_up(batch, ModelError(ErrorType.WORKER_STUCK)) is True
    assert batcher.running is None
    assert batcher.run(batch) is False
    assert batcher.give_up(batch, ModelError(ErrorType.WORKER_STUCK)) is False
    assert ErrorType.WORKER_STUCK is (await failure_of(ticket)).error_type
    assert [run.failure.error_type for run in runs] == [ErrorType.WORKER_STUCK]


async def test_a_late_fatal_error_of_a_batch_that_was_given_up_is_dropped():
    """Its worker has been replaced already."""

    def process(_batch_id, _items):
        raise SystemExit

    batcher = batcher_of(process)
    ticket = batcher.submit("a", size=1, deadline=FAR)
    batch = batcher.take()
    batcher.give_up(batch, ModelError(ErrorType.WORKER_STUCK))
    assert batcher.run(batch) is False
    assert ErrorType.WORKER_STUCK is (await failure_of(ticket)).error_type


async def test_the_end_of_a_run_is_told_before_any_ticket_ends():
    """So that a batch is in telemetry before any of its inferences is."""
    clock = ManualClock()
    seen: list[tuple[BatchRun[str, str], bool]] = []
    batcher = MicroBatcher(
        shout,
        max_batch_size=4,
        max_queue_delay=0,
        max_queue_size=4,
        new_batch_id=lambda: "b",
        clock=clock,
        on_end=lambda run: seen.append((run, caller.done())),
    )
    batcher.open(asyncio.get_running_loop())
    caller = asyncio.create_task(batcher.submit("a", size=1, deadline=FAR).answer())
    await asyncio.sleep(0)
    batch = batcher.take()
    clock.now += 1
    await asyncio.to_thread(batcher.run, batch)
    await caller
    assert [(BatchRun(batch_id="b", items=("a",), dispatched_at=1000.0, completed_at=1001.0, outputs=["A"]), False)] == seen


async def test_answers_arrive_even_if_telling_the_end_fails():
    """A bug in telemetry must not cost a caller its answer; it is raised on the worker's thread."""
    batcher = MicroBatcher(shout, max_batch_size=4, max_queue_delay=0, max_queue_size=4, new_batch_id=lambda: "b", on_end=lambda _: 1 / 0)
    batcher.open(asyncio.get_running_loop())
    ticket = batcher.submit("a", size=1, deadline=time.monotonic() + 60)
    with pytest.raises(ZeroDivisionError):
        run_next(batcher)
    assert (await ticket.answer()).output == "A"


async def test_no_entry_is_lost_when_no_batch_id_can_be_made():
    """The queue is as it was."""
    ids = iter([ValueError("no entropy"), "b"])

    def new_batch_id() -> str:
        value = next(ids)
        if isinstance(value, Exception):
            raise value
        return value

    batcher = MicroBatcher(shout, max_batch_size=4, max_queue_delay=0, max_queue_size=4, new_batch_id=new_batch_id)
    batcher.open(asyncio.get_running_loop())
    ticket = batcher.submit("a", size=1, deadline=time.monotonic() + 60)
    with pytest.raises(ValueError, match="no entropy"):
        batcher.take()
    assert batcher.depth == 1
    run_next(batcher)
    assert (await ticket.answer()).output == "A"


async def waiting_in(batcher: MicroBatcher[str, str]) -> None:
    """Wait until the thread in `take` waits for a notification."""
    async with asyncio.timeout(5):
        while not batcher._changed._waiters:
            await asyncio.sleep(0.001)


async def test_an_idle_worker_wakes_for_the_first_entry():
    """At once; without a delay nothing else is waited for."""
    batcher = batcher_of()
    taking = asyncio.create_task(asyncio.to_thread(batcher.take))
    await waiting_in(batcher)
    batcher.submit("a", size=1, deadline=FAR)
    batch = await asyncio.wait_for(taking, 5)
    assert batch.items == ("a",)


async def test_a_delay_gathers_what_comes_within_it():
    """The window opens with the oldest entry."""
    batcher = batcher_of(clock=time.monotonic, delay=0.05)
    deadline = time.monotonic() + 60
    started = time.monotonic()
    batcher.submit("a", size=1, deadline=deadline)
    taking = asyncio.create_task(asyncio.to_thread(batcher.take))
    await asyncio.sleep(0)
    batcher.submit("b", size=1, deadline=deadline)
    batch = await asyncio.wait_for(taking, 5)
    assert batch.items == ("a", "b")
    assert batch.dispatch.dispatched_at - started >= 0.05


async def test_a_full_batch_does_not_wait_for_the_delay():
    """The delay is an hour, the batch goes when the third has come; the second alone does not wake the worker."""
    batcher = batcher_of(delay=3600.0, size=3)
    taking = asyncio.create_task(asyncio.to_thread(batcher.take))
    await waiting_in(batcher)
    batcher.submit("a", size=1, deadline=FAR)
    await waiting_in(batcher)
    batcher.submit("b", size=1, deadline=FAR)
    assert batcher._changed._waiters
    batcher.submit("c", size=1, deadline=FAR)
    assert (await asyncio.wait_for(taking, 5)).items == ("a", "b", "c")


async def test_what_has_waited_its_delay_goes_at_once():
    """It waited while the worker was busy."""
    clock = ManualClock()
    batcher = batcher_of(clock=clock, delay=5.0)
    batcher.submit("a", size=1, deadline=FAR)
    clock.now += 5
    assert batcher.take().items == ("a",)


async def test_closing_finishes_what_is_in_flight():
    """Nothing new is taken, what is here is answered, then the worker is sent home."""
    batcher = batcher_of(clock=time.monotonic, delay=3600.0)
    ticket = batcher.submit("a", size=1, deadline=time.monotonic() + 60)
    closing = asyncio.create_task(batcher.close(30))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        batcher.submit("b", size=1, deadline=time.monotonic() + 60)
    assert ErrorType.SHUTTING_DOWN is caught.value.error_type
    await asyncio.to_thread(run_next, batcher)
    assert (await ticket.answer()).output == "A"
    await asyncio.wait_for(closing, 5)
    assert batcher.take() is None


async def test_closing_ends_what_does_not_finish_in_time():
    """Both what runs and what waits; the worker's late answer is dropped."""
    runs: list[BatchRun[str, str]] = []
    batcher = batcher_of(size=1, runs=runs)
    tickets = [batcher.submit(word, size=1, deadline=FAR) for word in "ab"]
    batch = batcher.take()
    await batcher.close(0.01)
    assert [(await failure_of(ticket)).error_type for ticket in tickets] == [ErrorType.SHUTTING_DOWN] * 2
    assert batcher.run(batch) is False
    assert [run.items for run in runs] == [("a",)]


async def test_closing_twice_or_unopened_is_harmless():
    """And a queue that was closed before the model was warm stays closed."""
    batcher = batcher_of(opened=False)
    await asyncio.gather(batcher.close(1), batcher.close(1))
    batcher.open(asyncio.get_running_loop())
    assert (batcher.take(), batcher.accepting) == (None, False)


async def test_two_who_close_wait_for_the_same_tickets():
    """Neither comes back before they have ended."""
    batcher = batcher_of()
    ticket = batcher.submit("a", size=1, deadline=FAR)
    closing = asyncio.gather(batcher.close(30), batcher.close(30))
    await asyncio.sleep(0)
    run_next(batcher)
    assert (await ticket.answer()).output == "A"
    assert await asyncio.wait_for(closing, 5) == [None, None]


async def test_closing_waits_for_those_who_leave_too():
    """An abandoned ticket is no longer waited for."""
    batcher = batcher_of()
    ticket = batcher.submit("a", size=1, deadline=FAR)
    closing = asyncio.create_task(batcher.close(30))
    await asyncio.sleep(0)
    ticket.abandon()
    await asyncio.wait_for(closing, 5)


async def test_shutting_wakes_a_worker_that_waits():
    """Whether it waits for an entry or for a fuller batch."""
    for delay in (0.0, 3600.0):
        batcher = batcher_of(delay=delay)
        if delay:
            batcher.submit("a", size=1, deadline=FAR)
        taking = asyncio.create_task(asyncio.to_thread(batcher.take))
        await asyncio.sleep(0)
        batcher.shut(ModelError(ErrorType.WORKER_DIED))
        assert await asyncio.wait_for(taking, 5) is None


def test_a_batch_that_ends_after_its_loop_is_harmless():
    """Nobody waits any more."""

    async def submit() -> MicroBatcher[str, str]:
        batcher = batcher_of()
        batcher.submit("a", size=1, deadline=FAR)
        return batcher

    batcher = asyncio.run(submit())
    assert run_next(batcher) is True


async def test_an_idle_worker_uses_no_cpu():
    """It waits for a notification, not in turns: after a third of a second it has used under 10 ms."""
    batcher = batcher_of()
    used: list[float] = []
    over = threading.Event()

    def worker() -> None:
        batcher.take()
        used.append(time.thread_time())
        over.set()

    threading.Thread(target=worker, daemon=True).start()
    assert not await asyncio.to_thread(over.wait, 0.3)
    batcher.shut(ModelError(ErrorType.WORKER_DIED))
    await asyncio.to_thread(over.wait, 5)
    assert used[0] < 0.01
