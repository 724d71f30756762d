"""The running service with a stack beside it that does not answer: its own store still tells the story."""

from __future__ import annotations

from service.requeststore.layered import LayeredRequestStore
from service.requeststore.sqlite import SqliteRequestStore

NOBODY = "http://127.0.0.1:9"
PAIR = {"address1": "杭州市余杭区文一西路969号", "address2": "杭州余杭区文一西路969号"}


async def test_the_story_comes_from_the_own_store_and_says_what_the_stack_would_add(start) -> None:
    """At once, since nothing listens there."""
    service = await start(jaeger_url=NOBODY, loki_url=NOBODY, prometheus_url=NOBODY)
    await service.client.post("/v1/match", json=PAIR, headers={"X-Request-ID": "shop-1"})
    await service.written(inferences=1, lines=3)
    story = (await service.client.get("/v1/requests/shop-1")).json()
    assert [attempt["outcome"]["status"] for attempt in story["attempts"]] == ["success"]
    assert sorted(story["missing"]) == [
        "Jaeger cannot be reached (connection refused): the HTTP request around it is missing",
        "Prometheus cannot be reached (connection refused): the alerts and metrics of that moment are missing",
    ]
    assert "trace" not in story["attempts"][0]["links"]


async def test_an_id_of_which_the_stack_may_know_is_not_called_unknown(start) -> None:
    """A retry may find it; the store's own answer is not the whole one."""
    service = await start(jaeger_url=NOBODY, loki_url=NOBODY)
    response = await service.client.get("/v1/requests/elsewhere")
    assert (response.status_code, response.json()["retryable"]) == (503, True)


async def test_a_service_without_a_stack_has_no_client_for_one(start) -> None:
    """And one with a stack closes its client when it stops."""
    alone = await start()
    assert isinstance(alone.runtime.request_store, SqliteRequestStore)
    assert alone.runtime.http is None
    layered = await start(jaeger_url=NOBODY)
    assert isinstance(layered.runtime.request_store, LayeredRequestStore)
    await layered.runtime.stop(1.0)
    assert layered.runtime.http.is_closed
