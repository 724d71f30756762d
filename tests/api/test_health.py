"""The probes, the model's card and the scrape."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("started", [True, False])
async def test_livez_is_200_as_long_as_the_loop_runs(start, started):
    """Whatever the model does."""
    service = await start(started=started)
    response = await service.client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "alive", "checked": ["event loop"]})


async def test_readyz_is_200_when_the_model_can_answer(client):
    """And says what it looked at."""
    response = await client.get("/readyz")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert response.json() == {"status": "ready", "checked": ["model", "model worker"], "degraded": []}


async def test_readyz_is_200_with_reasons_when_something_else_is_amiss(start):
    """A full disk is no reason to send requests elsewhere."""
    service = await start(degraded=("the store lost rows", "the log lost lines"))
    response = await service.client.get("/readyz")
    assert (response.status_code, response.json()["degraded"]) == (200, ["the store lost rows", "the log lost lines"])


async def test_readyz_is_503_while_the_model_cannot_answer(start):
    """A problem document with the reason, what was checked, and when to come back."""
    service = await start(started=False, degraded=("the store lost rows",))
    response = await service.client.get("/readyz")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["error_type"], problem["checked"], problem["degraded"]) == (
        "not_ready", ["model", "model worker"], ["the store lost rows"],
    )  # fmt: skip
    assert problem["detail"] == service.pipeline.reason


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/"])
async def test_probes_answer_head(client, path):
    """Balancers ask so."""
    assert (await client.head(path)).status_code == 200


async def test_the_model_card_names_the_model_and_the_limits(start):
    """What a caller has to know beforehand."""
    service = await start(capture=True)
    assert (await service.client.get("/v1/model")).json() == {
        "name": "fake",
        "version": "1",
        "device": "cpu",
        "labels": ["not_match", "partial_match", "exact_match"],
        "max_address_length": 100,
        "strict_length": False,
        "batch_limit": 256,
        "body_limit": 1048576,
        "deadline_seconds": 10.0,
        "capture_text": "all",
    }


async def test_a_model_that_is_not_loaded_has_no_card(start):
    """503, as for a request to it."""
    service = await start(started=False)
    response = await service.client.get("/v1/model")
    assert (response.status_code, response.json()["error_type"], response.headers["retry-after"]) == (503, "not_ready", "1")


async def test_metrics_are_what_the_callable_gives_with_its_content_type(client):
    """The exposition decides its own format."""
    response = await client.get("/metrics")
    assert (response.text, response.headers["content-type"]) == ("mgeo_requests_active 0\n", "text/plain; version=0.0.4; charset=utf-8")
