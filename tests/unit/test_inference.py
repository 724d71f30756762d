"""One event for every outcome, whatever happens on the way."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable

import pytest

from service.errors import ClientDisconnected, ErrorType, InferenceRefused, InvalidInput, ModelPoisoned, Outcome, Overloaded, StartupError
from service.inference import Call, InferencePipeline
from service.model.base import Scores
from service.model.fake import BAD_OUTPUT, FakeModel
from service.settings import InferenceSettings
from service.telemetry.event import AddressFacts, Answer, BatchMember, CapturedText, Clock, GpuFacts, InferenceEvent, Stage, StageTiming
from service.telemetry.ids import trace_id_of
from service.telemetry.recorder import ListRecorder

GPU = (GpuFacts(id="gpu0", memory_usage=1, memory_limit=2, utilization=0.5, age=0.1),)


class Lengths:
    """A hasher whose hashes can be foretold."""

    def hash(self, cleaned_text: str) -> str:
        return f"hash of {len(cleaned_text)}"


class Gate:
    """Holds the model's thread in `predict` until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        self.opened.wait(10)


class Scene:
    """A pipeline and all it said."""

    def __init__(
        self, model: FakeModel | None = None, *, clock: Clock | None = None, capture: bool = False, hasher=None, **settings
    ) -> None:
        self.model = model or FakeModel()
        self.recorder = ListRecorder()
        self.fatal: list[tuple[str, int]] = []
        self.restarts: list[str] = []
        self.breaker: list[str] = []
        self.clock = clock or Clock()
        counter = itertools.count(1)
        self.pipeline = InferencePipeline(
            self.model,
            self.recorder,
            settings=InferenceSettings(**settings),
            hasher=hasher or Lengths(),
            clock=self.clock,
            gpu_facts=lambda unix_ns: GPU if unix_ns else (),
            capture=capture,
            new_batch_id=lambda: f"batch-{next(counter)}",
            on_fatal=lambda reason, code: self.fatal.append((reason, code)),
            on_restart=self.restarts.append,
            on_breaker=self.breaker.append,
        )

    def call(self, request_id: str = "r1", *, timeout: float | None = None, read: bool = True) -> Call:
        now = self.clock.monotonic()
        return Call(
            request_id=request_id,
            function="match",
            arrived_unix_ns=self.clock.unix_ns(),
            arrived_monotonic=now,
            timeout=timeout,
            read_until=now if read else None,
        )

    def start_asking(self, address1: object = "甲", address2: object = "甲", *, request_id: str = "r1", timeout: float | None = None):
        return asyncio.create_task(self.pipeline.infer(self.call(request_id, timeout=timeout), address1, address2))

    async def ask(
        self, address1: object = "甲", address2: object = "甲", *, request_id: str = "r1", timeout: float | None = None
    ) -> InferenceEvent:
        return await asyncio.wait_for(self.start_asking(address1, address2, request_id=request_id, timeout=timeout), 10)

    async def refusal(self, address1: object = "甲", address2: object = "甲", **options) -> tuple[InferenceRefused, InferenceEvent]:
        """The error a call ends with, and its event."""
        with pytest.raises(InferenceRefused) as caught:
            await self.ask(address1, address2, **options)
        return caught.value, self.recorder.events[-1]


@pytest.fixture
async def scenes():
    """Makes scenes and starts them; at the end, every event that was opened has been recorded once."""
    made: list[Scene] = []

    async def make(*arguments, start: bool = True, **options) -> Scene:
        scene = Scene(*arguments, **options)
        made.append(scene)
        if start:
            await scene.pipeline.start()
        return scene

    yield make
    for scene in made:
        await scene.pipeline.stop(0)
        assert sorted(draft.span_id for draft in scene.recorder.opened) == sorted(event.span_id for event in scene.recorder.events)
        assert scene.pipeline.active == 0


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def stages_of(event: InferenceEvent) -> list[Stage]:
    return [timing.stage for timing in event.stages]


# Success.


