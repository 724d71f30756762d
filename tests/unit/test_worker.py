"""Every fate of the worker, with real threads."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from service.batching import MicroBatcher
from service.errors import ErrorType, InferenceRefused, ModelError, ModelPoisoned, Overloaded
from service.worker import ModelWorker


class ShiftedClock:
    """The monotonic clock, and what a test adds to it."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.shift


class Scene:
    """A worker on a queue, and what it said. `process` may be replaced while it runs."""

    def __init__(self, *, stuck_after: float = 60.0, size: int = 1, prepare: Callable[[], object] = lambda: None, **options) -> None:
        self.clock = ShiftedClock()
        self.process: Callable[[Sequence[str]], Sequence[str]] = lambda items: [item.upper() for item in items]
        self.threads: list[str] = []
        self.restarts: list[str] = []
        self.fatal: list[tuple[str, int]] = []
        self.ready = threading.Event()
        self._prepare = prepare
        counter = itertools.count(1)
        self.batcher: MicroBatcher[str, str] = MicroBatcher(
            self._run,
            max_batch_size=size,
            max_queue_delay=0,
            max_queue_size=1000,
            new_batch_id=lambda: str(next(counter)),
            clock=self.clock,
            on_end=options.pop("on_end", lambda _: None),
        )
        self.worker = ModelWorker(
            self.batcher,
            prepare=self._first,
            stuck_after=stuck_after,
            on_restart=self.restarts.append,
            on_fatal=lambda reason, code: self.fatal.append((reason, code)),
            clock=self.clock,
            **options,
        )
        self._loop = asyncio.get_running_loop()

    def _first(self) -> None:
        self._prepare()
        self.batcher.open(self._loop)
        self.ready.set()

    def _run(self, _batch_id: str, items: Sequence[str]) -> Sequence[str]:
        self.threads.append(threading.current_thread().name + str(threading.get_ident()))
        return self.process(items)

    async def start(self) -> None:
        self.worker.start()
        assert await asyncio.to_thread(self.ready.wait, 5)

    def submit(self, word: str = "a"):
        return self.batcher.submit(word, size=1, deadline=self.clock() + 60)

    async def ask(self, word: str = "a") -> str:
        return (await asyncio.wait_for(self.submit(word).answer(), 10)).output

    async def failure(self, ticket=None) -> InferenceRefused:
        with pytest.raises(InferenceRefused) as caught:
            await asyncio.wait_for((ticket or self.submit()).answer(), 10)
        return caught.value


@pytest.fixture
async def scenes():
    """Makes scenes, and ends their threads."""
    made: list[Scene] = []

    def make(**options) -> Scene:
        made.append(Scene(**options))
        return made[-1]

    yield make
    for scene in made:
        scene.batcher.shut(Overloaded(ErrorType.SHUTTING_DOWN))
        await asyncio.to_thread(scene.worker.stop, 5)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def dies(error: BaseException) -> Callable[[Sequence[str]], Sequence[str]]:
    def process(_items: Sequence[str]) -> Sequence[str]:
        raise error

    return process


async def test_it_prepares_once_and_then_serves(scenes):
    """On one thread, which is not the loop's."""
    prepared = []
    scene = scenes(prepare=lambda: prepared.append(threading.get_ident()))
    await scene.start()
    assert [await scene.ask("a"), await scene.ask("b")] == ["A", "B"]
    assert len(prepared) == 1
    assert {f"mgeo-worker{prepared[0]}"} == set(scene.threads)
    assert prepared[0] != threading.get_ident()
    assert (scene.restarts, scene.fatal, scene.worker.fatal_reason) == ([], [], "")


async def test_a_model_that_raises_leaves_the_worker_alive(scenes):
    """Its batch fails, its thread goes on."""
    scene = scenes()
    await scene.start()
    scene.process = dies(ValueError())
    assert ErrorType.MODEL_FAILED is (await scene.failure()).error_type
    scene.process = lambda items: items
    await scene.ask()
    assert (len(set(scene.threads)), scene.restarts, scene.worker.deaths) == (1, [], 0)


@pytest.mark.parametrize("error", [SystemExit(1), MemoryError(), KeyboardInterrupt()])
async def test_a_worker_that_dies_is_restarted(scenes, error):
    """Its batch ends as `worker_died`, what waits is answered by the next."""
    scene = scenes()
    await scene.start()
    scene.process = dies(error)
    assert ErrorType.WORKER_DIED is (await scene.failure()).error_type
    await until(lambda: scene.restarts == ["died"])
    scene.process = lambda items: items
    assert await scene.ask("b") == "b"
    assert (scene.worker.deaths, scene.fatal, scene.worker.fatal_reason) == (1, [], "")


