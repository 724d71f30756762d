"""What every request store promises, whatever keeps the requests: one suite, each implementation in turn."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from service.errors import ErrorType, InvalidQuery, Outcome, RequestNotFound
from service.requeststore.backend import Backend
from service.requeststore.base import Moment, Search
from service.requeststore.jaeger import JaegerTraces
from service.requeststore.loki import LokiLogs
from service.requeststore.memory import MemoryRequestStore
from service.requeststore.prometheus import PrometheusMetrics
from service.requeststore.rows import summary
from service.requeststore.sqlite import SqliteRequestStore
from service.requeststore.sqlite_writer import SqliteWriter
from service.requeststore.stack import StackRequestStore, stack_client
from service.requeststore.stack_story import Backends
from service.telemetry.event import AddressFacts, Answer, BatchEvent, CapturedText, Clock, ExceptionFacts, GpuFacts, InferenceEvent
from service.telemetry.ids import batch_span_id_of, trace_id_of
from service.telemetry.log_record import inference_record
from tests import inference_events
from tests.inference_events import HASH1, HASH2, SECOND, batch_of
from tests.stack.sender import Sender, StackUrls
from tests.stack.visible import until_visible

HASH3 = "3" * 32
# An hour ago, always at the same place in the minute: stores of the stack take nothing that is much older.
STARTED = (time.time_ns() // (60 * SECOND) - 60) * 60 * SECOND + 7_654_321_987


def success(request_id: str = "0193f2a0-0000-7000-8000-000000000001", **changes: Any) -> InferenceEvent:
    return inference_events.success(request_id, **{"started_unix_ns": STARTED, **changes})


def refused(error_type: ErrorType, request_id: str = "0193f2a0-0000-7000-8000-000000000002", **changes: Any) -> InferenceEvent:
    return inference_events.refused(error_type, request_id, **{"started_unix_ns": STARTED, **changes})


@dataclass(frozen=True)
class Implementation:
    """A store under test, opened with what was served; all events by the instance `one`, text captured where it can be.

    `keeps_text`: captured text is in its stories; it never leaves the machine, so the stack has none.
    `everywhere`: it has what every process sent, and so can be searched for it.
    `exact_p95`: the P95 of a minute is the duration of one inference; else it lies between two neighbours.
    """

    open: Callable[..., Any]
    service: str = "mgeo"
    keeps_text: bool = True
    everywhere: bool = False
    exact_p95: bool = True

    def __call__(self, *events: InferenceEvent, batches: list[BatchEvent] | None = None) -> Any:
        return self.open(*events, batches=batches or [])


@pytest.fixture(params=["sqlite", "memory", pytest.param("stack", marks=pytest.mark.stack)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Implementation:
    """Each implementation in turn."""
    match request.param:
        case "sqlite":
            return Implementation(lambda *events, batches: open_sqlite(tmp_path / "telemetry.db", events, batches))
        case "memory":
            return Implementation(lambda *events, batches: open_memory(events, batches))
    urls, service = request.getfixturevalue("stack_urls"), f"mgeo-{uuid.uuid4()}"
    return Implementation(
        lambda *events, batches: open_stack(urls, service, events, batches),
        service=service,
        keeps_text=False,
        everywhere=True,
        exact_p95=False,
    )


@asynccontextmanager
async def open_sqlite(path: Path, events: tuple[InferenceEvent, ...], batches: list[BatchEvent]):
    writer = SqliteWriter(path, queue_size=10_000, retention=1e9, max_bytes=1 << 30, capture="all", service_instance="one", clock=Clock())
    for event in events:
        writer.add(event)
    for batch in batches:
        writer.add_batch(batch)
    assert writer.close(20)
    store = SqliteRequestStore(path, "mgeo")
    yield store
    store.close()


@asynccontextmanager
async def open_memory(events: tuple[InferenceEvent, ...], batches: list[BatchEvent]):
    store = MemoryRequestStore(instance="one")
    for event in events:
        store.add(event)
    for batch in batches:
        store.add_batch(batch)
    yield store


@asynccontextmanager
async def open_stack(urls: StackUrls, service: str, events: tuple[InferenceEvent, ...], batches: list[BatchEvent]):
    """Real ones. Each test is a service of its own, so that it finds nothing of another's."""
    sender = Sender(urls, service)
    sender.send(*events, batches=batches)
    sender.close()
    async with stack_client() as client:

        def backend(name: str, url: str) -> Backend:
            return Backend(client, name=name, url=url, timeout=20)

        jaeger, loki = JaegerTraces(backend("Jaeger", urls.jaeger), service=service), LokiLogs(backend("Loki", urls.loki), service=service)
        prometheus = PrometheusMetrics(backend("Prometheus", urls.prometheus), service=service)
        await until_visible(jaeger, loki, events, batches)
        yield StackRequestStore(Backends(jaeger=jaeger, loki=loki, prometheus=prometheus, log_retention=86_400, trace_retention=86_400))


