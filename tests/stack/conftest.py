"""The running stack, under its short name."""

from __future__ import annotations

import pytest

from tests.stack.running import Stack


@pytest.fixture(scope="session")
def stack(running_stack: Stack) -> Stack:
    """The full profile behind its gateway; one for the whole session."""
    return running_stack
