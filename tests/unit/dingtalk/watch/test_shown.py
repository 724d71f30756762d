"""Where a watcher shows its boxes: the overview, the metrics, and `mgeo notifier status`."""

from __future__ import annotations

import pytest

from cli.notifier.report import status_text
from dingtalk.watch.silence import Box, BoxState
from tests.notifier import START
from tests.unit.dingtalk.pages.site import checked
from tests.unit.dingtalk.watch.world import BOXES, KEY

TWO = [*BOXES, {"name": "gpu-2", "key": KEY}]


async def overview(watcher):
    """The words of its part with the boxes."""
    page = checked(await watcher.client.get("/"))
    return page.words.partition("机器 boxes ")[2].partition(" 队列 queue")[0]


async def printed(watcher):
    """The lines of the command, for the boxes."""
    status = (await watcher.client.get("/v1/status")).json()
    return [line for line in status_text(status).splitlines() if line.startswith("box ")]


async def figures(watcher, box="gpu-1"):
    labels = f'{{box="{box}"}}'
    return (
        await watcher.metric(f"mgeo_notifier_box_heartbeat_timestamp_seconds{labels}"),
        await watcher.metric(f"mgeo_notifier_box_silent{labels}"),
    )


async def test_each_box_is_shown_from_the_start(world):
    """Before it was ever heard."""
    watcher = world.watcher(boxes=TWO)
    assert await overview(watcher) == "gpu-1 还没有心跳 gpu-2 还没有心跳"
    assert [await figures(watcher, name) for name in ("gpu-1", "gpu-2")] == [(0, 0), (0, 0)]
    assert await printed(watcher) == [
        "box gpu-1: no heartbeat yet; none since 2026-11-20 12:00:00 UTC",
        "box gpu-2: no heartbeat yet; none since 2026-11-20 12:00:00 UTC",
    ]


async def test_one_that_beats_is_well(world):
    """With the age of its last heartbeat."""
    watcher = world.watcher()
    await watcher.beat()
    world.time.now += 130
    assert await overview(watcher) == "gpu-1 正常 最后心跳 2 分钟前"
    assert await figures(watcher) == (START, 0)
    assert await printed(watcher) == ["box gpu-1: ok; last heartbeat at 2026-11-20 12:00:00 UTC"]


async def test_one_that_is_silent_says_since_when(world):
    """Until it is back."""
    watcher = world.watcher()
    await watcher.beat()
    world.time.now += 300
    await watcher.look()
    assert await overview(watcher) == "gpu-1 失联 20:00:00 起没有心跳 最后心跳 5 分钟前"
    assert await figures(watcher) == (START, 1)
    assert await printed(watcher) == ["box gpu-1: SILENT; last heartbeat at 2026-11-20 12:00:00 UTC"]
    await watcher.beat()
    assert await overview(watcher) == "gpu-1 正常 最后心跳 不到 1 秒前"
    assert await figures(watcher) == (START + 300, 0)


async def test_one_that_never_was_heard_is_silent_since_the_watcher_looks(world):
    """As the message says it."""
    watcher = world.watcher()
    world.time.now += 300
    await watcher.look()
    assert await overview(watcher) == "gpu-1 失联 开始看守（20:00:00）起没有心跳"
    assert await figures(watcher) == (0, 1)
    assert await printed(watcher) == ["box gpu-1: SILENT; none since 2026-11-20 12:00:00 UTC"]


async def test_one_under_maintenance_says_until_when(world):
    """One that is planned is only named."""
    watcher = world.watcher()
    await watcher.beat(quiet_from=START + 600, quiet_until=START + 4200)
    assert await overview(watcher) == "gpu-1 正常 最后心跳 不到 1 秒前 计划维护：20:10:00 到 21:10:00"
    world.time.now += 600
    await watcher.look()
    assert await overview(watcher) == "gpu-1 维护中 到 21:10:00 最后心跳 10 分钟前"
    assert await figures(watcher) == (START, 0)
    assert await printed(watcher) == [
        "box gpu-1: under maintenance until 2026-11-20 13:10:00 UTC; last heartbeat at 2026-11-20 12:00:00 UTC",
    ]


async def test_one_whose_clock_is_wrong_says_by_how_much(world):
    """Also when it is silent by now, since it is not dead."""
    watcher = world.watcher()
    await watcher.beat()
    world.time.now += 200
    await watcher.beat(sent_at=world.time.now + 900)
    assert await overview(watcher) == "gpu-1 时钟不符 相差 15 分钟 最后心跳 3 分钟前"
    world.time.now += 100
    await watcher.look()
    assert await overview(watcher) == "gpu-1 时钟不符 相差 15 分钟 20:00:00 起没有有效的心跳 最后心跳 5 分钟前"
    assert await figures(watcher) == (START, 1)
    assert await printed(watcher) == ["box gpu-1: its clock or this one is wrong; last heartbeat at 2026-11-20 12:00:00 UTC"]


async def test_what_is_known_outlives_a_restart(world):
    """The last heartbeat, and a silence that was said."""
    watcher = world.watcher()
    await watcher.beat()
    world.time.now += 300
    await watcher.look()
    await watcher.close()
    assert await figures(world.watcher()) == (START, 1)


async def test_where_nobody_is_watched_there_is_nothing_of_boxes(world):
    """No part of the page, no series, no entry of the status."""
    box = world.box()
    assert await overview(box) == ""
    assert "mgeo_notifier_box_silent{" not in (await box.client.get("/metrics")).text
    assert "boxes" not in (await box.client.get("/v1/status")).json()


@pytest.mark.parametrize(
    ("values", "clock_wrong", "state"),
    [
        ({}, False, BoxState.UNHEARD),
        ({"last_unix": 50.0}, False, BoxState.OK),
        ({"last_unix": 50.0, "silent": True}, False, BoxState.SILENT),
        ({"last_unix": 50.0, "silent": True}, True, BoxState.CLOCK_WRONG),
        ({"last_unix": 50.0, "quiet_until": 101.0}, False, BoxState.MAINTENANCE),
        ({"last_unix": 50.0, "quiet_until": 100.0}, False, BoxState.OK),
        ({"last_unix": 50.0, "quiet_until": 200.0, "quiet_from": 100.0}, False, BoxState.MAINTENANCE),
        ({"last_unix": 50.0, "quiet_until": 200.0, "quiet_from": 101.0}, False, BoxState.OK),
        ({"last_unix": 50.0, "quiet_until": 200.0, "silent": True}, False, BoxState.SILENT),
        ({"last_unix": 50.0, "quiet_until": 200.0}, True, BoxState.CLOCK_WRONG),
    ],
)
def test_the_state_of_a_box(values, clock_wrong, state):
    """What needs somebody goes before what does not."""
    assert Box(name="gpu-1", **values).state(100.0, clock_wrong=clock_wrong) is state