def later(event: InferenceEvent, seconds: float, **changes) -> InferenceEvent:
    return replace(event, started_unix_ns=event.started_unix_ns + round(seconds * SECOND), **changes)


def found(page) -> list[str]:
    return [request.request_id for request in page.requests]


async def test_the_story_of_a_success_has_the_whole_event(opened) -> None:
    """With the process that served it."""
    async with opened(success("r-1")) as store:
        story = await store.story("r-1")
    assert (story.request_id, story.missing, story.more) == ("r-1", (), 0)
    (attempt,) = story.attempts
    assert attempt.event == success("r-1")
    assert attempt.service_instance == "one"
    assert attempt.text is None


async def test_every_fact_of_a_failure_is_in_the_story(opened) -> None:
    """Exception, devices and odd lengths included."""
    event = refused(
        ErrorType.MODEL_FAILED,
        "r-1",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        exception=ExceptionFacts(type="torch.OutOfMemoryError", frames=("a.py:1 f", "b.py:2 g")),
        gpu=(GpuFacts(id="GPU-1", memory_usage=5, memory_limit=None, utilization=0.25, age=0.125),),
        address1=AddressFacts(length=100_000),
        truncated=True,
    )
    async with opened(event) as store:
        (attempt,) = (await store.story("r-1")).attempts
    assert attempt.event == event


async def test_the_log_line_in_the_story_is_the_one_that_was_written(opened) -> None:
    """Same fields, same values."""
    for event in (success("r-1"), refused(ErrorType.DEADLINE_EXCEEDED, "r-1")):
        async with opened(event) as store:
            attempt = (await store.story("r-1")).attempts[-1]
        assert [entry.fields for entry in attempt.logs] == [inference_record(event, service=opened.service, instance="one")]


async def test_an_inference_and_its_batch_are_spans_with_links_both_ways(opened) -> None:
    """The batch has a trace of its own."""
    event = success("r-1", batch_id="b-1")
    async with opened(event, batches=[batch_of(event)]) as store:
        inference, batch = (await store.story("r-1")).attempts[0].spans
    assert (inference.name, inference.trace_id, inference.span_id, inference.parent_span_id) == (
        "mgeo.inference",
        trace_id_of("r-1"),
        "00f067aa0ba902b7",
        "b7ad6b7169203331",
    )
    assert (inference.started_unix_ns, inference.duration) == (STARTED, 0.0125)
    assert inference.links == ((trace_id_of("b-1"), batch_span_id_of("b-1")),)
    assert inference.attributes["mgeo.label"] == "exact_match"
    assert inference.attributes["mgeo.stage.queue.duration"] == 0.0012344
    assert (batch.name, batch.trace_id, batch.span_id, batch.parent_span_id) == (
        "mgeo.batch",
        trace_id_of("b-1"),
        batch_span_id_of("b-1"),
        None,
    )
    assert (batch.started_unix_ns, batch.duration) == (STARTED + 2_000_000, 0.0095)
    assert batch.links == ((trace_id_of("r-1"), "00f067aa0ba902b7"),)
    assert batch.attributes["mgeo.batch.size"] == 1


async def test_a_repeated_request_id_has_an_attempt_for_each_time_oldest_first(opened) -> None:
    """In the order they started, not in that in which they ended."""
    second = later(success("r-1"), 5, span_id="000000000000000b")
    first = success("r-1", span_id="000000000000000a")
    async with opened(second, first) as store:
        story = await store.story("r-1")
    assert [attempt.event.span_id for attempt in story.attempts] == ["000000000000000a", "000000000000000b"]


