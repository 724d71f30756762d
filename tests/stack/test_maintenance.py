"""A maintenance and the real Alertmanager: what it keeps back, and what it goes on telling."""

from __future__ import annotations

import time

import httpx
import pytest
import pytest_asyncio

from dingtalk.app import create_app
from dingtalk.boot import Boot
from dingtalk.clock import Clock
from dingtalk.fallback import NoFallback
from dingtalk.outbox.store import Outbox
from dingtalk.renders import BareRenderer
from tests.deadline import until
from tests.notifier import FakeDingTalk, Time, configuration
from tests.rules.alertmanager import running

pytestmark = pytest.mark.stack
ALERTS = (
    {"alertname": "Watchdog", "severity": "none"},
    {"alertname": "HighLatency", "severity": "warning", "instance": "a"},
    {"alertname": "ServiceGone", "severity": "critical", "instance": "b"},
)


@pytest.fixture
def alertmanager(program, tmp_path):
    with running(program("alertmanager"), tmp_path, scale=0.02) as one:
        one.post(*ALERTS)
        yield one


@pytest_asyncio.fixture
async def notifier(alertmanager, tmp_path):
    """The notifier's API."""
    store = Outbox.open(tmp_path / "outbox", clock=Clock(), boot=Boot(id="boot"), max_queue=100)
    async with httpx.AsyncClient(trust_env=False) as http:
        app = create_app(
            configuration(alertmanager_url=alertmanager.url),
            clock=Clock(),
            renderer=BareRenderer(),
            client=FakeDingTalk(Time()),
            fallback=NoFallback(),
            store=store,
            http=http,
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notifier") as client:
            yield client
    store.close()


def suppressed(alertmanager):
    return {
        alert["labels"]["alertname"]
        for alert in httpx.get(f"{alertmanager.url}/api/v2/alerts", trust_env=False).json()
        if alert["status"]["state"] == "suppressed"
    }


def silences(alertmanager):
    return sorted(one["status"]["state"] for one in httpx.get(f"{alertmanager.url}/api/v2/silences", trust_env=False).json())


async def test_everything_is_kept_back_but_watchdog(alertmanager, notifier):
    """From now on, and to its end; while Watchdog is told again and again."""

    async def arrange(**members):
        answer = await notifier.post("/v1/maintenance", json={"by": "张三", "reason": "换显卡", **members})
        assert answer.json()["alertmanager"] == "ok"

    until(lambda: suppressed(alertmanager) == set() and alertmanager.receiver.told("critical"))
    await arrange(until=time.time() + 3600)
    until(lambda: suppressed(alertmanager) == {"HighLatency", "ServiceGone"})
    before = len(alertmanager.receiver.told("watchdog"))
    alertmanager.post({"alertname": "Overload", "severity": "critical", "instance": "c"})
    until(lambda: len(alertmanager.receiver.told("watchdog")) >= before + 2, deadline=60)
    assert "Overload" in suppressed(alertmanager)
    assert not any(name == "Overload" for name, _, _ in alertmanager.receiver.told("critical"))
    await arrange(until=time.time() + 7200)
    assert silences(alertmanager) == ["active", "expired"]
    await arrange(until=None)
    until(lambda: suppressed(alertmanager) == set())
    until(lambda: any(name == "Overload" for name, _, _ in alertmanager.receiver.told("critical")), deadline=60)


async def test_one_that_is_planned_waits_at_alertmanager(alertmanager, notifier):
    """And can be called off."""
    now = time.time()
    members = {"from": now + 3600, "until": now + 7200, "by": "张三", "reason": "换显卡"}
    assert (await notifier.post("/v1/maintenance", json=members)).json()["alertmanager"] == "ok"
    assert silences(alertmanager) == ["pending"]
    assert suppressed(alertmanager) == set()
    assert (await notifier.post("/v1/maintenance", json={"until": None})).status_code == 200
    assert silences(alertmanager) == ["expired"]
