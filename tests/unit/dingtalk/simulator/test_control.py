"""The control API."""

from __future__ import annotations

import pytest

from tests.unit.dingtalk.simulator.composition import simulating, text


async def test_the_state_tells_how_every_robot_stands():
    """With window, quota, ban, faults and the newest numbers."""
    async with simulating({}, {"name": "dev", "token": "d", "organisation": "lab"}, limit=2, quotas={"lab": 9}) as simulator:
        for _ in range(3):
            await simulator.send()
        await simulator.send(token="d")
        await simulator.control("faults", kind="busy", robot="dev", times=3)
        simulator.clock.tick(10)
        assert (await simulator.client.get("/control/state")).json() == {
            "scale": 1.0,
            "robots": [
                {
                    "name": "ops",
                    "group": "值班群",
                    "organisation": "default",
                    "banned_seconds": 590.0,
                    "window_used": 2,
                    "window_limit": 2,
                    "quota_used": 2,
                    "quota_limit": 3000,
                },
                {
                    "name": "dev",
                    "group": "值班群",
                    "organisation": "lab",
                    "banned_seconds": 0.0,
                    "window_used": 1,
                    "window_limit": 2,
                    "quota_used": 1,
                    "quota_limit": 9,
                },
            ],
            "faults": [{"number": 1, "kind": "busy", "robot": "dev", "times": 3, "delay_seconds": 0.0, "delivers": False, "errcode": None}],
            "last_message": 3,
            "last_attempt": 4,
            "waiting": 0,
            "journal_failed": "",
        }


async def test_a_robot_can_be_banned_and_let_go():
    """The drill's fault."""
    async with simulating() as simulator:
        await simulator.control("ban", robot="ops")
        assert (await simulator.send()).status_code == 302
        await simulator.control("unban", robot="ops")
        assert (await simulator.send()).json()["errcode"] == 0


async def test_an_address_can_be_blocked():
    """Until its five minutes are over."""
    async with simulating() as simulator:
        assert (await simulator.control("block", address="127.0.0.1")).status_code == 200
        assert (await simulator.send()).json()["punish"] == "deny"
        simulator.clock.tick(300)
        assert (await simulator.send()).json()["errcode"] == 0


async def test_the_scale_can_be_set_while_it_runs():
    """A running ban is shortened with all others."""
    async with simulating() as simulator:
        await simulator.control("ban", robot="ops")
        assert (await simulator.control("scale", scale=0.01)).json()["robots"][0]["banned_seconds"] == 6.0
        simulator.clock.tick(6)
        assert (await simulator.send()).json()["errcode"] == 0


async def test_a_reset_forgets_everything_but_the_numbers():
    """Who reads on by index misses nothing."""
    async with simulating(limit=1, scale=0.5) as simulator:
        await simulator.send(text("一", msgUuid="u"))
        await simulator.send()
        await simulator.control("faults", kind="busy")
        await simulator.control("scale", scale=0.1)
        state = (await simulator.control("reset")).json()
        assert (state["scale"], state["faults"], state["last_message"], state["last_attempt"]) == (0.5, [], 1, 2)
        assert (state["robots"][0]["window_used"], state["robots"][0]["quota_used"], state["robots"][0]["banned_seconds"]) == (0, 0, 0)
        assert (await simulator.messages(), await simulator.attempts()) == ([], [])
        await simulator.send(text("一", msgUuid="u"))
        assert [(message["index"], message["duplicates"]) for message in await simulator.messages()] == [(2, 0)]


async def test_faults_are_cleared_one_by_one_or_all_at_once():
    """By number, or by DELETE."""
    async with simulating() as simulator:
        numbers = [(await simulator.control("faults", kind="busy")).json()["number"] for _ in range(3)]
        assert numbers == [1, 2, 3]
        assert (await simulator.control("clear", number=2)).json() == {"cleared": 1}
        assert [fault["number"] for fault in (await simulator.client.get("/control/state")).json()["faults"]] == [1, 3]
        assert (await simulator.client.delete("/control/faults")).json() == {"cleared": 2}


async def test_there_are_not_endlessly_many_faults():
    """A drill that never clears is told."""
    async with simulating() as simulator:
        for _ in range(100):
            assert (await simulator.control("faults", kind="busy")).status_code == 201
        response = await simulator.control("faults", kind="busy")
        assert (response.status_code, response.json()) == (409, {"error": "there are 100 faults already; clear some"})


@pytest.mark.parametrize(
    ("path", "members", "status", "told"),
    [
        ("faults", {}, 422, "kind: "),
        ("faults", {"kind": "nonsense"}, 422, "kind: "),
        ("faults", {"kind": "busy", "robot": "nobody"}, 404, "robot: there is none with the name nobody"),
        ("faults", {"kind": "busy", "times": 0}, 422, "times: "),
        ("faults", {"kind": "busy", "errcode": 1}, 422, "errcode: "),
        ("faults", {"kind": "errcode"}, 422, "errcode: "),
        ("faults", {"kind": "slow"}, 422, "delay_seconds: "),
        ("faults", {"kind": "slow", "delay_seconds": -1}, 422, "delay_seconds: "),
        ("faults", {"kind": "busy", "nonsense": 1}, 422, "nonsense: "),
        ("scale", {"scale": 0}, 422, "scale: "),
        ("scale", {}, 422, "scale: "),
        ("ban", {"robot": "nobody"}, 404, "robot: there is none with the name nobody"),
        ("unban", {"robot": "nobody"}, 404, "robot: there is none with the name nobody"),
        ("block", {"address": "x"}, 422, "address"),
        ("reset", {"x": 1}, 422, "x: "),
    ],
)
async def test_a_wrong_question_changes_nothing_and_is_explained(path, members, status, told):
    """The name first."""
    async with simulating() as simulator:
        before = (await simulator.client.get("/control/state")).json()
        response = await simulator.control(path, **members)
        assert response.status_code == status
        assert response.json()["error"].startswith(told)
        assert (await simulator.client.get("/control/state")).json() == before


@pytest.mark.parametrize("client", ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7", "", "localhost"])
async def test_others_than_the_own_machine_may_not_steer(client):
    """They may send and read."""
    async with simulating(client=client) as simulator:
        assert (await simulator.client.get("/control/state")).status_code == 403
        assert (await simulator.control("reset")).status_code == 403
        assert (await simulator.send()).json()["errcode"] == 0
        assert len(await simulator.messages()) == 1


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
async def test_the_own_machine_may(client):
    """By either kind of address."""
    async with simulating(client=client) as simulator:
        assert (await simulator.client.get("/control/state")).status_code == 200


async def test_other_networks_can_be_allowed():
    """For containers."""
    async with simulating(client="172.18.0.5", control_from=["172.16.0.0/12"]) as simulator:
        assert (await simulator.control("reset")).status_code == 200


async def test_a_page_of_another_site_cannot_steer():
    """What a form can send is refused."""
    async with simulating() as simulator:
        for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
            response = await simulator.client.post("/control/reset", content=b"{}", headers=headers)
            assert response.status_code == 415
        response = await simulator.client.post("/control/reset", content=b" " * 20_000, headers={"content-type": "application/json"})
        assert response.status_code == 413
