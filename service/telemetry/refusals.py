"""What the OTLP endpoint said it will never take, as log lines: few, however much it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.telemetry.names import EventName

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.telemetry.log_pipeline import LogPipeline

INTERVAL = 60.0
"""Seconds between two lines of one signal and reason."""


class Refusals:
    """Logs why payloads were refused: of each signal, each reason at most once a minute.

    A line of a refused log payload may be refused itself, so there must be an end to them. The endpoint's own message is left
    out, since it may quote what it refused.

    Args:
        monotonic: the clock of the interval.

    Attributes:
        log: where the lines go; None until there is one, and till then nothing counts as told.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.log: LogPipeline | None = None
        self._monotonic = monotonic
        self._told: dict[tuple[str, str], float] = {}

    def __call__(self, signal: str, reason: str) -> None:
        """Take note of a refusal. For any thread, but of one signal only one.

        Args:
            signal: `traces`, `metrics` or `logs`.
            reason: the name of a gRPC status, or `HTTP` and the status.
        """
        if self.log is None:
            return
        now, told = self._monotonic(), self._told.get((signal, reason))
        if told is None or now - told >= INTERVAL:
            self._told[signal, reason] = now
            self.log.event(EventName.OTLP_REFUSED, level="WARNING", function=f"{signal}: {reason}")
