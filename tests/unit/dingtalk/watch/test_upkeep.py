"""A maintenance: what is silenced, who is told, and what the groups hear."""

from __future__ import annotations

import pytest

from tests.notifier import START
from tests.unit.dingtalk.watch.world import WATCHDOG

WHO = {"by": "张三", "reason": "换显卡"}
UNTIL = START + 3600
BEGUN = ("main", "notifier: maintenance begun reason 换显卡, until 21:00:00, who 张三")


def over(reason):
    return ("main", f"notifier: maintenance ended reason {reason}")


def quiet(watcher):
    return [(status.box.quiet_from, status.box.quiet_until) for status in watcher.lookout.boxes()]


async def test_it_silences_tells_and_is_said(world):
    """Everything but Watchdog, whose heartbeats go on and speak of it; both ends are said in the group."""
    watcher, box = world.watcher(), world.box()
    answer = await box.arrange(until=UNTIL, **WHO)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "maintenance": {"from": START, "until": UNTIL, **WHO},
            "alertmanager": "ok",
            "watchers": {"watch.example:8060": "ok"},
        },
    )
    (silence,) = world.silences.in_force
    assert silence == {
        "matchers": [
            {"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True},
            {"name": "alertname", "value": "Watchdog", "isRegex": False, "isEqual": False},
        ],
        "startsAt": "2026-11-20T12:00:00.000Z",
        "endsAt": "2026-11-20T13:00:00.000Z",
        "createdBy": "张三",
        "comment": "mgeo maintenance until 2026-11-20T13:00:00.000Z: 换显卡",
    }
    assert quiet(watcher) == [(START, UNTIL)]
    assert box.said == [BEGUN]
    world.time.now = UNTIL - 1
    await box.look()
    assert box.said == [BEGUN]
    world.time.now = UNTIL
    await box.look()
    await box.pulse._tasks["watch.example:8060"]
    assert box.said == [BEGUN, over("到时")]
    assert quiet(watcher) == [(None, None)]
    assert (await box.client.get("/v1/maintenance")).json() == {"maintenance": None}


async def test_later_heartbeats_carry_it_also_after_a_restart(world):
    """So a watcher that was away learns of it, and nothing is said or silenced twice."""
    box = world.box()
    answer = await box.arrange(until=UNTIL, **WHO)
    assert answer.json()["watchers"] == {"watch.example:8060": "it does not answer (ConnectError)"}
    watcher = world.watcher()
    await box.close()
    world.time.now += 60
    box = world.box()
    await box.look()
    await box.post("/v1/alertmanager/watchdog", WATCHDOG)
    await box.pulse._tasks["watch.example:8060"]
    assert quiet(watcher) == [(START, UNTIL)]
    assert len(world.silences.made) == 1
    assert box.said == [BEGUN]


async def test_null_ends_it(world):
    """The silence, the watchers' patience, and with a word in the group; a second end does nothing."""
    watcher, box = world.watcher(), world.box()
    await box.arrange(until=UNTIL, **WHO)
    world.time.now += 600
    answer = await box.arrange(until=None, by="李四")
    assert answer.json() == {"maintenance": None, "alertmanager": "ok", "watchers": {"watch.example:8060": "ok"}}
    assert world.silences.in_force == []
    assert quiet(watcher) == [(None, None)]
    assert box.said == [BEGUN, over("李四 结束")]
    assert (await box.arrange(until=None)).status_code == 200
    assert len(box.said) == 2


async def test_one_that_is_planned_is_told_ahead_and_said_when_it_begins(world):
    """The box may be off by then."""
    watcher, box = world.watcher(), world.box()
    await box.arrange(**{"from": START + 600}, until=UNTIL, **WHO)
    assert quiet(watcher) == [(START + 600, UNTIL)]
    assert world.silences.in_force[0]["startsAt"] == "2026-11-20T12:10:00.000Z"
    assert box.said == []
    world.time.now = START + 600
    await box.look()
    assert box.said == [BEGUN]


async def test_one_that_is_planned_can_be_called_off_without_a_word(world):
    """Nobody heard of it."""
    box = world.box()
    await box.arrange(**{"from": START + 600}, until=UNTIL, **WHO)
    await box.arrange(until=None)
    world.time.now = START + 700
    await box.look()
    assert box.said == []
    assert world.silences.in_force == []


async def test_another_end_takes_the_place_of_the_first(world):
    """One silence is in force, and the group hears of the new end; the same once more is no news."""
    box = world.box()
    await box.arrange(until=UNTIL, **WHO)
    await box.arrange(until=UNTIL, **WHO)
    assert box.said == [BEGUN]
    await box.arrange(until=UNTIL + 3600, **WHO)
    assert [silence["endsAt"] for silence in world.silences.in_force] == ["2026-11-20T14:00:00.000Z"]
    assert box.said == [BEGUN, ("main", "notifier: maintenance begun reason 换显卡, until 22:00:00, who 张三")]


async def test_one_that_is_put_off_ends_first(world):
    """Alerts are told until the new one begins."""
    box = world.box()
    await box.arrange(until=UNTIL, **WHO)
    await box.arrange(**{"from": UNTIL}, until=UNTIL + 60, **WHO)
    assert box.said == [BEGUN, over("张三 改期")]
    assert [silence["startsAt"] for silence in world.silences.in_force] == ["2026-11-20T13:00:00.000Z"]


async def test_what_alertmanager_does_not_take_is_said_and_tried_again(world):
    """The rest of it holds; one line of the log an outage."""
    watcher, box = world.watcher(), world.box()
    world.silences.down = True
    answer = await box.arrange(until=UNTIL, **WHO)
    assert answer.status_code == 200
    assert answer.json()["alertmanager"] == "Alertmanager at 127.0.0.1:9093 answered 500: not now"
    assert quiet(watcher) == [(START, UNTIL)]
    world.time.now += 30
    await box.look()
    assert len(box.log.of("silence.failed")) == 1
    world.silences.down = False
    world.time.now += 29
    await box.look()
    assert world.silences.in_force == []
    world.time.now += 1
    await box.look()
    assert len(world.silences.in_force) == 1


async def test_an_end_that_alertmanager_does_not_take_is_none(world):
    """Else the groups would think that alerts come."""
    watcher, box = world.watcher(), world.box()
    await box.arrange(until=UNTIL, **WHO)
    world.silences.down = True
    answer = await box.arrange(until=None)
    assert answer.status_code == 503
    assert answer.json()["reason"].startswith("Alertmanager at 127.0.0.1:9093 answered 500")
    assert quiet(watcher) == [(START, UNTIL)]
    assert box.said == [BEGUN]
    assert (await box.client.get("/v1/maintenance")).json()["maintenance"]["until"] == UNTIL


async def test_an_end_also_ends_a_silence_that_a_dead_process_left(world):
    """It died between making it and knowing of it; silences of people stay."""
    box = world.box()
    await box.arrange(until=UNTIL, **WHO)
    world.silences.made["people's"] = {**world.silences.made["s1"], "comment": "ours alone"}
    box.store.keep_maintenance(None)
    await box.close()
    box = world.box()
    await box.arrange(until=None)
    assert [silence["comment"] for silence in world.silences.in_force] == ["ours alone"]


async def test_what_cannot_be_remembered_is_not_begun(world):
    """The caller is told to try again."""
    box = world.box()
    box.store._connection.execute("PRAGMA query_only = ON")
    assert (await box.arrange(until=UNTIL, **WHO)).status_code == 503
    assert world.silences.made == {}


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"{", {"Content-Type": "application/json"}, 400, "the body is no JSON"),
        (b"[" * 4000, {"Content-Type": "application/json"}, 400, "the body is no JSON"),
        (b"[]", {"Content-Type": "application/json; charset=utf-8"}, 422, "the body is a JSON object with `until`"),
        (b'{"until": null}', {"Content-Type": "text/plain"}, 415, "Content-Type: application/json"),
        (b'{"until": null}', {}, 415, "Content-Type: application/json"),
        (b" " * 4097, {"Content-Type": "application/json"}, 413, "a body may have 4096 bytes"),
    ],
)
async def test_what_is_no_maintenance_is_refused(world, content, headers, status, words):
    """A page that somebody looks at on the box cannot post one: it may send text, but no JSON."""
    box = world.box()
    answer = await box.post("/v1/maintenance", content, **headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]


async def test_nobody_else_may_silence(world):
    """Whoever has the token, as for every call."""
    box = world.box(token="secret")
    assert (await box.arrange(until=UNTIL, **WHO)).status_code == 401
    assert (await box.client.get("/v1/maintenance")).status_code == 401
    assert world.silences.made == {}


async def test_where_there_is_no_alertmanager_there_is_no_maintenance(world):
    """That of a box is asked for at the box."""
    assert (await world.watcher().arrange(until=UNTIL, **WHO)).status_code == 404
