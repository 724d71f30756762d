"""What a box does with the alert that always fires, and what it tells its watchers."""

from __future__ import annotations

import asyncio

import httpx

from tests.notifier import START, alert, payload
from tests.unit.dingtalk.watch.world import KEY, WATCHDOG

TAKEN = 'mgeo_notifier_heartbeats_total{result="taken",watcher="watch.example:8060"}'
REFUSED = 'mgeo_notifier_heartbeats_total{result="refused",watcher="watch.example:8060"}'
FAILED = 'mgeo_notifier_heartbeats_total{result="failed",watcher="watch.example:8060"}'


async def settled(box):
    while box.pulse._tasks:
        await asyncio.sleep(0)


async def test_watchdog_is_told_to_the_watcher_and_to_no_group(world):
    """Answered at once, not stored, counted, with the moment of the last one."""
    watcher, box = world.watcher(), world.box()
    assert await box.metric("mgeo_notifier_watchdog_timestamp_seconds") == 0
    answer = await box.post("/v1/alertmanager/watchdog", WATCHDOG)
    assert (answer.status_code, answer.json()) == (200, {"heartbeat": True})
    await settled(box)
    assert box.store.depth().normal == 0
    assert box.said == []
    assert [status.box.last_unix for status in watcher.lookout.boxes()] == [START]
    assert await box.metric(TAKEN) == 1
    assert await box.metric('mgeo_notifier_received_total{result="heartbeat"}') == 1
    assert await box.metric("mgeo_notifier_watchdog_timestamp_seconds") == START


async def test_what_is_no_sign_of_life_is_passed_on_to_nobody(world):
    """Its end, which Alertmanager sends when Prometheus is gone; another alert; bytes that are no notification."""
    box = world.box()
    gone = payload(alert("Watchdog", severity="none", status="resolved", ends_at=START))
    assert (await box.post("/v1/alertmanager/watchdog", gone)).json() == {"heartbeat": False}
    assert (await box.post("/v1/alertmanager/watchdog", payload(alert("Other", severity="none")))).json() == {"heartbeat": False}
    assert (await box.post("/v1/alertmanager/watchdog", b"{}")).status_code == 400
    assert world.network.calls == []
    assert await box.metric("mgeo_notifier_watchdog_timestamp_seconds") == 0
    assert box.said == []


async def test_a_notifier_that_cannot_store_an_alert_gives_no_sign_of_life(world):
    """A full disk shall not look well from outside."""
    box = world.box()
    box.store._connection.execute("PRAGMA query_only = ON")
    assert (await box.post("/v1/alertmanager/watchdog", WATCHDOG)).status_code == 503
    assert world.network.calls == []


async def test_the_sender_must_be_admitted(world):
    """As for every alert."""
    box = world.box(token="secret")
    assert (await box.post("/v1/alertmanager/watchdog", WATCHDOG)).status_code == 401
    assert (await box.post("/v1/alertmanager/watchdog", WATCHDOG, Authorization="Bearer secret")).status_code == 200


async def test_another_name_of_the_receiver_may_be_given(world):
    """Then `watchdog` is a receiver like any other."""
    box = world.box(heartbeat_receiver="alive")
    assert (await box.post("/v1/alertmanager/alive", WATCHDOG)).json() == {"heartbeat": True}
    assert "stored" in (await box.post("/v1/alertmanager/watchdog", WATCHDOG)).json()


async def test_a_watcher_that_is_away_holds_up_nothing_and_is_one_line_of_the_log(world):
    """Each failure is counted; the line says which watcher, and the end of it is a line too. No key in either."""
    box = world.box()
    for _ in range(3):
        assert (await box.post("/v1/alertmanager/watchdog", WATCHDOG)).status_code == 200
        await settled(box)
    assert await box.metric(FAILED) == 3
    world.watcher()
    await box.post("/v1/alertmanager/watchdog", WATCHDOG)
    await settled(box)
    assert box.log.of("watcher.failed") == [("watch.example:8060", "it does not answer (ConnectError)")]
    assert box.log.of("watcher.recovered") == [("watch.example:8060", None)]
    assert KEY not in str(box.log.lines)


async def test_only_204_is_a_yes(world):
    """A page of a proxy is none, and a refusal says why."""
    box = world.box()
    for answer in (httpx.Response(200, html="<p>welcome</p>"), httpx.Response(302, headers={"Location": "/login"}), httpx.Response(502)):
        world.network.hosts["watch.example"] = lambda _, answer=answer: answer
        assert await box.pulse.tell() == {"watch.example:8060": f"it answers {answer.status_code}"}
    assert await box.metric(FAILED) == 3
    world.watcher(boxes=[{"name": "gpu-1", "key": "the key of another box"}])
    (reason,) = (await box.pulse.tell()).values()
    assert reason.startswith("it answers 401: the signature does not fit: give both machines the same key")
    assert await box.metric(REFUSED) == 1


async def test_a_watcher_that_hangs_is_called_once_at_a_time(world):
    """What comes meanwhile makes no queue."""
    box, release, calls = world.box(), asyncio.Event(), 0

    class Hanging(httpx.ASGITransport):
        async def handle_async_request(self, request):
            nonlocal calls
            calls += 1
            await release.wait()
            return httpx.Response(204)

    world.network.hosts["watch.example"] = Hanging(box.app)
    for _ in range(5):
        assert (await box.post("/v1/alertmanager/watchdog", WATCHDOG)).status_code == 200
    await asyncio.sleep(0)
    assert calls == 1
    release.set()
    await settled(box)
    assert await box.metric(TAKEN) == 1


async def test_no_two_heartbeats_are_the_same(world):
    """Each has a nonce of its own, so that a recorded one proves nothing."""
    world.watcher()
    box = world.box()
    await box.pulse.tell()
    await box.pulse.tell()
    assert await box.metric(TAKEN) == 2
    assert len({call.content for call in world.network.calls}) == 2
