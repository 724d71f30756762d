"""What the second machine takes, keeps and says."""

from __future__ import annotations

import pytest

from dingtalk.errors import StoreUnavailable
from dingtalk.heartbeat import Heartbeat, signature
from dingtalk.watch.pulse import SIGNATURE_HEADER
from tests.notifier import START, robots
from tests.unit.dingtalk.watch.world import BOXES, KEY


async def silent_at(world, watcher, seconds):
    world.time.now = START + seconds
    await watcher.look()
    return watcher.said


async def test_a_silence_is_said_after_five_minutes_and_its_end_too(world):
    """Since the last heartbeat, on local clocks; once."""
    watcher = world.watcher()
    assert (await watcher.beat()).status_code == 204
    assert await silent_at(world, watcher, 299) == []
    assert await silent_at(world, watcher, 300) == [("main", "notifier: box silent box gpu-1, seconds 300.0, since 20:00:00")]
    assert len(await silent_at(world, watcher, 900)) == 1
    await watcher.beat()
    assert (await silent_at(world, watcher, 901))[1:] == [("main", "notifier: box back box gpu-1, seconds 900.0, since 20:00:00")]
    assert [line[1] for line in watcher.log.of("box.changed")] == ["silent", "back"]


async def test_a_silence_that_lasts_is_said_again_after_hours(world):
    """With how long it lasts."""
    watcher = world.watcher()
    await watcher.beat()
    await silent_at(world, watcher, 300)
    said = await silent_at(world, watcher, 300 + 14_400)
    assert said[1:] == [("main", "notifier: box still silent box gpu-1, seconds 14700.0, since 11-20 20:00:00")]


async def test_a_box_that_never_was_heard_is_silent_since_the_watcher_looks(world):
    """And the words say so."""
    watcher = world.watcher()
    assert await silent_at(world, watcher, 300) == [("main", "notifier: box silent box gpu-1, seconds 300.0, since 开始看守（20:00:00）")]


async def test_every_group_hears_of_it_once_or_the_one_that_is_named(world):
    """Two receivers of one robot are one group."""
    receivers = [
        {"name": "critical", "robots": ["a"]},
        {"name": "warning", "robots": ["b"]},
        {"name": "info", "robots": ["b"]},
    ]
    watcher = world.watcher(robots=robots("a", "b"), receivers=receivers, boxes=[*BOXES, {"name": "gpu-2", "key": KEY, "receiver": "info"}])
    said = await silent_at(world, watcher, 300)
    assert sorted((receiver, text.split("box ")[2].split(",")[0]) for receiver, text in said) == [
        ("critical", "gpu-1"),
        ("info", "gpu-2"),
        ("warning", "gpu-1"),
    ]


async def test_the_owners_of_a_box_are_called(world):
    """By the table of owners, with the box as instance; not when it is back."""
    owners = [{"match": {"instance": "gpu-1", "alertname": "BoxSilent"}, "people": ["张三"]}]
    watcher = world.watcher(people=[{"name": "张三", "mobile": "13900000000"}], owners=owners)
    calls = []
    watcher.lookout._notices.say_all = lambda kind, *, mention, **facts: calls.append((kind.name, mention.mobiles))
    await silent_at(world, watcher, 300)
    await watcher.beat()
    await watcher.look()
    assert calls == [("BOX_SILENT", ("13900000000",)), ("BOX_BACK", ())]


async def test_heartbeats_of_a_wrong_clock_are_refused_and_the_silence_says_so(world):
    """It is another fault than a dead machine; a good one ends it."""
    watcher = world.watcher()
    await watcher.beat()
    world.time.now += 200
    answer = await watcher.beat(sent_at=world.time.now - 900)
    assert answer.status_code == 401
    assert "+900 s ago by its own clock, and 600 s are allowed: set the clocks right" in answer.json()["error"]
    (status,) = watcher.lookout.boxes()
    assert status.clock_difference == 900.0
    said = await silent_at(world, watcher, 300)
    assert said == [("main", "notifier: box clock wrong box gpu-1, seconds 900.0, since 20:00:00")]
    await watcher.beat()
    assert [status.clock_difference for status in watcher.lookout.boxes()] == [None]


async def test_what_proves_nothing_keeps_nobody_alive(world):
    """A forged one, one of a box that nobody knows, one that was recorded, none; and the log has one line of ten minutes."""
    watcher = world.watcher()
    taken = Heartbeat(box="gpu-1", sent_at=START, nonce="once")
    signed = {SIGNATURE_HEADER: signature(taken.body(), KEY)}
    assert (await watcher.post("/v1/heartbeat", taken.body(), **signed)).status_code == 204
    world.time.now += 200
    again = await watcher.post("/v1/heartbeat", taken.body(), **signed)
    assert (again.status_code, again.json()) == (401, {"error": "it was taken before"})
    assert (await watcher.post("/v1/heartbeat", taken.body())).status_code == 401
    assert (await watcher.beat(box="gpu-9")).status_code == 401
    assert (await watcher.post("/v1/heartbeat", b"")).json() == {"error": "it is no heartbeat"}
    assert len(await silent_at(world, watcher, 300)) == 1
    assert watcher.log.of("heartbeat.refused") == [(None, "it was taken before")]


