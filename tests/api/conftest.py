"""A running service for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.api.composition import Caller, Gate, Service, serving


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    """Start a service with these options; it is stopped after the test."""
    async with AsyncExitStack() as stack:
        yield lambda **options: stack.enter_async_context(serving(**options))


@pytest.fixture
async def service(start) -> Service:
    """A service with the defaults."""
    return await start()


@pytest.fixture
def client(service) -> httpx.AsyncClient:
    """A client of the service with the defaults."""
    return service.client


@pytest.fixture
def call(service) -> Callable[..., Caller]:
    """Call the default service by bare ASGI."""
    return lambda path, messages, **more: Caller(service.app, path, messages, **more)


@pytest.fixture
async def gate(start) -> AsyncIterator[Gate]:
    """Holds a model until it is opened, at the latest when the test ends."""
    gate = Gate()
    yield gate
    gate.opened.set()
