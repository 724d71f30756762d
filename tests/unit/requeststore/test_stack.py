"""The store over the stack: from answers that real ones gave, and when one of them misbehaves as a real one cannot be made to."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from service.errors import BackendFailed, InvalidQuery, Outcome, RequestNotFound, StoreError
from service.requeststore.base import FiringAlert, MetricPoint, Moment, RequestStory, Search
from service.requeststore.layered import LayeredRequestStore
from service.requeststore.memory import MemoryRequestStore
from service.requeststore.stack import StackRequestStore, stack_wanted
from service.requeststore.stack_search import filters_of, is_cursor
from service.settings import Settings
from service.telemetry.event import AddressFacts, Answer, GpuFacts, InferenceEvent, Stage, StageTiming
from tests.inference_events import success
from tests.unit.requeststore.recorded import (
    INFERENCE,
    METADATA_1,
    METADATA_2,
    NOW,
    SERVER,
    STARTED,
    TRACE,
    RecordedStack,
    attribute,
    json_of,
    streams_of,
    trace_of,
    within_its_time,
)

EVENT = InferenceEvent(
    request_id="r-1",
    trace_id=TRACE,
    span_id="00000000000000a1",
    parent_span_id="b7ad6b7169203331",
    function="match",
    started_unix_ns=STARTED,
    duration=0.0125,
    outcome=Outcome.SUCCESS,
    stages=(StageTiming(stage=Stage.QUEUE, offset=0.0, duration=0.0012344),),
    address1=AddressFacts(length=17),
    truncated=False,
    batch_id="b-1",
    batch_size=2,
    answer=Answer(label="exact_match", similarity=0.9375, not_match=0.0, partial_match=0.125, exact_match=0.875),
    gpu=(GpuFacts(id="GPU-1", memory_usage=5, memory_limit=None, utilization=0.25, age=0.125),),
)
JAEGER_AWAY = "spans, stages, exceptions, devices and batches are missing"
LOKI_AWAY = "log lines, and what else ran in that minute, are missing"
PROMETHEUS_AWAY = "the alerts and metrics of that moment are missing"


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("All connection attempts failed", request=request)


def asleep(_request: httpx.Request) -> httpx.Response:
    raise TimeoutError


@pytest.fixture
def recorded() -> RecordedStack:
    return RecordedStack()


def store_of(recorded: RecordedStack, **options) -> StackRequestStore:
    return StackRequestStore(recorded.backends(**options), unix_ns=lambda: NOW)


async def test_a_story_is_put_together_from_all_three(recorded: RecordedStack) -> None:
    """The event from its span, the HTTP request around it, its line, its batch with both members, and the moment."""
    story = await store_of(recorded).story("r-1")
    (attempt,) = story.attempts
    assert (story.missing, story.more) == ((), 0)
    assert attempt.event == EVENT
    assert [span.name for span in attempt.spans] == ["POST /v1/match", "mgeo.inference", "mgeo.batch"]
    assert [(line.fields["latency_ms"], line.fields["truncated"], line.fields["batch_size"]) for line in attempt.logs] == [(12.5, False, 2)]
    assert [(member.request_id, member.status.value) for member in attempt.batch.members] == [("r-1", "success"), ("r-2", "error")]
    assert attempt.moment == Moment(
        inferences=6,
        failed=2,
        p95=0.0125,
        queue_depth=None,
        alerts=(FiringAlert(name="QueueDeep", severity="warning", since_unix_ns=1_795_603_380_000_000_000),),
        points=(
            MetricPoint(name="hw_gpu_utilization", value=0.5, distance=1.826738897, device="GPU-1"),
            MetricPoint(name="mgeo_queue_depth", value=7.0, distance=-1.987261103),
            MetricPoint(name="p95_seconds", value=0.024, distance=9.999738897),
        ),
    )
    assert recorded.paths("jaeger").count(f"/api/v3/traces/{TRACE}") == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (unreachable, "cannot be reached (ConnectError)"),
        (asleep, "did not answer within 5 s"),
        (lambda _: httpx.Response(500), "answered with status 500"),
        (lambda _: httpx.Response(200, content=b"<html>"), "answered with something that is not JSON"),
        (lambda _: json_of([]), "gave an answer that cannot be understood"),
        (lambda _: json_of({"result": {"resourceSpans": [7]}, "data": {"result": [7]}}), "gave an answer that cannot be understood"),
        (lambda _: json_of({"result": None, "data": None}), "gave an answer that cannot be understood"),
        (lambda _: json_of({"wrong": "path"}, status=404), "gave an answer that cannot be understood"),
    ],
)
@pytest.mark.parametrize(("host", "lacking"), [("jaeger", JAEGER_AWAY), ("loki", LOKI_AWAY), ("prometheus", PROMETHEUS_AWAY)])
async def test_one_store_that_misbehaves_leaves_the_rest_of_the_story(recorded, host, lacking, how, words) -> None:
    """And a sentence that says what is missing, and why."""
    recorded.broken[host] = how
    story = await store_of(recorded).story("r-1")
    (attempt,) = story.attempts
    assert story.missing == (f"{host.capitalize()} {words}: {lacking}",)
    assert attempt.event.answer.label == "exact_match"
    assert bool(attempt.spans) == (host != "jaeger")
    assert bool(attempt.logs) == (host != "loki")
    assert bool(attempt.moment.alerts) == (host != "prometheus")


async def test_two_stores_away_leave_what_the_third_knows(recorded: RecordedStack) -> None:
    """With a sentence for each."""
    recorded.broken |= {"loki": unreachable, "prometheus": asleep}
    story = await store_of(recorded).story("r-1")
    assert story.attempts[0].event == EVENT
    assert sorted(story.missing) == [
        f"Loki cannot be reached (ConnectError): {LOKI_AWAY}",
        f"Prometheus did not answer within 5 s: {PROMETHEUS_AWAY}",
    ]


async def test_a_store_that_failed_is_not_waited_for_again(recorded: RecordedStack) -> None:
    """Neither for the search by attributes nor for the batch."""
    recorded.broken["jaeger"] = asleep
    await store_of(recorded).story("r-1")
    assert recorded.paths("jaeger") == [f"/api/v3/traces/{TRACE}"]


async def test_a_server_that_accepts_and_never_answers_costs_the_timeout() -> None:
    """A real socket that says nothing."""
    ended = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, httpx.AsyncClient(trust_env=False, timeout=None) as client:
        settings = Settings.load(jaeger_url=f"http://127.0.0.1:{port}", lookup_timeout=0.05)
        with pytest.raises(StoreError, match=r"^it was not found, but not all could be asked: Jaeger did not answer within 0\.05 s$"):
            await StackRequestStore.of(settings, client).story("r-1")
        ended.set()


async def test_a_password_in_an_address_is_in_no_message() -> None:
    """Nor the address itself."""
    async with httpx.AsyncClient(trust_env=False) as client:
        settings = Settings.load(jaeger_url="http://user:geheim@127.0.0.1:9", loki_url="http://loki:port")
        with pytest.raises(StoreError) as caught:
            await StackRequestStore.of(settings, client).story("r-1")
    assert "geheim" not in str(caught.value)
    assert "Jaeger cannot be reached (connection refused)" in str(caught.value)
    assert "Loki cannot be reached (InvalidURL)" in str(caught.value)


async def test_an_answer_without_end_is_not_read_to_its_end(recorded: RecordedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr("service.requeststore.backend.MAX_ANSWER_BYTES", 10)
    with pytest.raises(BackendFailed, match=r"^Jaeger gave an answer that is too long$"):
        await recorded.backends().jaeger.trace(TRACE)


async def test_nothing_found_though_all_were_asked_is_not_found(recorded: RecordedStack) -> None:
    """Loki was searched slice by slice, to the end of what it keeps."""
    with pytest.raises(RequestNotFound):
        await store_of(recorded).story("r-unknown")
    slices = [request for request in recorded.asked if request.url.host == "loki"]
    bounds = [(int(each.url.params["start"]), int(each.url.params["end"])) for each in slices]
    assert [newer[0] for newer in bounds[:-1]] == [older[1] for older in bounds[1:]]
    assert NOW - bounds[-1][0] == 3 * 86_400 * 1_000_000_000


@pytest.mark.parametrize("request_id", ["", "r-1:", "西湖", "\ud800"])
async def test_what_can_be_no_id_is_not_asked_for(recorded: RecordedStack, request_id: str) -> None:
    """It is known of no store."""
    with pytest.raises(RequestNotFound):
        await store_of(recorded).story(request_id)
    assert recorded.asked == []


async def test_prometheus_alone_knows_no_request(recorded: RecordedStack) -> None:
    """It says which settings are wanted."""
    store = store_of(recorded, without=("jaeger", "loki"))
    with pytest.raises(StoreError, match="MGEO_JAEGER_URL and MGEO_LOKI_URL"):
        await store.story("r-1")
    with pytest.raises(StoreError, match="MGEO_LOKI_URL"):
        await store.search(Search())
    assert not store.knows_requests


async def test_without_loki_and_prometheus_the_trace_is_the_story(recorded: RecordedStack) -> None:
    """What is not set up is not missing."""
    recorded.traces["8d4ac7ee14e80a1b8d4ac7ee14e80a1b"] = trace_of()
    story = await store_of(recorded, without=("loki", "prometheus")).story("r-1")
    (attempt,) = story.attempts
    assert (attempt.event, attempt.logs, story.missing) == (EVENT, (), ())
    assert attempt.moment == Moment(inferences=None, failed=None, p95=None, queue_depth=None)
    assert [member.request_id for member in attempt.batch.members] == ["r-1"]


async def test_a_request_whose_trace_was_lost_is_told_from_its_line(recorded: RecordedStack) -> None:
    """And the story says so."""
    recorded.traces = {}
    story = await store_of(recorded).story("r-1")
    (attempt,) = story.attempts
    assert story.missing == (f"Jaeger does not have all of its traces: {JAEGER_AWAY}",)
    assert (attempt.event.outcome, attempt.event.duration, attempt.event.model_name, attempt.in_jaeger) == (
        Outcome.SUCCESS,
        0.0125,
        "mgeo-embedded",
        False,
    )


@pytest.mark.parametrize(
    "changed",
    [
        attribute("mgeo.status", "stringValue", "perplexed"),
        attribute("error.type", "stringValue", "unheard_of"),
        attribute("mgeo.gpu.utilization", "stringValue", "7"),
        attribute("mgeo.gpu.utilization", "kvlistValue", {}),
    ],
)
async def test_a_span_of_a_version_that_knows_more_is_told_from_the_line(recorded: RecordedStack, changed) -> None:
    """The line of that version may still be understood."""
    attributes = [each for each in INFERENCE["attributes"] if each["key"] != changed["key"]]
    recorded.traces[TRACE] = trace_of({**INFERENCE, "attributes": [*attributes, changed]})
    (attempt,) = (await store_of(recorded).story("r-1")).attempts
    assert attempt.event.stages == ()
    assert attempt.event.answer.label == "exact_match"


async def test_traces_past_the_bound_are_counted(recorded: RecordedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that is used for everything does not load all there is."""
    monkeypatch.setattr("service.requeststore.stack_story.MAX_TRACES", 2)
    recorded.found = {"data": [{"traceID": f"{number:032x}"} for number in range(1, 6)]}
    story = await store_of(recorded).story("r-1")
    assert story.missing == ("3 of its traces were not asked for: a story brings 2 together",)