async def test_a_heartbeat_does_not_count_again_after_a_restart(world):
    """What was taken is kept as long as it could be taken."""
    watcher = world.watcher()
    taken = Heartbeat(box="gpu-1", sent_at=START, nonce="once")
    signed = {SIGNATURE_HEADER: signature(taken.body(), KEY)}
    await watcher.post("/v1/heartbeat", taken.body(), **signed)
    await watcher.close()
    world.time.now += 100
    again = await world.watcher().post("/v1/heartbeat", taken.body(), **signed)
    assert (again.status_code, again.json()) == (401, {"error": "it was taken before"})


async def test_what_is_kept_of_heartbeats_has_a_bound(world):
    """Those that are too old to be taken are deleted."""
    watcher = world.watcher()
    for _ in range(50):
        world.time.now += 60
        assert (await watcher.beat()).status_code == 204
    assert len(watcher.store.heartbeats()) == 21


async def test_a_restart_says_nothing_twice_and_forgets_no_end(world):
    """A box that was silent stays so, and is greeted when it is back, also when the watcher died before that was said."""
    watcher = world.watcher()
    await watcher.beat()
    await silent_at(world, watcher, 300)
    await watcher.close()
    world.time.now += 1000
    watcher = world.watcher()
    await watcher.look()
    assert len(watcher.said) == 1
    await watcher.beat()
    await watcher.close()
    watcher = world.watcher()
    world.time.now += 1
    await watcher.beat()
    await watcher.look()
    assert [text.split(" box gpu-1")[0] for _, text in watcher.said] == ["notifier: box silent", "notifier: box back"]


async def test_a_maintenance_is_respected_over_a_restart(world):
    """Nothing is said before its end, nor within a silence's time after it."""
    watcher = world.watcher()
    await watcher.beat(quiet_from=START, quiet_until=START + 3600)
    assert await silent_at(world, watcher, 1800) == []
    await watcher.close()
    watcher = world.watcher()
    assert await silent_at(world, watcher, 3599) == []
    assert await silent_at(world, watcher, 3601) == []
    assert await silent_at(world, watcher, 3900) == []
    assert len(await silent_at(world, watcher, 3901)) == 1


async def test_an_overtaken_heartbeat_does_not_end_a_maintenance(world):
    """The newer one has the last word, by the box's clock."""
    watcher = world.watcher()
    await watcher.beat(sent_at=START, quiet_until=START + 3600)
    assert (await watcher.beat(sent_at=START - 1, nonce="overtaken")).status_code == 204
    assert await silent_at(world, watcher, 1800) == []


async def test_a_watcher_whose_disk_is_full_still_hears(world):
    """The box is told, and no silence is made up; what there is to say is said when it can be stored."""
    watcher = world.watcher()
    watcher.store._connection.execute("PRAGMA query_only = ON")
    world.time.now += 200
    assert (await watcher.beat()).status_code == 503
    assert await silent_at(world, watcher, 499) == []
    world.time.now = START + 500
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await watcher.look()
    watcher.store._connection.execute("PRAGMA query_only = OFF")
    assert len(await silent_at(world, watcher, 501)) == 1


async def test_how_the_boxes_are_can_be_asked(world):
    """By who is admitted; heartbeats need no token, since they prove themselves."""
    watcher = world.watcher(token="secret")
    await watcher.beat(quiet_until=START + 60)
    assert (await watcher.client.get("/v1/boxes")).status_code == 401
    answer = await watcher.client.get("/v1/boxes", headers={"Authorization": "Bearer secret"})
    assert answer.json() == {
        "boxes": [
            {
                "name": "gpu-1",
                "state": "maintenance",
                "last_heartbeat": START,
                "silent": False,
                "quiet_from": None,
                "quiet_until": START + 60,
                "clock_difference_seconds": None,
            }
        ]
    }
    assert "key" not in answer.text


async def test_a_body_has_a_bound(world):
    """No heartbeat is longer."""
    watcher = world.watcher()
    assert (await watcher.post("/v1/heartbeat", b" " * 4097)).status_code == 413


async def test_who_watches_nobody_takes_no_heartbeats(world):
    """The routes are not there."""
    box = world.box()
    assert (await box.beat()).status_code == 404
    assert (await box.client.get("/v1/boxes")).status_code == 404