async def test_a_worker_that_keeps_dying_ends_the_process(scenes):
    """The sixth death within a minute; everything that waits ends, and nothing more is taken."""
    scene = scenes()
    scene.process = dies(SystemExit())
    await scene.start()
    tickets = [scene.submit() for _ in range(9)]
    assert [(await scene.failure(ticket)).error_type for ticket in tickets] == [ErrorType.WORKER_DIED] * 9
    await until(lambda: scene.fatal)
    assert scene.fatal == [("the model worker died 6 times within 60 s, last of SystemExit", 72)]
    await until(lambda: scene.restarts == ["died"] * 5)
    assert (scene.worker.deaths, len(scene.threads)) == (6, 6)
    with pytest.raises(Overloaded) as caught:
        scene.submit()
    assert ErrorType.SHUTTING_DOWN is caught.value.error_type


async def test_deaths_far_apart_are_no_reason_to_end(scenes):
    """Ten deaths, thirteen seconds apart: at most five within a minute."""
    scene = scenes()
    await scene.start()
    scene.process = dies(SystemExit())
    for number in range(1, 11):
        await scene.failure()
        await until(lambda number=number: len(scene.restarts) == number)
        scene.clock.shift += 13
    assert (scene.fatal, scene.worker.deaths) == ([], 10)


async def test_a_bug_outside_the_model_restarts_the_worker_too(scenes):
    """Whatever ends the thread, another takes its place; the answers of the batch arrive."""
    ended = []
    scene = scenes(on_end=lambda run: ended.append(run) or (1 / 0 if len(ended) == 1 else None))
    await scene.start()
    assert [await scene.ask("a"), await scene.ask("b")] == ["A", "B"]
    await until(lambda: scene.restarts == ["died"])
    assert scene.worker.deaths == 1


async def test_a_batch_its_worker_left_behind_ends(scenes):
    """The thread ended between taking a batch and running it."""
    scene = scenes()
    scene.batcher.open(asyncio.get_running_loop())
    ticket = scene.submit()
    assert scene.batcher.take() is not None
    scene.worker._died("SomeError")
    assert ErrorType.WORKER_DIED is (await scene.failure(ticket)).error_type
    assert scene.restarts == ["died"]


async def test_a_stuck_worker_is_replaced(scenes):
    """Its batch ends as `worker_stuck`; the next is answered although the first still hangs, whose answer is dropped later."""
    release = threading.Event()
    scene = scenes(stuck_after=0.05)
    await scene.start()
    scene.process = lambda items: items if items != ("stuck",) else release.wait(10) and items
    started = time.monotonic()
    stuck, next_one = scene.submit("stuck"), scene.submit("next")
    assert ErrorType.WORKER_STUCK is (await scene.failure(stuck)).error_type
    assert time.monotonic() - started >= 0.05
    assert (await asyncio.wait_for(next_one.answer(), 5)).output == "next"
    await until(lambda: scene.restarts == ["stuck"])
    assert (scene.fatal, scene.worker.stuck, scene.worker.late) == ([], 1, 0)
    release.set()
    await until(lambda: scene.worker.late == 1)
    assert (await scene.ask("again"), len(set(scene.threads))) == ("again", 2)


async def test_the_watchdog_looks_when_a_batch_could_be_stuck_first(scenes):
    """A batch that runs for 20 of 60 seconds has 40 left; while nothing runs, nothing can be stuck for a whole limit."""
    scene = scenes(stuck_after=60.0)
    scene.batcher.open(asyncio.get_running_loop())
    assert pytest.approx(scene.worker._time_to_look(), abs=5) == 60.0
    scene.submit()
    scene.batcher.take()
    scene.clock.shift += 20
    assert pytest.approx(scene.worker._time_to_look(), abs=5) == 40.0
    scene.clock.shift += 50
    assert scene.worker._time_to_look() == 0.0


async def test_a_second_stuck_worker_ends_the_process(scenes):
    """Within ten minutes; what waits ends as `worker_stuck` too."""
    release = threading.Event()
    scene = scenes(stuck_after=0.03)
    scene.process = lambda items: release.wait(10) and items
    await scene.start()
    tickets = [scene.submit() for _ in range(4)]
    assert [(await scene.failure(ticket)).error_type for ticket in tickets] == [ErrorType.WORKER_STUCK] * 4
    await until(lambda: scene.fatal)
    assert scene.fatal == [("the model worker was stuck twice within 600 s (a batch ran over 0.03 s)", 70)]
    assert (scene.restarts, scene.worker.stuck) == (["stuck"], 2)
    assert scene.fatal[0][0] == scene.worker.fatal_reason
    release.set()


async def test_a_second_stuck_worker_after_ten_minutes_is_replaced_again(scenes):
    """The first is forgotten by then."""
    release = threading.Event()
    scene = scenes(stuck_after=0.03)
    scene.process = lambda items: release.wait(10) and items
    await scene.start()
    await scene.failure()
    await until(lambda: scene.restarts == ["stuck"])
    scene.clock.shift += 601
    await scene.failure()
    await until(lambda: scene.restarts == ["stuck", "stuck"])
    assert (scene.fatal, scene.worker.stuck) == ([], 2)
    release.set()


