"""A model that `mgeo drill` may make slow, failing or stuck; else it is the one that it wraps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service.model.base import BatchPrediction, Model, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.drill_faults import FaultFile
    from service.model.base import AddressPair

LOOK = 0.05
"""Seconds between two looks whether a stuck run may go on."""


class DrillFailure(Exception):
    """A run of the model failed because a drill wanted it to."""


class DrilledModel(Model):
    """Adds the faults of a drill to every run of a model.

    Args:
        model: the one that answers.
        faults: what shall go wrong now.
        pause: waits so many seconds.
    """

    def __init__(self, model: Model, faults: FaultFile, *, pause: Callable[[float], object] = time.sleep) -> None:
        self._model = model
        self._faults = faults
        self._pause = pause
        self._runs = 0
        self._was_stuck: set[str] = set()

    @property
    def info(self) -> ModelInfo:
        """That of the model."""
        return self._model.info

    def warmup(self) -> None:
        """Warm the model up; no drill disturbs that."""
        self._model.warmup()

    def predict(self, pairs: Sequence[AddressPair]) -> BatchPrediction:
        """Score a batch, unless a drill wants otherwise.

        Raises:
            DrillFailure: it wants this run to fail.
        """
        faults = self._faults.read()
        if faults.slow_seconds:
            self._pause(faults.slow_seconds)
        if faults.stuck and faults.stuck not in self._was_stuck:
            self._was_stuck.add(faults.stuck)
            while self._faults.read().stuck == faults.stuck:
                self._pause(LOOK)
        if faults.fail_every:
            self._runs += 1
            if self._runs % faults.fail_every == 0:
                raise DrillFailure("a drill wants this run to fail")
        return self._model.predict(pairs)
