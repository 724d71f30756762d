"""The programs of the stack, and the whole stack, for tests that need the real ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from cli.stack.source import Locator
from service.settings import Settings


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """The binary of a program or tool of the stack; built from its pins if it is nowhere on this machine."""
    locator = Locator(Settings.load(), say=print)
    return cache(lambda name: locator.locate(name).path)
