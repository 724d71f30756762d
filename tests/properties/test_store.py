"""The embedded store against the store in memory: whatever was served, both tell the same."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Outcome, RequestNotFound
from service.requeststore.base import Attempt, RequestStore, RequestSummary, Search
from service.requeststore.memory import MemoryRequestStore
from service.requeststore.sqlite import SqliteRequestStore
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry.event import AddressFacts, Clock, InferenceEvent
from tests.strategies import events

MINUTE = 60_000_000_000

# Few ids, addresses and moments, so that they meet.
_ids = st.sampled_from(["r-1", "r-2", "r-1:0", "r-1:1", "0193f2a0-0000-7000-8000-000000000001", "0193f2a0-0000-7000-8000-000000000001:7"])
_hashes = st.sampled_from(["0" * 32, "0" * 31 + "1", "f" * 32])
_addresses = st.none() | st.builds(AddressFacts, length=st.integers(0, 100), hash=st.none() | _hashes)
_moments = st.integers(0, 8).map(lambda step: step * MINUTE // 4)


@st.composite
def served(draw) -> list[InferenceEvent]:
    """Up to twelve inferences that have much in common, each with a span of its own."""
    return [
        replace(
            event,
            request_id=draw(_ids),
            span_id=f"{number:016x}",
            parent_span_id=None,
            started_unix_ns=draw(_moments),
            address1=draw(_addresses),
            address2=draw(_addresses),
        )
        for number, event in enumerate(draw(st.lists(events(), max_size=12)))
    ]


_searches = st.builds(
    Search,
    status=st.none() | st.sampled_from(Outcome),
    label=st.none() | st.sampled_from(["not_match", "partial_match", "exact_match"]),
    since_unix_ns=st.none() | _moments,
    until_unix_ns=st.none() | _moments,
    min_latency=st.none() | st.floats(0, 10),
    address_hashes=st.lists(_hashes, max_size=3),
    limit=st.integers(1, 5),
)


async def listed(store: RequestStore, search: Search) -> list[RequestSummary]:
    """All pages of a search."""
    found: list[RequestSummary] = []
    page = await store.search(search)
    while True:
        found += page.requests
        if page.next_cursor is None:
            return found
        page = await store.search(replace(search, cursor=page.next_cursor))


async def told(store: RequestStore, request_id: str) -> list[Attempt]:
    """The attempts of a story, none when there is none; their text stands beside the event."""
    try:
        story = await store.story(request_id)
    except RequestNotFound:
        return []
    return [replace(attempt, event=replace(attempt.event, text=None)) for attempt in story.attempts]


@settings(max_examples=40)
@given(inferences=served(), searches=st.lists(_searches, min_size=1, max_size=5), captured=st.booleans())
def test_the_embedded_store_tells_what_the_store_in_memory_tells(inferences, searches, captured) -> None:
    """Every page of every search, and every story, down to the last attribute; text only where it was captured."""

    async def compare(path: Path, memory: MemoryRequestStore) -> None:
        store = SqliteRequestStore(path, "mgeo")
        try:
            for search in searches:
                assert await listed(store, search) == await listed(memory, search)
            for request_id in ("r-1", "r-2", "r-1:0", "r-3", "0193f2a0-0000-7000-8000-000000000001"):
                assert await told(store, request_id) == await told(memory, request_id)
        finally:
            store.close()

    memory = MemoryRequestStore(instance="one")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "telemetry.db"
        capture = "all" if captured else "off"
        writer = SqliteWriter(
            path, queue_size=100, retention=1e10, max_bytes=1 << 30, capture=capture, service_instance="one", clock=Clock()
        )
        for event in inferences:
            writer.add(event)
            memory.add(event if captured else replace(event, text=None))
        assert writer.close(20)
        assert writer.written == len(inferences)
        asyncio.run(compare(path, memory))
