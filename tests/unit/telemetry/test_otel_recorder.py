"""The recorder that ships: one event, one span, its points, one record, one row."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from service.errors import ErrorType, Overloaded
from service.telemetry.context import bind_request_id
from service.telemetry.event import (
    AddressFacts,
    Answer,
    BatchEvent,
    BatchMember,
    EventDraft,
    ExceptionFacts,
    InferenceEvent,
    Stage,
)
from service.telemetry.log_pipeline import LogPipeline
from service.telemetry.metrics import Instruments
from service.telemetry.otel_recorder import OtelRecorder

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_770_000_000_000_000_000
REQ_1_TRACE = 0x77A85BFF5DD350F1D6D66F116FE042A9
BATCH_TRACE = 0xE0D20D5699B7AE0ACE2CC80D401F82B6
BATCH_SPAN = 0xAFE3C92D486D547B
BATCH_ID = "0199c7a0-0000-7000-8000-000000000000"

UNFINISHED = {"mgeo.request.id": "req-1", "code.function.name": "match"}


class ListStore:
    def __init__(self) -> None:
        self.events: list[InferenceEvent] = []
        self.batches: list[BatchEvent] = []
        self.numbers: list[int] = []

    def add(self, event: InferenceEvent, seq: int) -> None:
        self.events.append(event)
        self.numbers.append(seq)

    def add_batch(self, event: BatchEvent) -> None:
        self.batches.append(event)


class ListWriter:
    def __init__(self) -> None:
        self.records: list[dict[str, object]] = []

    def write(self, record: dict[str, object]) -> None:
        self.records.append(record)


class Rig:
    """A recorder on signals in memory; each part can be broken."""

    def __init__(self, signals: Any, ticking: Any, *, strict: bool = True, table: Any = None) -> None:
        self.signals = signals
        self.ticking = ticking
        self.store = ListStore()
        self.writer = ListWriter()
        self.losses: Counter[tuple[str, str]] = Counter()
        instruments = Instruments.of(signals.meter)
        self.log = LogPipeline(
            writer=self.writer,
            provider=signals.telemetry.logger_provider,
            counter=instruments.log_records,
            service="mgeo",
            instance="instance-1",
            unix_ns=ticking.unix_ns,
        )
        self.recorder = OtelRecorder(
            tracer_provider=signals.telemetry.tracer_provider,
            instruments=instruments,
            log=self.log,
            store=self.store,
            losses=self.losses,
            table=table,
            strict=strict,
        )

    def open(self, request_id: str = "req-1") -> EventDraft:
        draft = EventDraft.open(request_id=request_id, function="match", clock=self.ticking.as_clock())
        self.recorder.open(draft)
        return draft

    def infer(self, failure: Exception | None = None, *, error_type: ErrorType | None = None, request_id: str = "req-1") -> InferenceEvent:
        """One inference of half a second, a quarter of it in the queue."""
        draft = self.open(request_id)
        draft.spent(Stage.QUEUE, self.ticking.monotonic(), self.ticking.monotonic() + 0.25)
        self.ticking.tick(0.5)
        event = draft.close(failure, error_type=error_type)
        self.recorder.record(event)
        return event

    def counts(self) -> dict[str, int]:
        """How much of each signal there is."""
        points = self.signals.points()
        return {
            "spans": len(self.signals.spans()),
            "points": sum(point.value for point in points["mgeo.requests"].values()),
            "durations": sum(point.count for point in points["mgeo.inference.duration"].values()),
            "records": len(self.signals.logs()),
            "lines": len(self.writer.records),
            "rows": len(self.store.events),
        }


ALL_ONCE = {"spans": 1, "points": 1, "durations": 1, "records": 1, "lines": 1, "rows": 1}


@pytest.fixture
def rig(signals: Any, ticking: Any) -> Rig:
    return Rig(signals, ticking)


@pytest.fixture
def lenient(signals: Any, ticking: Any) -> Rig:
    """As in production: what fails is counted."""
    return Rig(signals, ticking, strict=False)


def server_span(trace_id: int = 0xABC, span_id: int = 0xDEF, *, flags: int = 1, remote: bool = False) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=remote, trace_flags=TraceFlags(flags))))


# --- the span ---------------------------------------------------------------------------------------------------------


def test_a_success_is_a_whole_span(rig: Rig) -> None:
    """Name, kind, ids, times, attributes, status, link to its batch: all of it."""
    draft = rig.open()
    draft.address1, draft.address2 = AddressFacts(length=5, hash="1" * 32), AddressFacts(length=6, hash="2" * 32)
    draft.truncated, draft.queue_depth, draft.batch_id, draft.batch_size = False, 2, BATCH_ID, 4
    draft.model_name, draft.model_version = "mgeo", "1.0"
    draft.answer = Answer(label="partial_match", similarity=0.5, not_match=0.25, partial_match=0.5, exact_match=0.25)
    draft.output_length = 13
    for index, stage in enumerate((Stage.READ, Stage.CLEAN, Stage.QUEUE, Stage.INFERENCE)):
        draft.spent(stage, 1000.0 + index / 8, 1000.125 + index / 8)
    rig.ticking.tick(0.5)
    rig.recorder.record(draft.close())

    (span,) = rig.signals.spans()
    assert (span.name, span.kind, span.parent) == ("mgeo.inference", SpanKind.INTERNAL, None)
    assert (span.context.trace_id, f"{span.context.span_id:016x}") == (REQ_1_TRACE, draft.span_id)
    assert (span.start_time, span.end_time) == (START, START + 500_000_000)
    assert (span.status.status_code, span.status.description) == (StatusCode.UNSET, None)
    assert dict(span.attributes) == {
        "mgeo.request.id": "req-1",
        "code.function.name": "match",
        "mgeo.status": "success",
        "mgeo.address1.length": 5,
        "mgeo.address1.hash": "11111111111111111111111111111111",
        "mgeo.address2.length": 6,
        "mgeo.address2.hash": "22222222222222222222222222222222",
        "mgeo.truncated": False,
        "mgeo.queue.depth": 2,
        "mgeo.batch.id": BATCH_ID,
        "mgeo.batch.size": 4,
        "mgeo.model.name": "mgeo",
        "mgeo.model.version": "1.0",
        "mgeo.label": "partial_match",
        "mgeo.similarity": 0.5,
        "mgeo.probability.not_match": 0.25,
        "mgeo.probability.partial_match": 0.5,
        "mgeo.probability.exact_match": 0.25,
        "mgeo.output.length": 13,
        "mgeo.stage.read.offset": 0.0,
        "mgeo.stage.read.duration": 0.125,
        "mgeo.stage.clean.offset": 0.125,
        "mgeo.stage.clean.duration": 0.125,
        "mgeo.stage.queue.offset": 0.25,
        "mgeo.stage.queue.duration": 0.125,
        "mgeo.stage.inference.offset": 0.375,
        "mgeo.stage.inference.duration": 0.125,
    }
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [(BATCH_TRACE, BATCH_SPAN)]
    assert (span.events, span.instrumentation_scope.name) == ((), "mgeo")
    assert dict(span.resource.attributes) | {"telemetry.sdk.version": "any"} == {
        "service.name": "mgeo",
        "service.version": "1.2.3",
        "service.instance.id": "11111111-2222-5333-8444-555555555555",
        "mgeo.instance.name": "host/test/0",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "any",
    }


@pytest.mark.parametrize(
    ("error_type", "outcome", "status", "description"),
    [
        ("empty_address", "invalid", StatusCode.UNSET, None),
        ("queue_full", "overloaded", StatusCode.ERROR, "the inference queue is full"),
        ("deadline_exceeded", "timeout", StatusCode.ERROR, "no answer within the deadline"),
        ("client_disconnected", "cancelled", StatusCode.UNSET, None),
        ("model_failed", "error", StatusCode.ERROR, "the model raised an exception"),
    ],
)
def test_each_failure_is_a_whole_span(rig: Rig, error_type: str, outcome: str, status: StatusCode, description: str | None) -> None:
    """Error status for what counts against the service alone, with the fixed text; no events, no links."""
    event = rig.infer(error_type=ErrorType(error_type))

    (span,) = rig.signals.spans()
    assert (span.name, span.kind, span.parent, span.events, span.links) == ("mgeo.inference", SpanKind.INTERNAL, None, (), ())
    assert (span.context.trace_id, f"{span.context.span_id:016x}") == (REQ_1_TRACE, event.span_id)
    assert (span.start_time, span.end_time) == (START, START + 500_000_000)
    assert (span.status.status_code, span.status.description) == (status, description)
    assert dict(span.attributes) == UNFINISHED | {
        "mgeo.status": outcome,
        "error.type": error_type,
        "mgeo.stage.queue.offset": 0.0,
        "mgeo.stage.queue.duration": 0.25,
    }


def test_an_exception_leaves_type_and_frames_on_the_span_and_no_message(rig: Rig) -> None:
    """The status has the fixed text; the message, which may be an address, is nowhere."""
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("浙江省杭州市")
    rig.infer(caught.value, error_type=ErrorType.MODEL_FAILED)

    (span,) = rig.signals.spans()
    assert span.attributes["exception.type"] == "ValueError"
    assert span.attributes["exception.stacktrace"].startswith(f"{__file__}:")
    assert "浙江" not in span.to_json(indent=None).encode().decode("unicode_escape")
    assert span.events == ()


def test_under_a_server_span_the_inference_is_its_child(rig: Rig) -> None:
    """In the trace of the parent, whatever the request id; the draft learns all three ids."""
    tracer = rig.signals.telemetry.tracer_provider.get_tracer("http")
    with tracer.start_as_current_span("POST /v1/match") as server:
        event = rig.infer(request_id="another")

    inference, _ = rig.signals.spans()
    assert inference.parent.span_id == server.get_span_context().span_id
    assert event.trace_id == f"{server.get_span_context().trace_id:032x}"
    assert event.parent_span_id == f"{server.get_span_context().span_id:016x}"
    assert event.span_id == f"{inference.context.span_id:016x}"


@pytest.mark.parametrize("flags", [0, 1])
def test_a_callers_traceparent_is_continued_whatever_its_flag(rig: Rig, flags: int) -> None:
    """Flag 00 asks not to sample; the span is there all the same, recorded and sampled."""
    token = attach(server_span(0xABC, 0xDEF, flags=flags, remote=True))
    try:
        event = rig.infer()
    finally:
        detach(token)

    (span,) = rig.signals.spans()
    assert (span.context.trace_id, span.parent.span_id, span.context.trace_flags) == (0xABC, 0xDEF, 1)
    assert (event.trace_id, event.parent_span_id) == (f"{0xABC:032x}", f"{0xDEF:016x}")


def test_all_pairs_of_a_batch_call_lie_in_the_trace_of_the_call(rig: Rig) -> None:
    """Made from the part before the colon."""
    for index in range(3):
        rig.infer(request_id=f"req-1:{index}")

    assert [span.context.trace_id for span in rig.signals.spans()] == [REQ_1_TRACE] * 3
    assert [span.attributes["mgeo.request.id"] for span in rig.signals.spans()] == ["req-1:0", "req-1:1", "req-1:2"]


def test_the_drafts_own_id_makes_the_trace_not_one_left_in_the_context(rig: Rig) -> None:
    """A background task that inherited the context of another request still gets the trace of its own."""
    with bind_request_id("somebody-else"):
        rig.infer()

    assert rig.signals.spans()[0].context.trace_id == REQ_1_TRACE


def test_what_is_opened_while_a_draft_runs_becomes_its_child(rig: Rig) -> None:
    """And what is opened after, does not."""
    outer = rig.open()
    with rig.recorder.running(outer):
        inner = rig.open()
    after = rig.open()
    for draft in (inner, outer, after):
        rig.recorder.record(draft.close())

    assert (inner.parent_span_id, inner.trace_id) == (outer.span_id, outer.trace_id)
    assert (outer.parent_span_id, after.parent_span_id) == (None, None)


def test_the_outer_span_is_current_again_after_an_exception(rig: Rig) -> None:
    """A failed inference does not leave its span behind for others."""
    draft = rig.open()
    with pytest.raises(KeyError), rig.recorder.running(draft):
        raise KeyError
    rig.recorder.record(draft.close())

    assert trace.get_current_span() is trace.INVALID_SPAN


# --- batches ----------------------------------------------------------------------------------------------------------


def batch_of(*drafts: EventDraft, **more: Any) -> BatchEvent:
    return BatchEvent(
        batch_id=BATCH_ID,
        members=tuple(BatchMember(request_id=draft.request_id, trace_id=draft.trace_id, span_id=draft.span_id) for draft in drafts),
        started_unix_ns=START,
        duration=0.25,
        model_name="mgeo",
        model_version="1.0",
        **more,
    )


def test_a_batch_and_its_members_link_to_one_another(rig: Rig) -> None:
    """Each by the ids the other's span truly has, and the batch's trace is its own."""
    drafts = [rig.open(f"request-{number}") for number in range(3)]
    for draft in drafts:
        draft.batch_id = BATCH_ID
    rig.recorder.record_batch(batch_of(*drafts, tokenize_duration=0.0625, forward_duration=0.125))
    for draft in drafts:
        rig.recorder.record(draft.close())

    batch, *members = rig.signals.spans()
    assert (batch.name, batch.kind, batch.parent) == ("mgeo.batch", SpanKind.INTERNAL, None)
    assert (batch.context.trace_id, batch.context.span_id) == (BATCH_TRACE, BATCH_SPAN)
    assert (batch.start_time, batch.end_time, batch.status.status_code) == (START, START + 250_000_000, StatusCode.UNSET)
    assert dict(batch.attributes) == {
        "mgeo.batch.id": BATCH_ID,
        "mgeo.batch.size": 3,
        "mgeo.model.name": "mgeo",
        "mgeo.model.version": "1.0",
        "mgeo.stage.tokenize.duration": 0.0625,
        "mgeo.stage.inference.duration": 0.125,
    }
    ids = [(member.context.trace_id, member.context.span_id) for member in members]
    assert [(link.context.trace_id, link.context.span_id) for link in batch.links] == ids
    assert [[(link.context.trace_id, link.context.span_id) for link in member.links] for member in members] == [
        [(batch.context.trace_id, batch.context.span_id)],
    ] * 3
    assert rig.store.batches == [batch_of(*drafts, tokenize_duration=0.0625, forward_duration=0.125)]


def test_a_batch_is_the_child_of_nobody_even_inside_a_request(rig: Rig) -> None:
    """Whoever's thread happens to record it, and whatever request id is bound there."""
    with bind_request_id("req-1"):
        draft = rig.open()
        with rig.recorder.running(draft):
            rig.recorder.record_batch(batch_of(draft))
        rig.recorder.record(draft.close())

    batch = rig.signals.spans()[0]
    assert (batch.parent, batch.context.trace_id) == (None, BATCH_TRACE)