async def test_the_bare_id_of_a_batch_call_tells_all_pairs_and_the_indexed_one_its_own(opened) -> None:
    """Nine and ten are in the order of their starts."""
    pairs = [later(success(f"r-1:{index}", span_id=f"{index:016x}"), index) for index in (9, 10)]
    async with opened(*pairs, success("r-2:9"), success("r-10")) as store:
        assert [attempt.event.request_id for attempt in (await store.story("r-1")).attempts] == ["r-1:9", "r-1:10"]
        assert [attempt.event.request_id for attempt in (await store.story("r-1:10")).attempts] == ["r-1:10"]
        with pytest.raises(RequestNotFound):
            await store.story("r-1:1")


async def test_attempts_past_the_limit_are_counted(opened) -> None:
    """A caller that reuses one id for everything does not make an endless story."""
    async with opened(*(later(success("r-1", span_id=f"{number:016x}"), number) for number in range(1, 6))) as store:
        story = await store.story("r-1", limit=2)
        whole = await store.story("r-1", limit=5)
    assert ([attempt.event.span_id[-1] for attempt in story.attempts], story.more) == (["1", "2"], 3)
    assert (len(whole.attempts), whole.more) == (5, 0)


@pytest.mark.parametrize("request_id", ["unknown", "", "r-1:0", "r", "r-1:", "r-1'--", "西湖", "r-1:999999999999", "%", "\ud800"])
async def test_an_id_of_which_nothing_is_known_is_not_found(opened, request_id: str) -> None:
    """Nor one that can be no id at all."""
    async with opened(success("r-1")) as store:
        with pytest.raises(RequestNotFound):
            await store.story(request_id)


async def test_the_batch_shows_the_other_members_with_their_ends(opened) -> None:
    """One of them failed later, in delivery."""
    ours = success("r-1", span_id="000000000000000a", batch_id="b-1")
    other = refused(ErrorType.CLIENT_DISCONNECTED, "r-2", span_id="000000000000000b", batch_id="b-1")
    async with opened(ours, other, success("r-3", batch_id="b-2"), batches=[batch_of(ours, other)]) as store:
        batch = (await store.story("r-1")).attempts[0].batch
    assert (batch.batch_id, batch.started_unix_ns, batch.duration, batch.error_type) == ("b-1", STARTED + 2_000_000, 0.0095, None)
    assert batch.members == (summary(ours), summary(other))


async def test_a_batch_that_failed_says_why(opened) -> None:
    """The same reason as its members'."""
    event = refused(ErrorType.MODEL_FAILED, "r-1", batch_id="b-1")
    async with opened(event, batches=[batch_of(event, error_type=ErrorType.MODEL_FAILED)]) as store:
        attempt = (await store.story("r-1")).attempts[0]
    assert attempt.batch.error_type == "model_failed"
    assert attempt.spans[1].attributes["error.type"] == "model_failed"


async def test_without_the_batchs_own_record_the_story_goes_on(opened) -> None:
    """It was lost, or is not written yet."""
    async with opened(success("r-1")) as store:
        attempt = (await store.story("r-1")).attempts[0]
    assert attempt.batch is None
    assert [span.name for span in attempt.spans] == ["mgeo.inference"]


async def test_a_member_that_runs_twice_in_one_batch_call_is_told_apart(opened) -> None:
    """Two attempts of one id in two batches: each batch lists its own."""
    first = success("r-1", span_id="000000000000000a", batch_id="b-1")
    second = later(success("r-1", span_id="000000000000000b", batch_id="b-2"), 1)
    async with opened(first, second, batches=[batch_of(first), batch_of(second)]) as store:
        story = await store.story("r-1")
    assert [[member.span_id for member in attempt.batch.members] for attempt in story.attempts] == [
        ["000000000000000a"],
        ["000000000000000b"],
    ]