async def test_an_answer_fills_the_whole_event(scenes):
    """With clocks that stand still, all of it can be foretold."""
    scene = await scenes(clock=Clock(monotonic=lambda: 50.0, unix_ns=lambda: 7))
    call = Call(request_id="r1", function="match", arrived_unix_ns=5, arrived_monotonic=49.0, read_until=49.25)
    event = await scene.pipeline.infer(call, " 甲乙 ", "甲丙丁")
    assert event == InferenceEvent(
        request_id="r1",
        trace_id=trace_id_of("r1"),
        span_id="0000000000000001",
        parent_span_id=None,
        function="match",
        started_unix_ns=5,
        duration=1.0,
        outcome=Outcome.SUCCESS,
        stages=(
            StageTiming(stage=Stage.READ, offset=0.0, duration=0.25),
            StageTiming(stage=Stage.CLEAN, offset=1.0, duration=0.0),
            StageTiming(stage=Stage.QUEUE, offset=1.0, duration=0.0),
            StageTiming(stage=Stage.TOKENIZE, offset=1.0, duration=pytest.approx(0.001)),
            StageTiming(stage=Stage.INFERENCE, offset=pytest.approx(1.001), duration=pytest.approx(0.002)),
            StageTiming(stage=Stage.DELIVER, offset=1.0, duration=0.0),
        ),
        address1=AddressFacts(length=4, hash="hash of 2"),
        address2=AddressFacts(length=3, hash="hash of 3"),
        truncated=False,
        queue_depth=0,
        batch_id="batch-1",
        batch_size=1,
        model_name="fake",
        model_version="1",
        answer=Answer(label="partial_match", similarity=0.5, not_match=0.1, partial_match=0.8, exact_match=0.1),
        output_length=13,
        gpu=GPU,
    )
    assert [event] == scene.recorder.events


async def test_a_run_is_recorded_before_its_inferences(scenes):
    """Once, with the ids of its members."""
    order: list[str] = []
    scene = await scenes()
    record, record_batch = scene.recorder.record, scene.recorder.record_batch
    scene.recorder.record = lambda event: order.append(event.request_id) or record(event)
    scene.recorder.record_batch = lambda event: order.append(event.batch_id) or record_batch(event)
    event = await scene.ask()
    assert order == ["batch-1", "r1"]
    (run,) = scene.recorder.batches
    assert (BatchMember(request_id="r1", trace_id=event.trace_id, span_id=event.span_id),) == run.members