def test_a_batch_of_the_greatest_size_keeps_all_its_links(rig: Rig) -> None:
    """The SDK's usual limit is 128."""
    members = tuple(BatchMember(request_id=f"r{number}", trace_id="a" * 32, span_id=f"{number:016x}") for number in range(1, 4097))
    batch = BatchEvent(batch_id="b", members=members, started_unix_ns=START, duration=1, model_name="m", model_version="1")

    rig.recorder.record_batch(batch)

    assert len(rig.signals.spans()[0].links) == 4096


def test_a_failed_batch_has_an_error_status(rig: Rig) -> None:
    """With the type of the exception and the fixed text."""
    failed = batch_of(error_type=ErrorType.MODEL_FAILED, exception=ExceptionFacts(type="RuntimeError", frames=("a.py:1 f",)))

    rig.recorder.record_batch(failed)

    (span,) = rig.signals.spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "the model raised an exception")
    assert (span.attributes["error.type"], span.attributes["exception.type"]) == ("model_failed", "RuntimeError")


def test_the_size_of_each_batch_is_observed(rig: Rig) -> None:
    """One observation a run."""
    rig.recorder.record_batch(batch_of(*(rig.open() for _ in range(3))))

    point = rig.signals.points()["mgeo.batch.size"][()]
    assert (point.count, point.sum) == (1, 3)