async def test_the_moment_counts_the_utc_minute_of_the_start(opened) -> None:
    """9:08:00 to 9:08:59.999…: inferences, those that count against the service, and the P95 of the successes alone."""
    minute = STARTED // (60 * SECOND) * 60 * SECOND
    inside = [
        success(f"r-{number}", started_unix_ns=minute + number * SECOND // 2, duration=(number + 1) / 1000, span_id=f"{number + 1:016x}")
        for number in range(40)
    ]
    ends = [success("first", started_unix_ns=minute, duration=9.0), success("last", started_unix_ns=minute + 60 * SECOND - 1, duration=8.0)]
    outside = [success("before", started_unix_ns=minute - 1, duration=99.0), success("after", started_unix_ns=minute + 60 * SECOND)]
    failed = [
        refused(error, f"e-{error}", started_unix_ns=minute + SECOND, duration=50.0)
        for error in (
            ErrorType.QUEUE_FULL,
            ErrorType.DEADLINE_EXCEEDED,
            ErrorType.INTERNAL,
            ErrorType.EMPTY_ADDRESS,
            ErrorType.CLIENT_DISCONNECTED,
        )
    ]
    async with opened(*inside, *ends, *outside, *failed) as store:
        moment = (await store.story("r-0")).attempts[0].moment
    # 42 successes; the 40th of them in order of duration, as 95 of 100 are no slower; or 95 % of the way from first to last.
    assert moment == Moment(inferences=47, failed=3, p95=0.04 if opened.exact_p95 else 0.03995, queue_depth=3)


async def test_a_minute_without_success_has_no_p95(opened) -> None:
    """Nor a queue depth, when the inference never got to the queue."""
    async with opened(refused(ErrorType.NOT_READY, "r-1")) as store:
        moment = (await store.story("r-1")).attempts[0].moment
    assert moment == Moment(inferences=1, failed=1, p95=None, queue_depth=None)


async def test_captured_text_is_in_the_story_and_does_not_print(opened) -> None:
    """Lone surrogates come back as they were sent."""
    text = CapturedText("杭州市西湖区\ud800", "")
    async with opened(success("r-1", text=text), success("r-2")) as store:
        attempt = (await store.story("r-1")).attempts[0]
        other = (await store.story("r-2")).attempts[0]
    assert attempt.text == (text if opened.keeps_text else None)
    assert other.text is None
    assert "西湖" not in repr(attempt)


async def test_a_search_lists_the_newest_first(opened) -> None:
    """By their starts, as summaries."""
    events = [later(success(f"r-{number}"), number) for number in (2, 0, 1)]
    async with opened(*events) as store:
        page = await store.search(Search())
    assert page.requests == (summary(events[0]), summary(events[2]), summary(events[1]))
    assert page.next_cursor is None


async def test_an_empty_store_has_an_empty_page(opened) -> None:
    """Not an error."""
    async with opened() as store:
        page = await store.search(Search())
    assert (page.requests, page.next_cursor) == ((), None)


def searched() -> list[InferenceEvent]:
    """One of each kind, a second apart."""
    partial = Answer(label="partial_match", similarity=0.5, not_match=0.0, partial_match=1.0, exact_match=0.0)
    return [
        success("exact"),
        later(success("partial", answer=partial, duration=0.8), 1),
        later(refused(ErrorType.EMPTY_ADDRESS, "invalid"), 2),
        later(refused(ErrorType.QUEUE_FULL, "overloaded"), 3),
        later(refused(ErrorType.DEADLINE_EXCEEDED, "timeout", duration=10.0), 4),
        later(refused(ErrorType.CLIENT_DISCONNECTED, "cancelled"), 5),
        later(refused(ErrorType.MODEL_FAILED, "error"), 6),
    ]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        *((Search(status=outcome), [outcome.value]) for outcome in Outcome if outcome is not Outcome.SUCCESS),
        (Search(status=Outcome.SUCCESS), ["partial", "exact"]),
        (Search(label="partial_match"), ["partial"]),
        (Search(label="not_match"), []),
        (Search(label="unheard_of"), []),
        (Search(min_latency=0.8), ["timeout", "partial"]),
        (Search(since_unix_ns=STARTED + 5 * SECOND), ["error", "cancelled"]),
        (Search(until_unix_ns=STARTED + 1 * SECOND), ["exact"]),
        (Search(since_unix_ns=STARTED + 1 * SECOND, until_unix_ns=STARTED + 3 * SECOND), ["invalid", "partial"]),
        (Search(since_unix_ns=-(1 << 80), until_unix_ns=1 << 80, limit=2), ["error", "cancelled"]),
        (Search(status=Outcome.SUCCESS, label="exact_match", min_latency=0.001, since_unix_ns=STARTED), ["exact"]),
        (Search(status=Outcome.ERROR, label="exact_match"), []),
    ],
)
async def test_a_search_finds_what_meets_every_condition(opened, search: Search, expected: list[str]) -> None:
    """From `since` on, and before `until`."""
    async with opened(*searched()) as store:
        assert found(await store.search(search)) == expected