async def test_what_waits_together_runs_together(scenes):
    """The first runs alone, since nothing is waited for; the rest gathers behind it."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate))
    calls = [scene.start_asking(request_id="r0")]
    await asyncio.to_thread(gate.entered.wait, 5)
    calls += [scene.start_asking(request_id=f"r{number}") for number in range(1, 6)]
    await until(lambda: scene.pipeline.depth == 5)
    gate.opened.set()
    events = await asyncio.gather(*calls)
    assert [event.batch_size for event in events] == [1, 5, 5, 5, 5, 5]
    assert [event.queue_depth for event in events] == [0, 0, 1, 2, 3, 4]
    assert [len(run.members) for run in scene.recorder.batches] == [1, 5]


async def test_a_call_without_a_body_has_no_read_stage(scenes):
    """A row of a file for example."""
    scene = await scenes()
    event = await scene.pipeline.infer(scene.call(read=False), "甲", "甲")
    assert stages_of(event) == [Stage.CLEAN, Stage.QUEUE, Stage.TOKENIZE, Stage.INFERENCE, Stage.DELIVER]


@pytest.mark.parametrize(("length", "model_cuts_over", "truncated"), [(5, 100, False), (11, 100, True), (5, 3, True)])
async def test_truncated_says_whether_anybody_cut(scenes, length, model_cuts_over, truncated):
    """The cleaner or the tokenizer."""
    scene = await scenes(FakeModel(truncate_over=model_cuts_over), max_address_length=10)
    assert truncated is (await scene.ask("甲" * length, "甲")).truncated


async def test_text_is_kept_only_when_asked_for(scenes):
    """As received, also what was cut from it."""
    plain, capturing = await scenes(), await scenes(capture=True)
    assert (await plain.ask(" 甲 ", "乙")).text is None
    assert CapturedText(" 甲 ", "乙") == (await capturing.ask(" 甲 ", "乙")).text


@pytest.mark.parametrize(
    ("address1", "address2", "text"),
    [
        ("甲", None, CapturedText("甲", "")),
        (1, 2, None),
        ("甲\ud800", "乙", CapturedText("甲\\ud800", "乙")),
        ("甲" * 2000, "", CapturedText("甲" * 1000, "")),
    ],
)
async def test_kept_text_can_always_be_written(scenes, address1, address2, text):
    """What is no text is left out, half a surrogate pair is shown by its number, and no more than 1,000 characters are kept."""
    scene = await scenes(capture=True, strict_length=True)
    _, event = await scene.refusal(address1, address2)
    assert text == event.text


# Invalid.


@pytest.mark.parametrize(
    ("address1", "address2", "error_type", "facts"),
    [
        (None, "甲", ErrorType.WRONG_TYPE, (None, AddressFacts(length=1))),
        ("甲", 5, ErrorType.WRONG_TYPE, (AddressFacts(length=1, hash="hash of 1"), None)),
        ("甲\ud800", "甲", ErrorType.INVALID_TEXT, (AddressFacts(length=2), AddressFacts(length=1))),
        ("甲", " \u200b ", ErrorType.EMPTY_ADDRESS, (AddressFacts(length=1, hash="hash of 1"), AddressFacts(length=3))),
        ("甲" * 101, "甲", ErrorType.ADDRESS_TOO_LONG, (AddressFacts(length=101), AddressFacts(length=1))),
    ],
)
async def test_invalid_input_leaves_an_event_with_what_is_known(scenes, address1, address2, error_type, facts):
    """Lengths of what was text, hashes of what could be cleaned; it never reaches the queue."""
    scene = await scenes(strict_length=True)
    error, event = await scene.refusal(address1, address2)
    assert (InvalidInput, error_type) == (type(error), error.error_type)
    assert (Outcome.INVALID, error_type, None, facts) == (
        event.outcome,
        event.error_type,
        event.exception,
        (event.address1, event.address2),
    )
    assert (stages_of(event), event.queue_depth, event.truncated) == ([Stage.READ, Stage.CLEAN], None, None)
    assert list(scene.model.batches) == []
    assert event.gpu == GPU


async def test_invalid_input_is_invalid_even_before_the_model_is_ready(scenes):
    """The same request gets the same answer whenever it comes."""
    scene = await scenes(start=False)
    assert ErrorType.EMPTY_ADDRESS is (await scene.refusal("", "甲"))[0].error_type


# Overloaded.


async def test_before_the_start_a_call_is_not_ready(scenes):
    """A retry may succeed."""
    scene = await scenes(start=False)
    error, event = await scene.refusal()
    assert (Overloaded, ErrorType.NOT_READY, 1.0) == (type(error), error.error_type, error.retry_after)
    assert (event.outcome, stages_of(event), event.batch_id) == (Outcome.OVERLOADED, [Stage.READ, Stage.CLEAN], None)


async def test_a_full_queue_refuses_at_once(scenes):
    """And says how many were waiting."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate), queue_size=2, max_batch_size=2)
    calls = [scene.start_asking()]
    await asyncio.to_thread(gate.entered.wait, 5)
    calls += [scene.start_asking() for _ in range(2)]
    await until(lambda: scene.pipeline.depth == 2)
    error, event = await scene.refusal()
    assert (error.error_type, event.queue_depth) == (ErrorType.QUEUE_FULL, 2)
    gate.opened.set()
    assert {Outcome.SUCCESS} == {event.outcome for event in await asyncio.gather(*calls)}