# --- points, record, row ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error_type", "labels", "status"),
    [
        (None, (("status", "success"),), "success"),
        ("wrong_type", (("error.type", "wrong_type"), ("status", "invalid")), "invalid"),
        ("breaker_open", (("error.type", "breaker_open"), ("status", "overloaded")), "overloaded"),
        ("deadline_exceeded", (("error.type", "deadline_exceeded"), ("status", "timeout")), "timeout"),
        ("caller_cancelled", (("error.type", "caller_cancelled"), ("status", "cancelled")), "cancelled"),
        ("internal", (("error.type", "internal"), ("status", "error")), "error"),
    ],
)
def test_each_outcome_is_counted_and_observed_once(rig: Rig, error_type: str | None, labels: Any, status: str) -> None:
    """In one series of each metric, and in no other."""
    rig.infer(error_type=ErrorType(error_type) if error_type else None)

    points = rig.signals.points()
    assert {key: point.value for key, point in points["mgeo.requests"].items() if point.value} == {labels: 1}
    assert {key: (point.count, point.sum) for key, point in points["mgeo.inference.duration"].items() if point.count} == {
        (("status", status),): (1, 0.5),
    }
    assert {key: (point.count, point.sum) for key, point in points["mgeo.inference.stage.duration"].items() if point.count} == {
        (("stage", "queue"),): (1, 0.25),
    }
    assert (points["mgeo.queue.wait"][()].count, points["mgeo.queue.wait"][()].sum) == (1, 0.25)


