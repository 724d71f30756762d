"""Looks again and again for what was missed, for as long as the notifier runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from dingtalk.alertmanager import Alertmanager
from dingtalk.errors import StoreUnavailable, UpstreamFailed
from dingtalk.log import Event
from dingtalk.prometheus import Prometheus
from dingtalk.reconcile import EVERY, Reconciler

if TYPE_CHECKING:
    import httpx

    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.log import Log
    from dingtalk.metrics import Metrics
    from dingtalk.outbox.store import Outbox

FIRST_AFTER = 5.0
"""Seconds until the first comparison: a stack that starts has its Prometheus by then, and Alertmanager has posted what it kept trying."""
DEADLINE = 600.0
"""Seconds that one comparison may take, of a day with many alerts."""


class Reconciling:
    """Compares at start and each minute.

    Args:
        reconciler: compares.
        metrics, log: how it went; an outage is written once.
        clock: its wall half is used.
        scale: shortens every duration, for drills.
    """

    def __init__(self, reconciler: Reconciler, *, metrics: Metrics, log: Log, clock: Clock, scale: float = 1.0) -> None:
        self._reconciler = reconciler
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._scale = scale
        self._failing = False

    @classmethod
    def configured(cls, config: Config, http: httpx.AsyncClient, *, store: Outbox, metrics: Metrics, log: Log, clock: Clock) -> Self | None:
        """As the configuration says; None when it names no Prometheus or no Alertmanager."""
        if not (config.prometheus_url and config.alertmanager_url):
            return None
        reconciler = Reconciler(
            prometheus=Prometheus(config.prometheus_url, http),
            alertmanager=Alertmanager(config.alertmanager_url, http),
            heard=store,
            unix=clock.unix,
            on_late=metrics.reconciled,
            scale=config.scale,
        )
        return cls(reconciler, metrics=metrics, log=log, clock=clock, scale=config.scale)

    async def run(self) -> None:
        """Compare until it is cancelled; whatever goes wrong, the next time looks as far back."""
        await asyncio.sleep(FIRST_AFTER * self._scale)
        while True:
            await self.turn()
            await asyncio.sleep(EVERY * self._scale)

    async def turn(self) -> None:
        """Compare once."""
        try:
            async with asyncio.timeout(DEADLINE):
                await self._reconciler.run_once()
        except (UpstreamFailed, StoreUnavailable, TimeoutError) as error:
            self._ended(type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 -- one answer that nobody foresaw shall not end it
            self._ended(type(error).__name__, "")
        else:
            self._ended("", "")

    def _ended(self, fault: str, words: str) -> None:
        self._metrics.reconciling_ended(None if fault else self._clock.unix())
        if bool(fault) is not self._failing:
            self._failing = bool(fault)
            event = Event.RECONCILING_FAILED if fault else Event.RECONCILING_RECOVERED
            self._log.write(event, words=words or fault or None)
