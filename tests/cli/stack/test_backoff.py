"""How supervisord waits between restarts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from supervisor import events

from cli.stack.backoff import ATTEMPTS, LONGEST, limit, make_interface


@pytest.mark.parametrize(("attempts", "next_pause"), [(1, 2), (LONGEST - 1, LONGEST), (LONGEST, LONGEST), (5000, LONGEST)])
def test_the_pause_grows_to_half_a_minute(attempts, next_pause):
    """Supervisord adds one second to what it finds."""
    event = SimpleNamespace(process=SimpleNamespace(backoff=attempts))
    limit(event)
    assert event.process.backoff + 1 == next_pause
    assert event.process.backoff <= ATTEMPTS


def test_supervisord_tells_of_every_pause():
    """The interface subscribes when supervisord makes it."""
    try:
        make_interface(None)
        assert (events.ProcessStateBackoffEvent, limit) in events.callbacks
    finally:
        events.clear()
