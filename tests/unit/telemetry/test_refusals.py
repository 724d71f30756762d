"""Why payloads were refused, in few lines."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from service.telemetry.names import EventName
from service.telemetry.refusals import Refusals


@dataclass
class Log:
    """Keeps what is logged."""

    lines: list[tuple[str, str, str | None]] = field(default_factory=list)

    def event(self, name: EventName, *, level: str, function: str | None) -> None:
        self.lines.append((str(name), level, function))


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals:
    refusals = Refusals(clock)
    refusals.log = Log()
    return refusals


def test_each_signal_tells_each_reason_once(refusals: Refusals) -> None:
    """However often it is refused."""
    for _ in range(1000):
        refusals("traces", "INVALID_ARGUMENT")
        refusals("traces", "RESOURCE_EXHAUSTED")
        refusals("logs", "INVALID_ARGUMENT")
    assert refusals.log.lines == [
        ("mgeo.otlp.refused", "WARNING", "traces: INVALID_ARGUMENT"),
        ("mgeo.otlp.refused", "WARNING", "traces: RESOURCE_EXHAUSTED"),
        ("mgeo.otlp.refused", "WARNING", "logs: INVALID_ARGUMENT"),
    ]


@pytest.mark.parametrize(("later", "lines"), [(59.9, 1), (60.0, 2)])
def test_a_reason_is_told_again_after_a_minute(refusals: Refusals, clock: Clock, later: float, lines: int) -> None:
    """From the last line on, not from the last refusal."""
    refusals("metrics", "HTTP 400")
    clock.now += 30
    refusals("metrics", "HTTP 400")
    clock.now += later - 30
    refusals("metrics", "HTTP 400")
    assert len(refusals.log.lines) == lines


def test_before_there_is_a_log_nothing_counts_as_told(clock: Clock) -> None:
    """The senders begin with what a dead process left, while this one is still being put together."""
    refusals = Refusals(clock)
    refusals("traces", "HTTP 413")
    refusals.log = Log()
    refusals("traces", "HTTP 413")
    assert refusals.log.lines == [("mgeo.otlp.refused", "WARNING", "traces: HTTP 413")]
