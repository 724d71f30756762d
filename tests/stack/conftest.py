"""The programs of the stack, and the whole stack, for tests that need the real ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from cli.stack.source import Locator
from service.settings import Settings
from tests.stack.running import Stack

INGEST_TOKEN = "a-token-for-agents-0123456789"
PASSWORD = "open sesame"


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """The binary of a program or tool of the stack; built from its pins if it is nowhere on this machine."""
    locator = Locator(Settings.load(), say=print)
    return cache(lambda name: locator.locate(name).path)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The full profile behind its gateway, with a door for agents; one for the whole session."""
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
