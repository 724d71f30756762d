"""The story of a request in a real Jaeger, Loki and Prometheus: what the contract suite, which also runs there, leaves open."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from cli.main import main
from service.errors import RequestNotFound, StoreError
from service.requeststore.backend import Backend
from service.requeststore.base import FiringAlert, MetricPoint, Search
from service.requeststore.layered import LayeredRequestStore
from service.requeststore.memory import MemoryRequestStore
from service.requeststore.prometheus import PrometheusMetrics
from service.requeststore.stack import StackRequestStore, stack_client
from service.settings import Settings
from service.telemetry import names
from service.telemetry.event import InferenceEvent
from service.telemetry.gauges import observe_value
from service.telemetry.ids import new_request_id, trace_id_of
from service.telemetry.log_record import inference_record
from tests.deadline import until
from tests.inference_events import SECOND, batch_of, success
from tests.stack.alerting import alerting_prometheus
from tests.stack.sender import Sender, StackUrls
from tests.stack.visible import until_visible

__all__ = ["alerting_prometheus"]

pytestmark = pytest.mark.stack

CALLERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NOBODY = "http://127.0.0.1:9"


def recent(request_id: str, seconds_ago: float = 60, **changes) -> InferenceEvent:
    return success(request_id, started_unix_ns=time.time_ns() - round(seconds_ago * SECOND), **changes)


@dataclass
class Stack:
    """A service of its own in the stack: what sends for it, and stores that ask for it."""

    urls: StackUrls
    service: str
    sender: Sender
    client: httpx.AsyncClient

    def store(self, **settings: object) -> StackRequestStore:
        """The store by these settings; each backend that is not named is the real one."""
        urls = {"jaeger_url": self.urls.jaeger, "loki_url": self.urls.loki, "prometheus_url": self.urls.prometheus}
        return StackRequestStore.of(Settings.load(**{**urls, **settings}), self.client, service=self.service)

    async def send(self, *events: InferenceEvent, batches=()) -> None:
        """Send and wait until all of it can be looked up."""
        self.sender.send(*events, batches=list(batches))
        backends = self.store()._backends
        await until_visible(backends.jaeger, backends.loki, events, batches)


@pytest.fixture
async def stack(stack_urls: StackUrls):
    service = f"mgeo-{uuid.uuid4()}"
    sender = Sender(stack_urls, service)
    async with stack_client() as client:
        yield Stack(stack_urls, service, sender, client)
    sender.close()


async def test_the_http_request_is_around_the_inference(stack: Stack) -> None:
    """The server span comes first, and the trace can be opened."""
    event = recent("r-1")
    stack.sender.serve(event)
    await stack.send(event)
    (attempt,) = (await stack.store().story("r-1")).attempts
    assert [(span.name, span.span_id) for span in attempt.spans] == [
        ("POST /v1/match", "b7ad6b7169203331"),
        ("mgeo.inference", "00f067aa0ba902b7"),
    ]
    assert attempt.spans[0].duration == 0.0145
    assert attempt.spans[0].attributes["http.route"] == "/v1/match"
    assert attempt.in_jaeger


async def test_what_runs_inside_an_inference_is_told_with_it(stack: Stack) -> None:
    """A decorated function called by another; each is an attempt under the id, too."""
    outer = recent("r-1")
    inner = replace(outer, span_id="00000000000000c1", parent_span_id=outer.span_id, function="score", duration=0.001)
    await stack.send(outer, inner)
    first, second = (await stack.store().story("r-1")).attempts
    assert {first.event.function, second.event.function} == {"match", "score"}
    whole = first if first.event.function == "match" else second
    assert [span.span_id for span in whole.spans] == ["00f067aa0ba902b7", "00000000000000c1"]


async def test_attempts_in_callers_own_traces_are_found_beside_the_own_one(stack: Stack) -> None:
    """A repeated id: once with a traceparent, once without; each with its log line."""
    own = recent("r-1", 300, span_id="00000000000000a1")
    callers = recent("r-1", 30, span_id="00000000000000b1", trace_id=CALLERS_TRACE)
    await stack.send(own, callers)
    story = await stack.store().story("r-1")
    assert [attempt.event for attempt in story.attempts] == [own, callers]
    assert [[line.fields["trace_id"] for line in attempt.logs] for attempt in story.attempts] == [[trace_id_of("r-1")], [CALLERS_TRACE]]
    assert story.missing == ()


async def test_a_pair_in_a_callers_trace_is_found_by_the_bare_id_and_by_its_own(stack: Stack) -> None:
    """The call came with a traceparent."""
    pairs = [recent(f"r-1:{index}", span_id=f"00000000000000a{index}", trace_id=CALLERS_TRACE) for index in range(3)]
    await stack.send(*pairs)
    assert [each.event.request_id for each in (await stack.store().story("r-1")).attempts] == ["r-1:0", "r-1:1", "r-1:2"]
    assert [each.event.request_id for each in (await stack.store().story("r-1:2")).attempts] == ["r-1:2"]


async def test_without_jaeger_the_log_tells_what_it_knows(stack: Stack) -> None:
    """The answer, but no probabilities; and the story says what is missing, and why."""
    event = recent(new_request_id())
    await stack.send(event)
    story = await stack.store(jaeger_url=NOBODY).story(event.request_id)
    (attempt,) = story.attempts
    assert (attempt.event.answer.label, attempt.event.answer.similarity, attempt.event.duration) == ("exact_match", 0.9375, 0.0125)
    assert [line.fields for line in attempt.logs] == [inference_record(event, service=stack.service, instance="one")]
    assert (attempt.spans, attempt.batch, attempt.in_jaeger) == ((), None, False)
    assert attempt.moment.inferences == 1
    assert story.missing == ("Jaeger cannot be reached (connection refused): spans, stages, exceptions, devices and batches are missing",)


async def test_a_trace_that_only_loki_knows_of_is_fetched_from_jaeger(stack: Stack) -> None:
    """The search by attributes goes a day back here, the trace is older: the log has its id."""
    event = recent("r-1", 7200, trace_id=CALLERS_TRACE)
    await stack.send(event)
    store = stack.store()
    store._backends = replace(store._backends, trace_retention=60)
    story = await store.story("r-1")
    assert [attempt.event for attempt in story.attempts] == [event]
    assert story.missing == ()


async def test_without_loki_the_trace_tells_what_it_knows(stack: Stack) -> None:
    """With the batch and its members; no log lines, and no count of the minute."""
    events = [recent(f"r-{number}", span_id=f"00000000000000a{number}", batch_id="b-1") for number in (1, 2)]
    await stack.send(*events, batches=[batch_of(*events)])
    story = await stack.store(loki_url=NOBODY).story("r-1")
    (attempt,) = story.attempts
    assert attempt.event == events[0]
    assert [member.request_id for member in attempt.batch.members] == ["r-1", "r-2"]
    assert (attempt.logs, attempt.moment.inferences, attempt.moment.failed, attempt.moment.p95) == ((), None, None, None)
    assert story.missing == ("Loki cannot be reached (connection refused): log lines, and what else ran in that minute, are missing",)


async def test_without_prometheus_only_the_moment_is_poorer(stack: Stack) -> None:
    """And the story says so."""
    await stack.send(recent("r-1"))
    story = await stack.store(prometheus_url=NOBODY).story("r-1")
    assert story.attempts[0].moment.inferences == 1
    assert story.missing == ("Prometheus cannot be reached (connection refused): the alerts and metrics of that moment are missing",)


async def test_nothing_is_known_only_when_all_could_be_asked(stack: Stack) -> None:
    """Else it may well be there."""
    with pytest.raises(RequestNotFound):
        await stack.store().story("r-unknown")
    with pytest.raises(StoreError, match=r"^it was not found, but not all could be asked: Loki cannot be reached \(connection refused\)$"):
        await stack.store(loki_url=NOBODY).story("r-unknown")
    with pytest.raises(StoreError, match=r"Jaeger cannot be reached .*; Loki cannot be reached"):
        await stack.store(jaeger_url=NOBODY, loki_url=NOBODY).story("r-unknown")


async def test_what_the_embedded_store_knows_is_enriched(stack: Stack) -> None:
    """With the HTTP request around it; what it knows better stays."""
    event = recent("r-1")
    stack.sender.serve(event)
    await stack.send(event, recent("r-2", span_id="00000000000000b1"))
    embedded = MemoryRequestStore(instance="one")
    embedded.add(event)
    store = LayeredRequestStore(embedded, stack.store())
    (attempt,) = (await store.story("r-1")).attempts
    assert [span.name for span in attempt.spans] == ["POST /v1/match", "mgeo.inference"]
    assert attempt.moment.inferences == 1
    assert attempt.in_jaeger
    assert [attempt.event.request_id for attempt in (await store.story("r-2")).attempts] == ["r-2"]


async def test_alerts_and_points_of_that_moment_are_told(stack: Stack, alerting_prometheus: str) -> None:
    """The queue is deep, so one rule of two fires; the nearest point of the queue is told with its distance, the P95 with its value."""
    urls = replace(stack.urls, metrics=f"{alerting_prometheus}/api/v1/otlp/v1/metrics")
    sender = Sender(urls, stack.service)
    observe_value(sender.meter, names.QUEUE_LENGTH, lambda: 7)
    sender.send(recent("r-0", 1, duration=0.012))

    def firing() -> list[object]:
        query = {"query": 'ALERTS{alertstate="firing"}'}
        return httpx.get(f"{alerting_prometheus}/api/v1/query", params=query, trust_env=False).json()["data"]["result"]

    until(firing)
    event = recent("r-1", 0, duration=0.012)
    sender.send(event)
    sender.close()
    prometheus = PrometheusMetrics(Backend(stack.client, name="Prometheus", url=alerting_prometheus, timeout=20), service=stack.service)
    (alert,) = await prometheus.alerts(event.started_unix_ns)
    assert alert == FiringAlert(name="QueueDeep", severity="warning", since_unix_ns=alert.since_unix_ns)
    assert 0 <= event.started_unix_ns - alert.since_unix_ns < 60 * SECOND
    assert await prometheus.alerts(event.started_unix_ns - 600 * SECOND) == ()
    points = {point.name: point for point in await prometheus.points(event.started_unix_ns, "one")}
    assert points["mgeo_queue_depth"] == MetricPoint(name="mgeo_queue_depth", value=7.0, distance=points["mgeo_queue_depth"].distance)
    assert abs(points["mgeo_queue_depth"].distance) < 30
    assert 0.01 < points["p95_seconds"].value <= 0.025
    assert await prometheus.points(event.started_unix_ns, "another") == ()
    assert await prometheus.points(event.started_unix_ns - 600 * SECOND, "one") == ()


async def test_a_long_list_of_one_nanosecond_is_paged_without_gap(stack: Stack) -> None:
    """A batch call of many pairs, all of which began at once, across several pages."""
    first = recent("r-1:0")
    pairs = [replace(first, request_id=f"r-1:{index}", span_id=f"{index + 1:016x}") for index in range(40)]
    await stack.send(*pairs, recent("older", 120))
    store, seen, cursor = stack.store(), [], None
    while True:
        page = await store.search(Search(limit=7, cursor=cursor))
        seen += [request.request_id for request in page.requests]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(["older", *(pair.request_id for pair in pairs)])
    assert seen[-1] == "older"


@asynccontextmanager
async def as_mgeo(urls: StackUrls):
    """What the service calls itself, so that the program finds it."""
    sender = Sender(urls, names.SERVICE_NAME)
    yield sender
    sender.close()


async def test_mgeo_lookup_asks_the_stack_without_a_service_or_a_data_folder(
    stack_urls: StackUrls, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the settings name one."""
    event = recent(new_request_id(), span_id=f"{time.time_ns():016x}")
    async with as_mgeo(stack_urls) as sender:
        sender.send(event)
        backends = replace(stack, service=names.SERVICE_NAME).store()._backends
        await until_visible(backends.jaeger, backends.loki, [event], [])
    for name, url in (("JAEGER", stack_urls.jaeger), ("LOKI", stack_urls.loki), ("PROMETHEUS", stack_urls.prometheus)):
        monkeypatch.setenv(f"MGEO_{name}_URL", url)
    # Beside this test's event loop, since the program has one of its own.
    assert await asyncio.to_thread(main, ["lookup", event.request_id, "--data-dir", str(tmp_path / "none"), "--json"]) == 0
    (attempt,) = json.loads(capsys.readouterr().out)["attempts"]
    assert (attempt["span_id"], attempt["outcome"]["status"]) == (event.span_id, "success")
    assert attempt["links"]["trace"] == f"{stack_urls.jaeger}/api/v3/traces/{event.trace_id}"
    assert httpx.get(attempt["links"]["trace"], trust_env=False).status_code == 200
    assert httpx.get(attempt["links"]["logs"], trust_env=False).status_code == 200
    assert httpx.get(attempt["links"]["metrics"], trust_env=False).status_code == 200
    assert not (tmp_path / "none").exists()
