"""Real servers and real receivers, none of which outlives its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.receiver import Receiver
from tests.e2e.server import Server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server, ready unless it is `start(..., ready=False)`."""
    servers: list[Server] = []

    def start(*, ready: bool = True, **options) -> Server:
        server = Server(tmp_path, **options)
        servers.append(server)
        return server.ready() if ready else server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that behaves well."""
    receiver = Receiver()
    yield receiver
    receiver.close()
