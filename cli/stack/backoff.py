"""How supervisord waits between restarts: a second longer each time, as is its way, but never longer than half a minute.

supervisord loads this as one of its interfaces; there is nothing to call over it. Its own choice is between giving up
after some attempts and waiting ever longer; a store that lost its disk for a night must be back soon after the disk is.
"""

from __future__ import annotations

from typing import Any

LONGEST = 30
"""Seconds."""
ATTEMPTS = 1_000_000_000
"""After how many supervisord would give up: never."""


class BackoffInterface:
    """An interface without methods."""


def limit(event: Any) -> None:  # supervisor has no types
    """Keep the pause that follows from growing."""
    event.process.backoff = min(event.process.backoff, LONGEST - 1)


def make_interface(_supervisord: object, **_settings: object) -> BackoffInterface:
    """What supervisord calls once, as it starts."""
    from supervisor import events

    events.subscribe(events.ProcessStateBackoffEvent, limit)
    return BackoffInterface()
