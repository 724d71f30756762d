"""When to try again."""

from __future__ import annotations

from service.telemetry.backoff import Backoff


def waits(backoff: Backoff, ticking, failures: int) -> list[float]:
    """How long each of some failures in a row keeps one waiting, in quarters of a second."""
    found = []
    for _ in range(failures):
        backoff.failed()
        waited = 0.0
        while backoff.waiting:
            ticking.tick(0.25)
            waited += 0.25
        found.append(waited)
    return found


def test_waits_double_up_to_the_bound(ticking) -> None:
    """A disk that stays full is not tried all the time, nor forgotten."""
    assert waits(Backoff(ticking.monotonic, first=0.25, longest=1.0), ticking, 5) == [0.25, 0.5, 1.0, 1.0, 1.0]


def test_a_success_begins_anew(ticking) -> None:
    """The next failure is retried soon."""
    backoff = Backoff(ticking.monotonic, first=0.25, longest=1.0)
    waits(backoff, ticking, 3)
    backoff.succeeded()
    assert not backoff.waiting
    assert waits(backoff, ticking, 1) == [0.25]


def test_nobody_waits_before_the_first_failure(ticking) -> None:
    """A new one is ready at once."""
    assert not Backoff(ticking.monotonic).waiting