async def test_a_model_that_keeps_failing_opens_the_breaker(scenes):
    """After three failed runs calls are refused without asking the model; a probe that succeeds lets them in again."""
    shift = [0.0]
    clock = Clock(monotonic=lambda: time.monotonic() + shift[0])
    scene = await scenes(FakeModel(error=ValueError()), clock=clock, breaker_failures=3, breaker_cooldown=60)
    assert [(await scene.refusal())[0].error_type for _ in range(3)] == [ErrorType.MODEL_FAILED] * 3
    error, event = await scene.refusal()
    assert (error.error_type, event.outcome, len(scene.model.batches)) == (ErrorType.BREAKER_OPEN, Outcome.OVERLOADED, 3)
    assert 0 < error.retry_after <= 60
    assert (scene.pipeline.breaker_state, scene.pipeline.ready) == ("open", True)
    shift[0] += 61
    scene.model.error = None
    assert Outcome.SUCCESS is (await scene.ask()).outcome
    assert (scene.breaker, scene.pipeline.breaker_state) == (["open", "closed"], "closed")


async def test_a_probe_that_never_reaches_the_model_makes_room_for_another(scenes):
    """It was not let into the queue, or left it early; without that no other call would ever be let in."""
    shift = [0.0]
    clock = Clock(monotonic=lambda: time.monotonic() + shift[0])
    turns = threading.Semaphore(0)
    model = FakeModel(wait=lambda: turns.acquire(timeout=10), error=ValueError())
    scene = await scenes(model, clock=clock, breaker_failures=1, breaker_cooldown=60, queue_size=9, max_batch_size=1, deadline=600)
    failing = scene.start_asking(request_id="opens the breaker")
    busy = scene.start_asking(request_id="keeps the worker busy")
    await until(lambda: scene.pipeline.depth == 1)
    turns.release()
    await asyncio.wait([failing])
    await until(lambda: len(model.batches) == 2)
    shift[0] += 61
    assert ErrorType.DEADLINE_EXCEEDED is (await scene.refusal(timeout=0.0))[0].error_type
    leaving = scene.start_asking(request_id="leaves the queue")
    await until(lambda: scene.pipeline.depth == 1)
    assert ErrorType.BREAKER_OPEN is (await scene.refusal())[0].error_type
    leaving.cancel()
    await asyncio.wait([leaving])
    probe = scene.start_asking(request_id="is answered")
    await until(lambda: scene.pipeline.depth == 1)
    assert scene.pipeline.breaker_state == "half_open"
    model.error = None
    turns.release(2)
    assert [event.outcome for event in await asyncio.gather(busy, probe)] == [Outcome.SUCCESS] * 2
    assert scene.breaker == ["open", "closed"]


# Timeout.


async def test_the_deadline_removes_a_call_from_the_queue(scenes):
    """It never reaches the model; its queue stage lasts until its end."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate), deadline=0.05)
    blocking = scene.start_asking(request_id="blocking")
    await asyncio.to_thread(gate.entered.wait, 5)
    error, event = await scene.refusal(request_id="waiting")
    assert (error.error_type, event.outcome, event.batch_id) == (ErrorType.DEADLINE_EXCEEDED, Outcome.TIMEOUT, None)
    assert stages_of(event) == [Stage.READ, Stage.CLEAN, Stage.QUEUE]
    assert event.duration >= 0.05
    assert event.stage(Stage.QUEUE) == pytest.approx(event.duration, abs=0.04)
    gate.opened.set()
    await asyncio.wait([blocking])
    await scene.pipeline.stop(5)
    assert len(scene.model.batches) == 1


async def test_a_call_that_times_out_while_it_runs_knows_its_batch(scenes):
    """Whose event tells the rest."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate), deadline=0.05)
    error, event = await scene.refusal()
    assert (error.error_type, event.batch_id, event.batch_size, event.model_name) == (ErrorType.DEADLINE_EXCEEDED, "batch-1", 1, "fake")
    assert list(scene.recorder.batches) == []
    gate.opened.set()
    await until(lambda: scene.recorder.batches)
    assert (scene.recorder.batches[0].batch_id, scene.recorder.batches[0].error_type) == ("batch-1", None)