def test_an_inference_that_never_queued_has_no_queue_wait(rig: Rig) -> None:
    """A refused request would pull the average down."""
    rig.recorder.record(rig.open().close(Overloaded(ErrorType.BREAKER_OPEN)))

    assert rig.signals.points()["mgeo.queue.wait"][()].count == 0


def test_exemplars_carry_the_trace_and_span_of_the_inference(rig: Rig) -> None:
    """Of histograms and the counter of log lines, although the span is no longer current when they are recorded."""
    event = rig.infer()

    points = rig.signals.points()
    for name, key in [
        ("mgeo.inference.duration", (("status", "success"),)),
        ("mgeo.inference.stage.duration", (("stage", "queue"),)),
        ("mgeo.queue.wait", ()),
        ("mgeo.log.records", (("severity", "INFO"),)),
    ]:
        (exemplar,) = points[name][key].exemplars
        assert (exemplar.trace_id, f"{exemplar.span_id:016x}") == (REQ_1_TRACE, event.span_id), name


def test_the_last_inference_of_a_bucket_is_its_exemplar(rig: Rig) -> None:
    """One exemplar for each bucket and collection, the newest."""
    rig.infer(request_id="request-1")
    newest = rig.infer(request_id="request-2")

    (exemplar,) = rig.signals.points()["mgeo.inference.duration"][("status", "success"),].exemplars

    assert f"{exemplar.span_id:016x}" == newest.span_id


