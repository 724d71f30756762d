"""Once for a whole run of the tests: the programs of the stack, and the stack itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

INGEST_TOKEN = "a-token-for-agents-0123456789"
PASSWORD = "open sesame"


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """The binary of a program or tool of the stack; built from its pins if it is nowhere on this machine."""
    from cli.stack.source import Locator
    from service.settings import Settings

    locator = Locator(Settings.load(), say=print)
    return cache(lambda name: locator.locate(name).path)


@pytest.fixture(scope="session")
def running_stack() -> Iterator[Any]:
    """The full profile behind its gateway, with a door for agents."""
    from tests.stack.running import Stack

    with tempfile.TemporaryDirectory(prefix="mgeo-stack-") as folder:
        secret = Path(folder, "ingest-token")
        secret.write_text(INGEST_TOKEN)
        stack = Stack(
            data_dir=Path(folder, "full"),
            profile="full",
            options=("--gateway",),
            variables={"MGEO_INGEST_TOKEN_FILE": str(secret), "MGEO_GATEWAY_PASSWORD": PASSWORD},
        )
        try:
            stack.up()
            yield stack
        finally:
            stack.down()


@pytest.fixture(scope="session")
def stack_urls(running_stack: Any) -> Any:
    """Where its stores are, for tests that send to them past the Collector and read from them."""
    from tests.stack.sender import StackUrls

    return StackUrls(
        spans=f"{running_stack.url('jaeger_otlp_port')}/v1/traces",
        logs=f"{running_stack.loki_url}/otlp/v1/logs",
        metrics=f"{running_stack.prometheus_url}/api/v1/otlp/v1/metrics",
        jaeger=running_stack.jaeger_url,
        loki=running_stack.loki_url,
        prometheus=running_stack.prometheus_url,
    )