@pytest.mark.parametrize(("deadline", "timeout"), [(60.0, 0.05), (0.05, 60.0)])
async def test_a_caller_may_only_shorten_the_deadline(scenes, deadline, timeout):
    """The smaller of the two counts, from the arrival."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate), deadline=deadline)
    _, event = await scene.refusal(timeout=timeout)
    assert 0.05 <= event.duration < 5
    gate.opened.set()


async def test_time_that_was_lost_before_counts(scenes):
    """A body that took longer to read than the deadline is not queued."""
    scene = await scenes()
    call = Call(request_id="r1", function="match", arrived_unix_ns=1, arrived_monotonic=time.monotonic() - 11, read_until=time.monotonic())
    with pytest.raises(InferenceRefused) as caught:
        await scene.pipeline.infer(call, "甲", "甲")
    assert ErrorType.DEADLINE_EXCEEDED is caught.value.error_type
    assert stages_of(scene.recorder.events[0]) == [Stage.READ, Stage.CLEAN]


# Cancelled.


@pytest.mark.parametrize("running", [True, False])
async def test_a_client_that_goes_is_an_outcome_of_its_own(scenes, running):
    """While it waits and while it runs; the cancellation goes on."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate))
    calls = [scene.start_asking(request_id="first")]
    await asyncio.to_thread(gate.entered.wait, 5)
    if not running:
        calls.append(scene.start_asking(request_id="second"))
        await until(lambda: scene.pipeline.depth == 1)
    calls[-1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[-1]
    event = scene.recorder.events[-1]
    assert (event.outcome, event.error_type) == (Outcome.CANCELLED, ErrorType.CLIENT_DISCONNECTED)
    assert ("batch-1" if running else None, 0) == (event.batch_id, scene.pipeline.depth)
    gate.opened.set()
    await asyncio.wait(calls)


async def test_a_call_that_is_cancelled_while_stopping_is_our_doing(scenes):
    """The client would have waited."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate))
    call = scene.start_asking()
    await asyncio.to_thread(gate.entered.wait, 5)
    scene.pipeline.stop_accepting()
    call.cancel()
    await asyncio.wait([call])
    assert (scene.recorder.events[0].outcome, scene.recorder.events[0].error_type) == (Outcome.OVERLOADED, ErrorType.SHUTTING_DOWN)
    gate.opened.set()


def test_a_call_whose_loop_ends_leaves_its_event():
    """The coroutine is closed without having been resumed."""

    async def begin() -> tuple[Scene, object]:
        gate = Gate()
        scene = Scene(FakeModel(wait=gate))
        await scene.pipeline.start()
        coroutine = scene.pipeline.infer(scene.call(), "甲", "甲")
        coroutine.send(None)
        coroutine.close()
        gate.opened.set()
        await scene.pipeline.stop(0)
        return scene

    scene = asyncio.run(begin())
    assert [event.error_type for event in scene.recorder.events] == [ErrorType.CLIENT_DISCONNECTED]


# Error.


async def test_a_model_that_raises_leaves_type_and_frames(scenes):
    """Never the message, which may carry an address."""
    scene = await scenes(FakeModel(error=ValueError("浙江省杭州市")))
    error, event = await scene.refusal()
    assert (error.error_type, event.outcome, event.exception.type) == (ErrorType.MODEL_FAILED, Outcome.ERROR, "ValueError")
    assert (event.batch_id, event.answer, event.output_length) == ("batch-1", None, None)
    assert stages_of(event) == [Stage.READ, Stage.CLEAN, Stage.QUEUE]
    assert "浙江" not in f"{event!r}{scene.recorder.batches!r}{error}"
    assert [(run.error_type, run.exception.type) for run in scene.recorder.batches] == [(ErrorType.MODEL_FAILED, "ValueError")]


async def test_bad_scores_are_no_answer(scenes):
    """The stages are known, the answer is none."""
    gate = Gate()
    scene = await scenes(
        FakeModel(
            wait=gate, answer=lambda pair: BAD_OUTPUT if pair.address1 == "坏" else Scores(not_match=1, partial_match=0, exact_match=0)
        )
    )
    first = scene.start_asking()
    await asyncio.to_thread(gate.entered.wait, 5)
    calls = [scene.start_asking("坏", "甲", request_id="bad"), scene.start_asking("好", "甲", request_id="good")]
    await until(lambda: scene.pipeline.depth == 2)
    gate.opened.set()
    await asyncio.wait([first, *calls])
    events = {event.request_id: event for event in scene.recorder.events}
    assert (events["bad"].error_type, events["bad"].answer) == (ErrorType.INVALID_OUTPUT, None)
    assert events["good"].answer.label == "not_match"
    assert {"batch-2"} == {events["good"].batch_id, events["bad"].batch_id}


async def test_a_poisoned_device_is_reported_and_ends_the_pipeline(scenes):
    """Later calls are refused; the reason is there for the readiness check."""
    scene = await scenes(FakeModel(error=ModelPoisoned(ErrorType.DEVICE_FAILED)))
    assert ErrorType.DEVICE_FAILED is (await scene.refusal())[0].error_type
    await until(lambda: scene.fatal)
    assert (scene.fatal[0][1], scene.pipeline.ready) == (71, False)
    assert scene.pipeline.reason == "the device failed and cannot be used by this process again"
    assert ErrorType.SHUTTING_DOWN is (await scene.refusal())[0].error_type


async def test_a_stuck_worker_is_an_error_of_its_own(scenes):
    """Its run is recorded once, though the worker comes back later."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate), stuck_after=0.05)
    assert ErrorType.WORKER_STUCK is (await scene.refusal())[0].error_type
    gate.opened.set()
    await until(lambda: scene.restarts == ["stuck"])
    assert Outcome.SUCCESS is (await scene.ask()).outcome
    assert [run.error_type for run in scene.recorder.batches] == [ErrorType.WORKER_STUCK, None]


async def test_a_dead_worker_is_an_error_of_its_own(scenes):
    """And the next call is answered."""
    scene = await scenes(FakeModel(error=MemoryError()))
    assert ErrorType.WORKER_DIED is (await scene.refusal())[0].error_type
    await until(lambda: scene.restarts == ["died"])
    scene.model.error = None
    assert Outcome.SUCCESS is (await scene.ask()).outcome


async def test_a_bug_of_ours_is_internal(scenes):
    """Chained to what it was, for the log of the process; the event has its type."""

    class Broken:
        def hash(self, _text: str) -> str:
            raise KeyError("浙江省")

    scene = await scenes(hasher=Broken())
    error, event = await scene.refusal()
    assert (InferenceRefused, ErrorType.INTERNAL, KeyError) == (type(error), error.error_type, type(error.__cause__))
    assert (event.outcome, event.error_type, event.exception.type) == (Outcome.ERROR, ErrorType.INTERNAL, "KeyError")
    assert "浙江" not in f"{error}{event!r}"


async def test_even_what_ends_the_process_leaves_an_event(scenes):
    """An exit in the middle of a call passes through untouched."""

    class Exits:
        def hash(self, _text: str) -> str:
            raise SystemExit(3)

    scene = await scenes(hasher=Exits())
    coroutine = scene.pipeline.infer(scene.call(), "甲", "甲")
    with pytest.raises(SystemExit):
        coroutine.send(None)
    assert [event.error_type for event in scene.recorder.events] == [ErrorType.INTERNAL]


# Refused before the addresses were known.


@pytest.mark.parametrize(
    "error_type",
    [
        ErrorType.MALFORMED_JSON,
        ErrorType.BODY_TOO_LARGE,
        ErrorType.UNSUPPORTED_MEDIA_TYPE,
        ErrorType.MISSING_FIELD,
        ErrorType.TOO_MANY_PAIRS,
        ErrorType.INVALID_HEADER,
    ],
)
async def test_a_call_refused_by_the_api_is_one_event(scenes, error_type):
    """By the bare type or by the error, before or after the body was read."""
    scene = await scenes()
    first = scene.pipeline.refuse(scene.call(read=False), error_type)
    second = scene.pipeline.refuse(scene.call(), InvalidInput(error_type))
    assert [(Outcome.INVALID, error_type, None)] * 2 == [(event.outcome, event.error_type, event.exception) for event in (first, second)]
    assert (stages_of(first), stages_of(second)) == ([], [Stage.READ])
    assert [first, second] == scene.recorder.events


@pytest.mark.parametrize(
    ("failure", "stopping", "error_type", "exception"),
    [
        (asyncio.CancelledError(), False, ErrorType.CLIENT_DISCONNECTED, None),
        (asyncio.CancelledError(), True, ErrorType.SHUTTING_DOWN, None),
        (ClientDisconnected(ErrorType.CLIENT_DISCONNECTED), False, ErrorType.CLIENT_DISCONNECTED, None),
        (ValueError("浙江省"), False, ErrorType.INTERNAL, "ValueError"),
    ],
)
async def test_other_ends_before_the_addresses(scenes, failure, stopping, error_type, exception):
    """A client that leaves while it uploads, our shutdown, and a bug of ours."""
    scene = await scenes()
    if stopping:
        scene.pipeline.stop_accepting()
    event = scene.pipeline.refuse(scene.call(), failure)
    assert (error_type, exception) == (event.error_type, event.exception.type if event.exception else None)


# Start and stop.


async def test_it_is_ready_once_the_model_is_warm(scenes):
    """And says why until then, and afterwards."""
    warm = threading.Event()
    scene = await scenes(start=False)
    scene.model.warmup = lambda: warm.wait(5)
    reasons = [scene.pipeline.reason]
    starting = asyncio.create_task(scene.pipeline.start())
    await asyncio.sleep(0)
    reasons.append(scene.pipeline.reason)
    assert ErrorType.NOT_READY is (await scene.refusal())[0].error_type
    warm.set()
    await asyncio.wait_for(starting, 5)
    reasons.append(scene.pipeline.reason)
    assert scene.pipeline.ready
    scene.pipeline.stop_accepting()
    reasons.append(scene.pipeline.reason)
    assert reasons == ["the model has not been started", "the model is warming up", "", "the service is shutting down"]


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("x"), 74), (ModelPoisoned(ErrorType.DEVICE_FAILED), 71)])
async def test_a_model_that_fails_its_warm_up_fails_the_start(scenes, error, code):
    """With the same exit code as was told before."""
    scene = await scenes(FakeModel(warmup_error=error), start=False)
    with pytest.raises(StartupError) as caught:
        await asyncio.wait_for(scene.pipeline.start(), 5)
    assert (code, [(str(caught.value), code)]) == (caught.value.exit_code, scene.fatal)
    assert not scene.pipeline.ready


