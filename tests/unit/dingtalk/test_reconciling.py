"""The comparison that runs beside the deliveries."""

from __future__ import annotations

import asyncio
import io
import json

import httpx
import pytest

from dingtalk.clock import Clock
from dingtalk.errors import StoreUnavailable, UpstreamFailed
from dingtalk.log import Log
from dingtalk.metrics import Metrics, Status
from dingtalk.reconciling import Reconciling
from tests.notifier import START, Time, configuration


class Comparing:
    """Ends each time as it is told."""

    def __init__(self, *ends):
        self.ends = list(ends)
        self.done = 0

    async def run_once(self):
        self.done += 1
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end
        return 0


def reconciling(comparing, *, scale=1.0):
    log = io.StringIO()
    metrics = Metrics(configuration())
    clock = Time().clock
    made = Reconciling(comparing, metrics=metrics, log=Log(log, clock=clock), clock=Clock(unix=clock.unix), scale=scale)

    def shown():
        lines = metrics.render(Status(now=START)).decode().splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("mgeo_notifier_reconcil")}

    return made, shown, lambda: [(line["event"], line["error_message"]) for line in map(json.loads, log.getvalue().splitlines())]


async def test_an_outage_is_written_once_and_each_failure_counted():
    """Its end too; what went wrong in a way that nobody foresaw is only named."""
    ends = [
        UpstreamFailed("Prometheus at box does not answer"),
        StoreUnavailable("full"),
        ZeroDivisionError("secret"),
        None,
        RuntimeError("x"),
    ]
    made, shown, log = reconciling(Comparing(*ends))
    for _ in range(3):
        await made.turn()
    assert shown()["mgeo_notifier_reconciling_failures_total"] == 3
    assert shown()["mgeo_notifier_reconciled_timestamp_seconds"] == 0
    await made.turn()
    await made.turn()
    assert shown()["mgeo_notifier_reconciled_timestamp_seconds"] == START
    assert log() == [
        ("mgeo.notifier.reconciling.failed", "Prometheus at box does not answer"),
        ("mgeo.notifier.reconciling.recovered", None),
        ("mgeo.notifier.reconciling.failed", "RuntimeError"),
    ]


async def test_it_goes_on_until_it_is_cancelled():
    """Whatever happens."""
    comparing = Comparing(UpstreamFailed("away"), ValueError("odd"))
    made, _, _ = reconciling(comparing, scale=0.0001)
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(20):
        while comparing.done < 5:
            await asyncio.sleep(0.002)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("missing", [{"prometheus_url": ""}, {"alertmanager_url": ""}])
async def test_without_an_address_nothing_is_looked_for(missing):
    """Of either."""
    config = configuration(**missing)
    async with httpx.AsyncClient() as http:
        parts = {"store": None, "metrics": Metrics(config), "log": Log(None, clock=Clock()), "clock": Clock()}
        assert Reconciling.configured(config, http, **parts) is None
        assert Reconciling.configured(configuration(), http, **parts) is not None
