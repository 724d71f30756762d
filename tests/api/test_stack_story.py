"""What the stack adds to a story: as JSON, and on the page."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from service.api.assets import load_assets
from service.api.links import StackLinks
from service.api.pages import Pages
from service.api.problem import json_bytes
from service.api.story import StoryRenderer
from service.requeststore.base import FiringAlert, MetricPoint, Moment, RequestStory
from service.requeststore.memory import MemoryRequestStore
from service.telemetry.event import Answer
from tests.api.events import START, SUCCESS, TRACE
from tests.api.test_pages import Page

SECOND = 1_000_000_000
STACK = StackLinks(jaeger="http://127.0.0.1:16686", loki="http://127.0.0.1:3100", prometheus="http://127.0.0.1:9090")


@pytest.fixture
async def story() -> RequestStory:
    """A success, in a moment in which one alert fired."""
    store = MemoryRequestStore(instance="host-1")
    store.add(SUCCESS)
    found = await store.story("shop-42")
    alerts = (
        FiringAlert(name="SlowAnswers", severity="critical", since_unix_ns=START - 90 * SECOND),
        FiringAlert(name="Watchdog", severity=None, since_unix_ns=START - 86_400 * SECOND),
    )
    points = (
        MetricPoint(name="hw_gpu_utilization", value=0.5, distance=2.5, device="GPU-1"),
        MetricPoint(name="mgeo_queue_depth", value=7.0, distance=-4.25),
    )
    (attempt,) = found.attempts
    return replace(found, attempts=(replace(attempt, moment=replace(attempt.moment, alerts=alerts, points=points), in_jaeger=True),))


def bare(story: RequestStory) -> RequestStory:
    """The same as a log line alone tells it."""
    unknown = Answer(label="exact_match", similarity=math.nan, not_match=math.nan, partial_match=math.nan, exact_match=math.nan)
    (attempt,) = story.attempts
    event = replace(attempt.event, answer=unknown, stages=(), gpu=())
    moment = Moment(inferences=None, failed=None, p95=None, queue_depth=None)
    return replace(story, attempts=(replace(attempt, event=event, moment=moment, spans=(), in_jaeger=False),))


def shown(story: RequestStory, stack: StackLinks | None = None) -> Page:
    """The page of a story."""
    pages = Pages(assets=load_assets(), version="0.1.0", needs_key=False)
    return Page(bytes(pages.story(StoryRenderer(stack=stack).story(story)).body).decode())


async def test_alerts_and_points_are_members_of_the_moment(story: RequestStory) -> None:
    """Moments in RFC 3339, distances in milliseconds, negative before the start."""
    moment = StoryRenderer().story(story)["attempts"][0]["moment"]
    assert moment["alerts"] == [
        {"name": "SlowAnswers", "severity": "critical", "since": "2026-11-22T07:58:30.000000Z"},
        {"name": "Watchdog", "severity": None, "since": "2026-11-21T08:00:00.000000Z"},
    ]
    assert moment["points"] == [
        {"name": "hw_gpu_utilization", "value": 0.5, "device": "GPU-1", "distance_ms": 2500.0},
        {"name": "mgeo_queue_depth", "value": 7.0, "device": None, "distance_ms": -4250.0},
    ]


async def test_links_into_the_stack_stand_beside_our_own(story: RequestStory) -> None:
    """Those of the renderer that knows where people reach it."""
    links = StoryRenderer(stack=STACK).story(story)["attempts"][0]["links"]
    assert list(links) == ["self", "call", "same_minute", "trace", "logs", "metrics"]
    assert links["trace"] == f"http://127.0.0.1:16686/api/v3/traces/{TRACE}"
    assert list(StoryRenderer().story(story)["attempts"][0]["links"]) == ["self", "call", "same_minute"]


async def test_what_only_a_log_line_tells_is_valid_json(story: RequestStory) -> None:
    """What is not known is null, and never no number."""
    told = StoryRenderer().story(bare(story))
    assert told["attempts"][0]["answer"] == {"label": "exact_match", "similarity": None, "probabilities": None}
    assert told["attempts"][0]["moment"]["inferences"] is None
    assert b"NaN" not in json_bytes(told)


async def test_the_page_tells_alerts_points_and_where_to_see_more(story: RequestStory) -> None:
    """In words, with links that lead somewhere."""
    page = shown(story, STACK)
    words = page.words()
    assert "Firing: SlowAnswers critical, its condition true since 2026-11-22 07:58:30 UTC" in words
    assert "Firing: Watchdog, its condition true since 2026-11-21 08:00:00 UTC" in words
    assert "hw_gpu_utilization GPU-1 0.5 2.50 s after" in words
    assert "mgeo_queue_depth 7 4.25 s before" in words
    assert [address.split("?")[0] for address in page.addresses() if address.startswith("http:")] == [
        f"http://127.0.0.1:16686/api/v3/traces/{TRACE}",
        "http://127.0.0.1:9090/api/v1/query_range",
        "http://127.0.0.1:3100/loki/api/v1/query_range",
    ]


async def test_the_page_says_what_is_not_known(story: RequestStory) -> None:
    """Without a store of the stack, and from a log line alone."""
    page = shown(replace(bare(story), missing=("Jaeger did not answer within 5 s: <b>spans</b> are missing",)))
    words = page.words()
    assert "Jaeger did not answer within 5 s: <b>spans</b> are missing" in words
    assert "What else ran in the minute from 2026-11-22 08:00:00 UTC is not known." in words
    assert "exact_match" in words
    assert "with similarity" not in words
    assert not any(address.startswith("http") for address in page.addresses())