def test_the_record_lies_in_the_trace_and_the_line_says_the_same(rig: Rig) -> None:
    """The ids of the span, three times."""
    event = rig.infer(error_type=ErrorType.MODEL_FAILED)

    (record,) = rig.signals.logs()
    (line,) = rig.writer.records
    assert (f"{record.trace_id:032x}", f"{record.span_id:016x}", record.severity_text) == (event.trace_id, event.span_id, "ERROR")
    assert (line["trace_id"], line["span_id"], line["level"]) == (event.trace_id, event.span_id, "ERROR")
    assert (line["request_id"], line["error_message"]) == ("req-1", "the model raised an exception")


def test_the_store_gets_the_event_itself(rig: Rig) -> None:
    """The row does not depend on any exporter."""
    event = rig.infer()

    assert rig.store.events == [event]


# --- open inferences --------------------------------------------------------------------------------------------------


def test_active_is_the_number_of_open_inferences_and_returns_to_0(rig: Rig) -> None:
    """For every way to end, also after parts have failed."""
    drafts = [rig.open(f"request-{number}") for number in range(7)]
    assert rig.recorder.active == 7

    for draft, error_type in zip(drafts, (None, *ErrorType), strict=False):
        rig.recorder.record(draft.close(error_type=error_type))

    assert rig.recorder.active == 0
    assert len(rig.signals.spans()) == 7


def test_an_event_whose_draft_was_never_opened_is_still_counted(rig: Rig) -> None:
    """What a dead process had open is recorded by its successor, without a span."""
    draft = EventDraft.open(request_id="req-1", function="match", clock=rig.ticking.as_clock())
    draft.trace_id, draft.span_id = "a" * 32, "b" * 16

    rig.recorder.record(draft.close(error_type=ErrorType.PROCESS_DIED))

    assert rig.counts() == ALL_ONCE | {"spans": 0}