@pytest.mark.parametrize(
    ("hashes", "expected"),
    [
        ([HASH1], ["swapped", "left", "right", "both"]),
        ([HASH2], ["swapped", "both"]),
        ([HASH1, HASH2], ["swapped", "both"]),
        ([HASH2, HASH1], ["swapped", "both"]),
        ([HASH1, HASH1], ["swapped", "left", "right", "both"]),
        ([HASH1, HASH3], ["left", "right"]),
        ([HASH2, HASH3], []),
        (["f" * 32], []),
        ([HASH1[:-1] + "0"], []),
        ([HASH1, HASH2, HASH3], []),
        (["not a hash"], []),
    ],
)
async def test_a_search_by_addresses_finds_them_on_either_side(opened, hashes: list[str], expected: list[str]) -> None:
    """Two addresses are the pair of one inference, in either order."""
    one, two, three = (AddressFacts(length=5, hash=digest) for digest in (HASH1, HASH2, HASH3))
    events = [
        success("both", address1=one, address2=two),
        later(success("right", address1=three, address2=one), 1),
        later(success("left", address1=one, address2=three), 2),
        later(success("swapped", address1=two, address2=one), 3),
        later(success("neither", address1=None, address2=AddressFacts(length=5)), 4),
    ]
    async with opened(*events) as store:
        assert found(await store.search(Search(address_hashes=hashes))) == expected


async def test_addresses_go_with_the_other_conditions(opened) -> None:
    """A complaint says when, too."""
    events = [later(success(f"r-{number}"), number) for number in range(6)]
    async with opened(*events) as store:
        page = await store.search(Search(address_hashes=[HASH2], since_unix_ns=STARTED + 2 * SECOND, limit=2))
        rest = await store.search(Search(address_hashes=[HASH2], since_unix_ns=STARTED + 2 * SECOND, limit=2, cursor=page.next_cursor))
    assert (found(page), found(rest), rest.next_cursor) == (["r-5", "r-4"], ["r-3", "r-2"], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 11])
async def test_pages_follow_one_another_without_gap_or_repetition(opened, limit: int) -> None:
    """Inferences that started at the same nanosecond included."""
    events = [later(success(f"r-{number}"), number // 4) for number in range(10)]
    async with opened(*events) as store:
        pages = []
        cursor = None
        while not pages or cursor is not None:
            page = await store.search(Search(limit=limit, cursor=cursor))
            assert len(page.requests) <= limit
            cursor = page.next_cursor
            pages.append(found(page))
    assert [request_id for page in pages for request_id in page] == [f"r-{number}" for number in reversed(range(10))]
    assert [] not in pages


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "1.2.3", "西湖", "\ud800", "A" * 27, "A" * 10_000, "../../etc"])
async def test_a_cursor_of_somebody_elses_is_refused_by_name(opened, cursor: str) -> None:
    """The caller is told which parameter it was."""
    async with opened(success()) as store:
        with pytest.raises(InvalidQuery) as caught:
            await store.search(Search(cursor=cursor))
    assert caught.value.parameter == "cursor"


async def test_a_search_of_everywhere_is_answered_or_refused_by_name(opened) -> None:
    """A store of one data folder does not pass its own requests off as those of all boxes."""
    async with opened(success("r-1")) as store:
        assert store.searches_everywhere == opened.everywhere
        if opened.everywhere:
            assert found(await store.search(Search(everywhere=True))) == ["r-1"]
            return
        with pytest.raises(InvalidQuery) as caught:
            await store.search(Search(everywhere=True))
    assert (caught.value.parameter, caught.value.detail) == (
        "everywhere",
        "everywhere asks Loki for the requests of all boxes, and Loki is not set up; set MGEO_LOKI_URL.",
    )