async def test_moments_past_the_bound_are_named(recorded: RecordedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs the stores several questions."""
    monkeypatch.setattr("service.requeststore.stack_story.MAX_MOMENTS", 1)
    later = {
        **INFERENCE,
        "spanId": "00000000000000a2",
        "startTimeUnixNano": str(STARTED + 120 * 10**9),
        "endTimeUnixNano": str(STARTED + 121 * 10**9),
    }
    recorded.traces[TRACE] = trace_of(INFERENCE, later)
    story = await store_of(recorded).story("r-1")
    assert story.missing == (
        "log lines were looked up for the oldest 1 moments only",
        "alerts and metrics were looked up for the oldest 1 moments only",
    )
    assert [attempt.moment.inferences for attempt in story.attempts] == [6, None]


async def test_what_was_found_before_the_search_was_given_up_is_told(recorded: RecordedStack) -> None:
    """Loki failed on an older slice."""
    answers = iter([json_of(streams_of(METADATA_1))])
    recorded.traces = {}
    recorded.broken["loki"] = lambda _: next(answers, httpx.Response(500))
    story = await store_of(recorded).story("r-1")
    assert [attempt.event.request_id for attempt in story.attempts] == ["r-1"]
    assert "Loki was not searched to the end of what it keeps: older attempts may be missing" in story.missing


@pytest.mark.parametrize("first", [json_of(streams_of()), json_of(streams_of(METADATA_1))])
async def test_slices_that_take_too_long_together_end_the_search(recorded: RecordedStack, first: httpx.Response) -> None:
    """What the first of them had is told; without any it is an error, since nobody knows."""
    answers = iter([first])
    recorded.traces = {}

    def later(_: httpx.Request):
        return next(answers, None) or asyncio.Event().wait()

    recorded.broken["loki"] = later
    store = store_of(recorded, timeout=0.1)
    if first.json()["data"]["result"]:
        story = await store.story("r-1")
        assert "Loki was not searched to the end of what it keeps: older attempts may be missing" in story.missing
    else:
        with pytest.raises(StoreError, match=r"Loki did not find it within 0\.1 s"):
            await store.story("r-1")


async def test_a_call_of_many_pairs_is_told_whole(recorded: RecordedStack) -> None:
    """Each with the HTTP request around it, from one large answer."""
    others = [each for each in INFERENCE["attributes"] if each["key"] not in {"mgeo.request.id", "mgeo.batch.id"}]
    pairs = [
        {**INFERENCE, "spanId": f"{index + 1:016x}", "attributes": [*others, attribute("mgeo.request.id", "stringValue", f"r-1:{index}")]}
        for index in range(256)
    ]
    recorded.traces[TRACE] = trace_of(SERVER, *pairs)
    story = await store_of(recorded).story("r-1")
    assert [attempt.event.request_id for attempt in story.attempts] == [f"r-1:{index}" for index in range(256)]
    assert {tuple(span.name for span in attempt.spans) for attempt in story.attempts} == {("POST /v1/match", "mgeo.inference")}
    assert recorded.paths("jaeger").count(f"/api/v3/traces/{TRACE}") == 1
    assert recorded.paths("prometheus") == ["/api/v1/query", "/api/v1/query", "/api/v1/query_range"]


async def test_a_member_that_is_not_understood_is_left_out_of_its_batch(recorded: RecordedStack) -> None:
    """It is of a version with more outcomes."""
    recorded.broken["loki"] = lambda request: (
        json_of(streams_of(METADATA_1, {**METADATA_2, "status": "perplexed"}))
        if "batch_id" in request.url.params["query"]
        else recorded._loki(request)
    )
    (attempt,) = (await store_of(recorded).story("r-1")).attempts
    assert [member.request_id for member in attempt.batch.members] == ["r-1"]


async def test_a_search_reads_records_as_summaries(recorded: RecordedStack) -> None:
    """Newest first, those of one nanosecond by their ids; one more than asked for tells that there is a next page."""
    recorded.broken["loki"] = within_its_time(METADATA_1, METADATA_2)
    page = await store_of(recorded).search(Search(limit=1))
    assert [(each.request_id, each.status.value, each.error_type, each.duration) for each in page.requests] == [
        ("r-2", "error", "model_failed", 0.0015)
    ]
    assert page.next_cursor == f"s{STARTED}.00000000000000b1.r-2"
    assert is_cursor(page.next_cursor)
    rest = await store_of(recorded).search(Search(limit=1, cursor=page.next_cursor))
    assert [each.request_id for each in rest.requests] == ["r-1"]
    assert rest.next_cursor is None


async def test_a_record_that_is_not_understood_is_left_out_of_a_page(recorded: RecordedStack) -> None:
    """Of a version with more outcomes; and lines of anything else are none of inferences."""
    recorded.broken["loki"] = within_its_time({**METADATA_1, "status": "perplexed"}, METADATA_2, {"request_id": "r-3"})
    page = await store_of(recorded).search(Search())
    assert [each.request_id for each in page.requests] == ["r-2"]


async def test_a_search_that_takes_too_long_is_an_error(recorded: RecordedStack) -> None:
    """All its slices together have the time of one answer."""
    answers = iter([json_of(streams_of())])
    recorded.broken["loki"] = lambda _: next(answers, None) or asyncio.Event().wait()
    with pytest.raises(StoreError, match=r"^Loki did not find it within 0\.1 s$"):
        await store_of(recorded, timeout=0.1).search(Search())


async def test_a_search_outside_of_what_is_kept_asks_nobody(recorded: RecordedStack) -> None:
    """Its page is empty."""
    page = await store_of(recorded).search(Search(until_unix_ns=5))
    assert (page.requests, page.next_cursor, recorded.asked) == ((), None, [])


async def test_a_foreign_cursor_is_refused_before_anybody_is_asked(recorded: RecordedStack) -> None:
    """The caller is told which parameter it was."""
    with pytest.raises(InvalidQuery):
        await store_of(recorded).search(Search(cursor="12.3"))
    assert recorded.asked == []


def test_the_conditions_of_a_search_are_quoted() -> None:
    """Nothing in a value can end the query; a lone surrogate, which nothing stored has, becomes a mark."""
    search = Search(status=Outcome.ERROR, label='x" | y\ud800', min_latency=0.8, address_hashes=["ab", "cd"])
    assert filters_of(search) == [
        'status="error"',
        'label="x\\" | y?"',
        "latency_ms>=800.000",
        'address1_hash="ab" or address2_hash="ab"',
        'address1_hash="cd" or address2_hash="cd"',
    ]


async def test_the_query_names_the_stream_the_event_and_the_pairs_of_a_call(recorded: RecordedStack) -> None:
    """Literally, as Loki gets it."""
    await store_of(recorded).story("r-1")
    queries = [request.url.params["query"] for request in recorded.asked if request.url.host == "loki"]
    assert queries[0] == r'{service_name="mgeo"} |= `mgeo.inference` | request_id="r-1" or request_id=~`r\-1:[0-9]+`'
    assert '{service_name="mgeo"} |= `mgeo.inference` | batch_id="b-1"' in queries


def test_the_stack_is_wanted_when_any_store_is_named() -> None:
    """None of them is by default."""
    assert not stack_wanted(Settings.load())
    assert stack_wanted(Settings.load(prometheus_url="http://127.0.0.1:9090"))


class Layers:
    """An embedded store in memory, and the recorded stack beside it."""

    def __init__(self, recorded: RecordedStack, **options) -> None:
        self.embedded = MemoryRequestStore(instance="one")
        self.store = LayeredRequestStore(self.embedded, store_of(recorded, **options))


async def test_a_story_of_the_embedded_store_is_enriched(recorded: RecordedStack) -> None:
    """With the HTTP request, alerts and points; event, line, batch and counts stay its own."""
    layers = Layers(recorded)
    layers.embedded.add(EVENT)
    before = await layers.embedded.story("r-1")
    story = await layers.store.story("r-1")
    (attempt,) = story.attempts
    assert [span.name for span in attempt.spans] == ["POST /v1/match", "mgeo.inference"]
    assert (attempt.moment.inferences, len(attempt.moment.alerts), len(attempt.moment.points)) == (1, 1, 3)
    assert attempt.in_jaeger
    bare = replace(attempt, spans=attempt.spans[1:], moment=replace(attempt.moment, alerts=(), points=()), in_jaeger=False)
    assert story == replace(before, attempts=(attempt,))
    assert bare == before.attempts[0]
    assert recorded.paths("loki") == []


async def test_a_stack_that_is_away_leaves_the_embedded_story_whole(recorded: RecordedStack) -> None:
    """And says what it would have added."""
    layers = Layers(recorded)
    layers.embedded.add(EVENT)
    recorded.broken |= {"jaeger": unreachable, "prometheus": unreachable}
    story = await layers.store.story("r-1")
    before = await layers.embedded.story("r-1")
    assert story.attempts == before.attempts
    assert sorted(story.missing) == [
        "Jaeger cannot be reached (ConnectError): the HTTP request around it is missing",
        f"Prometheus cannot be reached (ConnectError): {PROMETHEUS_AWAY}",
    ]


async def test_the_stack_answers_what_the_embedded_store_does_not_know(recorded: RecordedStack) -> None:
    """Another process served it, or its rows are gone."""
    layers = Layers(recorded)
    assert (await layers.store.story("r-1")).attempts[0].event == EVENT
    with pytest.raises(RequestNotFound):
        await layers.store.story("r-unknown")


async def test_the_stack_answers_when_the_embedded_store_cannot_be_read(recorded: RecordedStack) -> None:
    """The story says that captured text may be missing; the search goes on over pages of the stack."""
    layers = Layers(recorded)
    layers.embedded.broken = True
    story: RequestStory = await layers.store.story("r-1")
    assert story.missing == ("this store was told to fail: captured text is missing",)
    recorded.broken["loki"] = within_its_time(METADATA_1, METADATA_2)
    page = await layers.store.search(Search(limit=1))
    layers.embedded.broken = False
    rest = await layers.store.search(Search(limit=1, cursor=page.next_cursor))
    assert [each.request_id for each in (*page.requests, *rest.requests)] == ["r-2", "r-1"]


async def test_with_prometheus_alone_the_embedded_store_has_the_last_word(recorded: RecordedStack) -> None:
    """Prometheus knows no request."""
    layers = Layers(recorded, without=("jaeger", "loki"))
    with pytest.raises(RequestNotFound):
        await layers.store.story("r-1")
    layers.embedded.broken = True
    with pytest.raises(StoreError, match="told to fail"):
        await layers.store.story("r-1")
    with pytest.raises(StoreError, match="told to fail"):
        await layers.store.search(Search())


async def test_a_search_is_of_the_embedded_store_and_both_are_closed(recorded: RecordedStack) -> None:
    """Its cursor is not for the stack."""
    layers = Layers(recorded)
    layers.embedded.add(success("mine"))
    assert [each.request_id for each in (await layers.store.search(Search())).requests] == ["mine"]
    layers.embedded.broken = True
    with pytest.raises(StoreError):
        await layers.store.search(Search(cursor="12.3"))
    layers.store.close()
    assert recorded.asked == []


async def test_a_search_of_everywhere_is_of_the_stack_page_after_page(recorded: RecordedStack) -> None:
    """The requests of this data folder come with those of the others, from Loki; the cursor leads on there, also without the word."""
    layers = Layers(recorded)
    layers.embedded.add(success("mine"))
    recorded.broken["loki"] = within_its_time(METADATA_1, METADATA_2)
    assert layers.store.searches_everywhere
    page = await layers.store.search(Search(everywhere=True, limit=1))
    rest = [await layers.store.search(Search(everywhere=word, limit=1, cursor=page.next_cursor)) for word in (True, False)]
    assert [each.request_id for each in page.requests] == ["r-2"]
    assert [[each.request_id for each in further.requests] for further in rest] == [["r-1"], ["r-1"]]
    assert [further.next_cursor for further in rest] == [None, None]


async def test_a_search_of_everywhere_does_not_go_on_from_a_page_of_here(recorded: RecordedStack) -> None:
    """It would leave out or repeat requests; the parameter is named."""
    layers = Layers(recorded)
    for name in ("one", "two"):
        layers.embedded.add(success(name))
    page = await layers.store.search(Search(limit=1))
    with pytest.raises(InvalidQuery) as caught:
        await layers.store.search(Search(everywhere=True, cursor=page.next_cursor))
    assert (caught.value.parameter, recorded.asked) == ("cursor", [])


async def test_a_search_of_everywhere_is_not_answered_from_here_when_loki_cannot_tell(recorded: RecordedStack) -> None:
    """An answer of this box alone would be taken for the whole."""
    layers = Layers(recorded)
    layers.embedded.add(success("mine"))
    recorded.broken["loki"] = unreachable
    with pytest.raises(StoreError, match="Loki cannot be reached"):
        await layers.store.search(Search(everywhere=True))


@pytest.mark.parametrize("broken", [False, True])
async def test_without_loki_a_search_of_everywhere_is_refused(recorded: RecordedStack, broken: bool) -> None:
    """Jaeger knows requests, but not how to search them; whatever becomes of the embedded store."""
    layers = Layers(recorded, without=("loki",))
    layers.embedded.broken = broken
    assert not layers.store.searches_everywhere
    with pytest.raises(InvalidQuery, match=r"set MGEO_LOKI_URL\.$") as caught:
        await layers.store.search(Search(everywhere=True))
    assert caught.value.parameter == "everywhere"
    assert recorded.asked == []


async def test_with_jaeger_alone_a_search_has_no_other_place_to_go(recorded: RecordedStack) -> None:
    """The embedded store's own reason is told."""
    layers = Layers(recorded, without=("loki", "prometheus"))
    layers.embedded.broken = True
    with pytest.raises(StoreError, match="told to fail"):
        await layers.store.search(Search())