def test_many_threads_record_without_losing_any(rig: Rig) -> None:
    """Eight threads with 50 inferences each: 400 of everything."""

    def work(worker: int) -> None:
        for number in range(50):
            draft = rig.open(f"request-{worker}-{number}")
            rig.recorder.record(draft.close())

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert rig.counts() == dict.fromkeys(ALL_ONCE, 400)
    assert rig.recorder.active == 0
    assert len({(span.context.trace_id, span.context.span_id) for span in rig.signals.spans()}) == 400


# --- failing parts ----------------------------------------------------------------------------------------------------


def broken(*_: object, **__: object) -> None:
    raise OSError("no")


def break_store(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.store, "add", broken)


def break_log(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.writer, "write", broken)


def break_instruments(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.recorder._instruments.inference_duration, "record", broken)


def break_attributes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.telemetry.otel_recorder.inference_attributes", broken)


@pytest.mark.parametrize(
    ("break_part", "left"),
    [
        (break_store, ALL_ONCE | {"rows": 0}),
        (break_log, ALL_ONCE | {"lines": 0, "records": 0}),
        (break_instruments, ALL_ONCE | {"durations": 0}),
        (break_attributes, ALL_ONCE),
    ],
)
def test_a_part_that_fails_is_counted_and_leaves_the_others_alone(
    lenient: Rig, monkeypatch: pytest.MonkeyPatch, break_part: Callable[[Rig, pytest.MonkeyPatch], None], left: dict[str, int]
) -> None:
    """Nothing is raised, one loss is counted, and the span ends in any case."""
    break_part(lenient, monkeypatch)

    lenient.infer()

    assert lenient.losses == {("recorder", "exception"): 1}
    assert lenient.counts() == left
    assert lenient.recorder.active == 0


@pytest.mark.parametrize("break_part", [break_store, break_log, break_instruments, break_attributes])
def test_under_test_a_part_that_fails_raises(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, break_part: Callable[[Rig, pytest.MonkeyPatch], None]
) -> None:
    """And is counted all the same."""
    break_part(rig, monkeypatch)

    with pytest.raises(OSError, match=r"^no$"):
        rig.infer()

    assert rig.losses == {("recorder", "exception"): 1}
    assert rig.recorder.active == 0


