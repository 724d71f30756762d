"""How long after its answer a request can be looked up, store by store."""

from __future__ import annotations

import asyncio
import math
import time
from random import Random
from typing import TYPE_CHECKING

import httpx

from benchmarks.known_requests import known_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from benchmarks.known_requests import KnownRequest

    Look = Callable[[httpx.AsyncClient, KnownRequest], Awaitable[bool]]

PATIENCE = 60.0
"""Seconds after which a request that is still not there counts as lost."""

PAUSE = 0.05
"""Seconds between two looks for the same request; as coarse as this are the figures."""

_JITTER_SEED = 3


class NotFoundError(Exception):
    """What was answered cannot be looked up."""


async def freshness(
    service_url: str, first: Mapping[str, Look], then: Mapping[str, Look], *, numbers: range, spacing: float
) -> dict[str, list[float]]:
    """Send requests at random moments and look for each until it is there.

    Args:
        service_url: who answers.
        first: how to see that a store has a request, by name; all are asked at the same time.
        then: looks that are asked only when all of `first` have it, so that they do not add to the load before.
        numbers: of the requests.
        spacing: seconds between two requests, in the middle.

    Returns:
        Seconds from the answer, by look.

    Raises:
        NotFoundError: a look did not find a request within `PATIENCE` seconds.
    """
    jitter = Random(_JITTER_SEED)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE, limits=httpx.Limits(max_connections=64)) as client,
        asyncio.TaskGroup() as tasks,
    ):
        sent = []
        for number in numbers:
            sent.append(tasks.create_task(_follow(client, service_url, known_request(number, unix_ns=time.time_ns()), (first, then))))
            # Requests in step with the export intervals would all wait equally long.
            await asyncio.sleep(jitter.uniform(0.5, 1.5) * spacing)
    found: dict[str, list[float]] = {}
    for task in sent:
        for name, seconds in task.result().items():
            found.setdefault(name, []).append(seconds)
    return found


async def _follow(
    client: httpx.AsyncClient, service_url: str, request: KnownRequest, stages: Sequence[Mapping[str, Look]]
) -> dict[str, float]:
    (await client.post(f"{service_url}/v1/match", content=request.body, headers=request.headers)).raise_for_status()
    answered = time.monotonic()
    found: dict[str, float] = {}
    for looks in stages:
        moments = await asyncio.gather(*(_found(client, name, look, request) for name, look in looks.items()))
        found |= {name: moment - answered for name, moment in zip(looks, moments, strict=True)}
    return found


async def _found(client: httpx.AsyncClient, name: str, look: Look, request: KnownRequest) -> float:
    """The moment, by the monotonic clock, when a look had found the request."""
    deadline = time.monotonic() + PATIENCE
    while not await look(client, request):
        if time.monotonic() > deadline:
            raise NotFoundError(f"{name} did not have {request.request_id} {PATIENCE:.0f} s after its answer")
        await asyncio.sleep(PAUSE)
    return time.monotonic()


def percentile(values: Sequence[float], share: float) -> float:
    """Pure: the smallest of the values that at least this share of them does not exceed; of at least one."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
