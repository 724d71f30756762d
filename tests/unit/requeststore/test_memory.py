"""The store without a disk: what tests and small programs look requests up in."""

from __future__ import annotations

import pytest

from service.errors import InvalidQuery, RequestNotFound, StoreError
from service.requeststore.base import Search
from service.requeststore.memory import MemoryRequestStore
from tests.api.events import BATCH, FAILED, REFUSED, SUCCESS


@pytest.fixture
def store() -> MemoryRequestStore:
    """Three inferences, two of them in one batch."""
    store = MemoryRequestStore(instance="host-1")
    for event in (SUCCESS, FAILED, REFUSED):
        store.add(event)
    store.add_batch(BATCH)
    return store


async def test_a_story_has_spans_that_link_to_each_other(store):
    """The inference to its batch, the batch to its members."""
    (attempt,) = (await store.story("shop-42")).attempts
    inference, batch = attempt.spans
    assert (inference.name, batch.name) == ("mgeo.inference", "mgeo.batch")
    assert inference.links == ((batch.trace_id, batch.span_id),)
    assert batch.links == ((SUCCESS.trace_id, SUCCESS.span_id), (FAILED.trace_id, FAILED.span_id))
    assert inference.attributes["mgeo.label"] == "exact_match"
    assert batch.attributes["mgeo.batch.size"] == 2
    assert attempt.service_instance == "host-1"


async def test_a_batch_that_is_not_known_leaves_the_link_alone():
    """Its span may not have been written yet."""
    store = MemoryRequestStore()
    store.add(SUCCESS)
    (attempt,) = (await store.story("shop-42")).attempts
    assert (attempt.batch, len(attempt.spans), len(attempt.spans[0].links)) == (None, 1, 1)


async def test_an_unknown_id_is_told_apart(store):
    """Also one that another begins with."""
    with pytest.raises(RequestNotFound):
        await store.story("shop")


async def test_a_search_takes_every_hash_it_is_given(store):
    """On either side."""
    both = await store.search(Search(address_hashes=["0" * 31 + "2", "0" * 31 + "1"]))
    assert [request.request_id for request in both.requests] == ["other-7", "shop-42"]
    assert (await store.search(Search(address_hashes=["0" * 31 + "1", "f" * 32]))).requests == ()


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.2.3", "-1.0"])
async def test_a_cursor_of_another_store_is_refused(store, cursor):
    """It names the parameter."""
    with pytest.raises(InvalidQuery) as raised:
        await store.search(Search(cursor=cursor))
    assert raised.value.parameter == "cursor"


async def test_a_store_that_was_told_to_fail_fails(store):
    """For tests of those who read it."""
    store.broken = True
    with pytest.raises(StoreError):
        await store.story("shop-42")
    with pytest.raises(StoreError):
        await store.search(Search())