def test_a_batch_that_fails_in_the_store_keeps_its_span_and_its_size(lenient: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same guard stands around each part of a batch."""
    monkeypatch.setattr(lenient.store, "add_batch", broken)

    lenient.recorder.record_batch(batch_of())

    assert lenient.losses == {("recorder", "exception"): 1}
    assert (len(lenient.signals.spans()), lenient.signals.points()["mgeo.batch.size"][()].count) == (1, 1)


def test_a_span_that_cannot_be_started_does_not_fail_the_request(lenient: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft still has ids, the rest is recorded, and running it does nothing."""
    monkeypatch.setattr(lenient.recorder, "_tracer", None)

    draft = lenient.open()
    with lenient.recorder.running(draft):
        pass
    lenient.recorder.record(draft.close())

    assert draft.trace_id == f"{REQ_1_TRACE:032x}"
    assert int(draft.span_id, 16) > 0
    assert lenient.losses == {("recorder", "exception"): 1}
    assert lenient.counts() == ALL_ONCE | {"spans": 0}


def test_under_test_a_span_that_cannot_be_started_raises(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, where it happens."""
    monkeypatch.setattr(rig.recorder, "_tracer", None)

    with pytest.raises(AttributeError):
        rig.open()

    assert rig.recorder.active == 0


# --- what outlives the process ----------------------------------------------------------------------------------------


class ListTable:
    """Tells what stood in the other signals when it was asked to free a slot."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[tuple[str, int]] = []
        self.rig: Rig | None = None

    def open(self, draft: EventDraft) -> None:
        self.opened.append(draft.span_id)

    def close(self, event: InferenceEvent) -> None:
        assert self.rig is not None
        self.closed.append((event.span_id, sum(self.rig.counts().values())))


def test_an_inference_is_noted_with_its_ids_and_let_go_before_anything_tells_of_its_end(signals: Any, ticking: Any) -> None:
    """Else a death in between would have it ended twice."""
    table = ListTable()
    rig = table.rig = Rig(signals, ticking, table=table)
    event = rig.infer()

    assert (table.opened, table.closed) == ([event.span_id], [(event.span_id, 0)])
    assert rig.counts() == ALL_ONCE


def test_a_table_that_fails_is_counted_and_leaves_the_others_alone(signals: Any, ticking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised."""
    table = ListTable()
    monkeypatch.setattr(table, "open", broken)
    rig = Rig(signals, ticking, table=table, strict=False)
    rig.infer()

    assert (rig.losses, rig.counts()) == ({("recorder", "exception"): 2}, ALL_ONCE)


def dead(parent: str | None = "00000000000000ab") -> InferenceEvent:
    return InferenceEvent(
        request_id="req-1",
        trace_id=f"{REQ_1_TRACE:032x}" if parent is None else "4bf92f3577b34da6a3ce929d0e0e4736",
        span_id="00f067aa0ba902b7",
        parent_span_id=parent,
        function="match",
        started_unix_ns=START - 5_000_000_000,
        duration=2.5,
        outcome=ErrorType.PROCESS_DIED.outcome,
        error_type=ErrorType.PROCESS_DIED,
    )


@pytest.mark.parametrize("parent", [None, "00000000000000ab"])
def test_an_adopted_inference_has_the_span_it_had(rig: Rig, parent: str | None) -> None:
    """Trace, span, parent and start; whatever runs where it is adopted. All signals have it once."""
    event = dead(parent)
    token = attach(server_span())
    rig.recorder.adopt(event)
    detach(token)

    (span,) = rig.signals.spans()
    assert (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") == (event.trace_id, "00f067aa0ba902b7")
    assert (None if span.parent is None else f"{span.parent.span_id:016x}") == parent
    assert (span.start_time, span.end_time) == (START - 5_000_000_000, START - 2_500_000_000)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "the process died while the inference was open")
    assert dict(span.attributes) == UNFINISHED | {"mgeo.status": "error", "error.type": "process_died"}
    (record,) = rig.signals.logs()
    assert (record.timestamp, f"{record.span_id:016x}") == (START - 5_000_000_000, "00f067aa0ba902b7")
    assert rig.writer.records[0]["error_type"] == "process_died"
    assert rig.counts() == ALL_ONCE
    assert (rig.store.events, rig.store.numbers, rig.recorder.active) == ([event], [1], 0)


def test_what_was_adopted_before_is_only_sent_again(rig: Rig) -> None:
    """Its line, its row and its counts stand."""
    rig.recorder.adopt(dead(), again=True)

    assert rig.counts() == {"spans": 1, "points": 0, "durations": 0, "records": 1, "lines": 0, "rows": 0}
    assert sum(point.value for point in rig.signals.points()["mgeo.log.records"].values()) == 0
    (span,), (record,) = rig.signals.spans(), rig.signals.logs()
    assert (f"{span.context.span_id:016x}", f"{record.span_id:016x}") == ("00f067aa0ba902b7", "00f067aa0ba902b7")


def test_an_adopted_inference_whose_span_cannot_be_made_is_recorded_all_the_same(lenient: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is counted; under test it raises."""
    monkeypatch.setattr(lenient.recorder._tracer, "start_span", broken)
    lenient.recorder.adopt(dead())
    assert (lenient.losses, lenient.counts()) == ({("recorder", "exception"): 1}, ALL_ONCE | {"spans": 0})

    lenient.recorder._strict = True
    with pytest.raises(OSError, match=r"^no$"):
        lenient.recorder.adopt(dead())


def test_rows_have_the_numbers_of_the_count(rig: Rig) -> None:
    """1, 2, 3, in the order of the queue; the sum of the counter is the last one."""
    for error_type in (None, ErrorType.QUEUE_FULL, None):
        rig.infer(error_type=error_type)

    assert rig.store.numbers == [1, 2, 3]
    assert rig.counts()["points"] == 3


def test_links_have_no_attributes(rig: Rig) -> None:
    """The Collector cannot clear them, so nothing may ever stand there."""
    draft = rig.open()
    draft.batch_id, draft.batch_size = BATCH_ID, 1
    member = BatchMember(request_id="req-1", trace_id=draft.trace_id, span_id=draft.span_id)
    rig.recorder.record_batch(
        BatchEvent(batch_id=BATCH_ID, members=(member,), started_unix_ns=START, duration=0.1, model_name="m", model_version="1")
    )
    rig.recorder.record(draft.close())

    links = [link for span in rig.signals.spans() for link in span.links]
    assert [dict(link.attributes or {}) for link in links] == [{}, {}]