async def test_a_batch_that_ends_in_the_last_moment_is_not_stuck(scenes):
    """The watchdog had it in sight, but the worker was quicker."""
    scene = scenes()
    scene.batcher.open(asyncio.get_running_loop())
    ticket = scene.submit()
    batch = scene.batcher.take()
    scene.batcher.run(batch)
    scene.worker._abandon(batch)
    assert (await ticket.answer()).output == "A"
    assert (scene.restarts, scene.worker.stuck) == ([], 0)


async def test_a_poisoned_device_ends_the_process(scenes):
    """At once: no other batch could succeed."""
    scene = scenes()
    entered = threading.Event()
    release = threading.Event()

    def process(items: Sequence[str]) -> Sequence[str]:
        entered.set()
        release.wait(10)
        raise ModelPoisoned(ErrorType.DEVICE_FAILED)

    scene.process = process
    await scene.start()
    tickets = [scene.submit() for _ in range(3)]
    release.set()
    assert [(await scene.failure(ticket)).error_type for ticket in tickets] == [ErrorType.DEVICE_FAILED] * 3
    await until(lambda: scene.fatal)
    assert scene.fatal == [("the device failed and cannot be used by this process again", 71)]
    assert (scene.restarts, len(scene.threads)) == ([], 1)


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (RuntimeError("secret"), "the model failed its warm-up (RuntimeError)", 74),
        (SystemExit(), "the model failed its warm-up (SystemExit)", 74),
        (ModelPoisoned(ErrorType.DEVICE_FAILED), "the device failed in the model's warm-up", 71),
    ],
)
async def test_a_failed_warm_up_ends_the_process(scenes, error, reason, code):
    """Nothing is ever taken."""

    def prepare() -> None:
        raise error

    scene = scenes(prepare=prepare)
    scene.worker.start()
    await until(lambda: scene.fatal)
    assert ([(reason, code)], False) == (scene.fatal, scene.batcher.accepting)


@pytest.mark.parametrize(
    ("reason", "code", "said"),
    [
        ("died", 72, "a model worker died and no thread could take its place"),
        ("stuck", 72, "a model worker was stuck and no thread could take its place"),
    ],
)
async def test_a_system_without_threads_ends_the_process(scenes, reason, code, said):
    """Else the queue would fill with nobody to serve it, while everything looked well."""
    release = threading.Event()
    started = []

    def spawn(target: Callable[[], None], name: str) -> threading.Thread:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        thread = threading.Thread(target=target, name=name, daemon=True)
        started.append(thread)
        thread.start()
        return thread

    scene = scenes(stuck_after=0.03, spawn=spawn)
    scene.process = dies(SystemExit()) if reason == "died" else lambda items: release.wait(10) and items
    await scene.start()
    assert reason in (await scene.failure()).error_type
    await until(lambda: scene.fatal)
    assert ([(said, code)], []) == (scene.fatal, scene.restarts)
    release.set()


async def test_the_end_is_told_once(scenes):
    """Even when two reasons for it meet."""
    scene = scenes()
    scene.worker._give_up("first", 71, ErrorType.DEVICE_FAILED)
    scene.worker._give_up("second", 70, ErrorType.WORKER_STUCK)
    assert scene.fatal == [("first", 71)]


async def test_stopping_ends_both_threads(scenes):
    """Once the queue is closed."""
    scene = scenes()
    await scene.start()
    await scene.batcher.close(1)
    assert await asyncio.to_thread(scene.worker.stop, 5) is True
    assert (scene.worker._thread.is_alive(), scene.worker._watchdog.is_alive()) == (False, False)


async def test_stopping_does_not_wait_for_a_model_that_hangs(scenes):
    """It says so instead."""
    release = threading.Event()
    scene = scenes()
    scene.process = lambda items: release.wait(10) and items
    await scene.start()
    ticket = scene.submit()
    await until(lambda: scene.threads)
    await scene.batcher.close(0)
    assert await asyncio.to_thread(scene.worker.stop, 0.01) is False
    assert ErrorType.SHUTTING_DOWN is (await scene.failure(ticket)).error_type
    release.set()


def test_stopping_what_never_started_is_harmless():
    """There is nothing to wait for."""

    async def never_started() -> bool:
        return Scene().worker.stop(1)

    assert asyncio.run(never_started()) is True


async def test_an_idle_watchdog_uses_no_cpu(scenes):
    """It looks once per limit, not in turns."""
    looks = []
    scene = scenes(stuck_after=30.0)
    real = scene.worker._time_to_look
    scene.worker._time_to_look = lambda: looks.append(1) or real()
    await scene.start()
    for word in "abcdefgh":
        await scene.ask(word)
    assert len(looks) == 1


async def test_model_errors_keep_their_type_through_the_worker(scenes):
    """A model's own invalid output is no reason to restart anything."""
    scene = scenes()
    scene.process = dies(ModelError(ErrorType.INVALID_OUTPUT))
    await scene.start()
    assert ErrorType.INVALID_OUTPUT is (await scene.failure()).error_type
    assert scene.restarts == []
