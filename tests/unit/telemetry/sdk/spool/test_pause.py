"""How long a sender waits."""

from __future__ import annotations

import random

from service.telemetry.sdk.spool.pause import Pause


def test_waits_double_up_to_five_seconds() -> None:
    """The longest of each; a success begins anew."""
    pause = Pause(lambda: 1.0)

    assert [pause.failed() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    pause.succeeded()
    assert pause.failed() == 0.5


def test_each_is_spread_by_half() -> None:
    """So that many senders do not come back at the same moment."""
    pause = Pause(lambda: 0.0)

    assert [pause.failed() for _ in range(3)] == [0.25, 0.5, 1.0]


def test_what_the_endpoint_asks_for_is_the_least() -> None:
    """Up to five minutes, whatever it asks."""
    pause = Pause(lambda: 1.0)

    assert [pause.failed(hint) for hint in (30.0, 0.0, 86_400.0, None)] == [30.0, 1.0, 300.0, 4.0]


def test_the_random_numbers_of_a_script_are_left_alone() -> None:
    """It may have seeded them to make its run repeatable."""
    state = random.getstate()

    assert 0.25 <= Pause().failed() <= 0.5
    assert random.getstate() == state