async def test_stopping_finishes_what_is_in_flight(scenes):
    """New calls are refused meanwhile; at the end the worker's thread is gone."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate))
    calls = [scene.start_asking() for _ in range(3)]
    await asyncio.to_thread(gate.entered.wait, 5)
    stopping = asyncio.create_task(scene.pipeline.stop(10))
    await asyncio.sleep(0)
    assert ErrorType.SHUTTING_DOWN is (await scene.refusal())[0].error_type
    gate.opened.set()
    await asyncio.wait_for(stopping, 5)
    assert [(await call).outcome for call in calls] == [Outcome.SUCCESS] * 3
    assert (scene.pipeline._engine._worker._thread.is_alive(), scene.pipeline.active) == (False, 0)


async def test_stopping_ends_what_does_not_finish(scenes):
    """Every event is closed when `stop` comes back, so that the telemetry can be flushed."""
    gate = Gate()
    scene = await scenes(FakeModel(wait=gate), max_batch_size=1, queue_size=9)
    calls = [scene.start_asking() for _ in range(3)]
    await asyncio.to_thread(gate.entered.wait, 5)
    asyncio.get_running_loop().call_later(0.1, gate.opened.set)
    await asyncio.wait_for(scene.pipeline.stop(0.01), 5)
    assert [event.error_type for event in scene.recorder.events] == [ErrorType.SHUTTING_DOWN] * 3
    assert scene.pipeline.active == 0
    await asyncio.wait(calls)
    assert [run.error_type for run in scene.recorder.batches] == [ErrorType.SHUTTING_DOWN]


def test_stopping_while_the_model_warms_up_is_no_failure():
    """The loop is gone when the warm-up ends; nobody is told of a fatal error."""
    warm = threading.Event()

    async def begin() -> Scene:
        scene = Scene()
        scene.model.warmup = lambda: warm.wait(5)
        starting = asyncio.create_task(scene.pipeline.start())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, starting.cancel)
        await asyncio.wait([starting])
        await scene.pipeline._engine.close(0)
        return scene

    scene = asyncio.run(begin())
    warm.set()
    assert scene.pipeline._engine._worker.stop(5) is True
    assert scene.fatal == []


# All together.


async def test_a_thousand_calls_at_once_are_not_mixed_up(scenes):
    """Every call gets the answer to its own pair, under its own id."""

    def answer(pair) -> Scores:
        number = int(pair.address1.removeprefix("路"))
        return Scores(not_match=number / 1000, partial_match=0, exact_match=1 - number / 1000)

    scene = await scenes(FakeModel(answer=answer), queue_size=1000)
    events = await asyncio.gather(*(scene.ask(f"路{number}", "甲" * (1 + number % 7), request_id=f"r{number}") for number in range(1000)))
    assert [f"r{number}" for number in range(1000)] == [event.request_id for event in events]
    assert [number / 1000 for number in range(1000)] == [event.answer.not_match for event in events]
    assert {trace_id_of(f"r{number}") for number in range(1000)} == {event.trace_id for event in events}
    members = {member.request_id: run.batch_id for run in scene.recorder.batches for member in run.members}
    assert members == {event.request_id: event.batch_id for event in events}
    assert max(len(run.members) for run in scene.recorder.batches) == 32


@pytest.mark.parametrize("seed", range(5))
async def test_calls_opened_and_recorded_agree_over_any_mix(scenes, seed):
    """Answers, bad input, failures, timeouts, departures and refusals: one event each, all accounted for."""
    chance = random.Random(seed)

    def answer(pair) -> Scores:
        if pair.address1 == "炸":
            raise ValueError
        return BAD_OUTPUT if pair.address1 == "坏" else Scores(not_match=0, partial_match=0, exact_match=1)

    scene = await scenes(FakeModel(answer=answer), queue_size=20, max_batch_size=4, breaker_failures=4, breaker_cooldown=0.001)
    tasks, refused = [], 0
    for number in range(200):
        kind = chance.choice(["good", "good", "good", "empty", "bad", "boom", "late", "gone", "refused", "pause"])
        if kind == "refused":
            scene.pipeline.refuse(scene.call(f"r{number}"), ErrorType.MALFORMED_JSON)
            refused += 1
            continue
        if kind == "pause":
            if tasks:
                await asyncio.wait(tasks, timeout=0.001)
            continue
        text = {"empty": "", "bad": "坏", "boom": "炸"}.get(kind, "甲")
        timeout = 0.0 if kind == "late" else None
        tasks.append(scene.start_asking(text, "甲", request_id=f"r{number}", timeout=timeout))
        if kind == "gone":
            await asyncio.sleep(0)
            tasks[-1].cancel()
    done, pending = await asyncio.wait(tasks, timeout=10)
    assert (set(), len(tasks) + refused) == (pending, len(scene.recorder.opened))
    assert sorted(draft.request_id for draft in scene.recorder.opened) == sorted(event.request_id for event in scene.recorder.events)
    succeeded = [task.result() for task in done if not task.cancelled() and task.exception() is None]
    assert len(succeeded) == sum(event.outcome is Outcome.SUCCESS for event in scene.recorder.events) > 0
    for event in scene.recorder.events:
        assert (event.outcome is Outcome.SUCCESS) == (event.error_type is None) == (event.answer is not None)
