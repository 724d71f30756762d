"""Groups for programs."""

from __future__ import annotations

import pytest

from dingtalk.links import group_digest
from tests.notifier import START, alert
from tests.people import critical, group, running

DIGEST = group_digest("main", "g")
ACK, SILENCE = f"/v1/groups/{DIGEST}/ack", f"/v1/groups/{DIGEST}/silence"
WISH = {"by": "张三", "reason": "换盘", "seconds": 7200}


async def test_who_acknowledges_first_has_it(tmp_path):
    """The group is told once; the second is told who has it."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        one.time.now += 60
        answer = await one.client.post(ACK, json={"by": "张三"})
        assert (answer.status_code, answer.json()) == (
            200,
            {"group": DIGEST, "taken_by": "张三", "taken_at": START + 60, "first": True},
        )
        one.time.now += 60
        answer = await one.client.post(ACK, json={"by": "李四"})
        assert answer.json() == {"group": DIGEST, "taken_by": "张三", "taken_at": START + 60, "first": False}
        await one.deliver()
        (told,) = [text for text in one.dingtalk.texts if "已接手" in text]
        assert told.endswith("张三 已接手：at box-1 · box-1（HighErrorRate）。")


async def test_how_a_group_stands(tmp_path):
    """Its alerts, who was asked, who has it."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        answer = (await one.client.get(f"/v1/groups/{DIGEST}")).json()
        assert [each["labels"]["alertname"] for each in answer["alerts"]] == ["HighErrorRate"]
        assert (answer["firing"], answer["waits_since"], answer["asked"], answer["taken_by"]) == (True, START, 0, None)


async def test_a_silence_has_the_labels_of_the_group(tmp_path):
    """The group hears who, how long, what and why; and whoever silences it has taken it."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        answer = await one.client.post(SILENCE, json=WISH)
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "group": DIGEST,
                "silence": "silence-1",
                "matchers": {"alertname": "HighErrorRate"},
                "until": START + 7200,
                "told": True,
            },
        )
        assert one.silences.made == [{"matchers": {"alertname": "HighErrorRate"}, "seconds": 7200.0, "by": "张三", "comment": "换盘"}]
        (said,) = one.said
        assert "张三 静默 2 小时：alertname=HighErrorRate（换盘）。" in said
        assert one.store.group(DIGEST).case.taken_by == "张三"


async def test_without_labels_of_its_own_it_has_those_that_its_alerts_share(tmp_path):
    """And without any there is no silence, since it would silence everything."""
    async with running(tmp_path) as one:
        await one.told(group(critical(), critical(instance="box-2"), groupLabels={}))
        answer = await one.client.post(SILENCE, json=WISH)
        assert answer.json()["matchers"] == {"alertname": "HighErrorRate", "severity": "critical"}
        await one.told(group(alert("A", severity="info"), alert("B", instance="b"), groupLabels={}))
        answer = await one.client.post(SILENCE, json=WISH)
        assert answer.status_code == 409
        assert len(one.silences.made) == 1


async def test_an_alertmanager_that_does_not_answer_silences_nothing(tmp_path):
    """502; nothing is said, nothing is taken."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        one.silences.fails = True
        answer = await one.client.post(SILENCE, json=WISH)
        assert (answer.status_code, answer.json()) == (502, {"error": "Alertmanager at 127.0.0.1:9093 does not answer"})
        assert one.said == []
        assert one.store.group(DIGEST).case.taken_by is None


@pytest.mark.parametrize("address", [ACK, SILENCE])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"by": ""}', b"[" * 5000, b'{"by": "' + b"x" * 9000 + b'"}', b"\xff"])
async def test_what_nobody_understands_changes_nothing(tmp_path, address, body):
    """400 with the reason."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        answer = await one.client.post(address, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]
        assert one.store.group(DIGEST).case.taken_by is None


@pytest.mark.parametrize("digest", ["000000000000", "x", "%00", "a" * 300])
async def test_a_group_that_nobody_heard_of(tmp_path, digest):
    """404."""
    async with running(tmp_path) as one:
        assert (await one.client.get(f"/v1/groups/{digest}")).status_code == 404
        assert (await one.client.post(f"/v1/groups/{digest}/ack", json={"by": "张三"})).status_code == 404
        assert (await one.client.post(f"/v1/groups/{digest}/silence", json=WISH)).status_code == 404


async def test_what_is_over_is_not_taken(tmp_path):
    """409."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        await one.receive(group(critical(status="resolved", ends_at=START + 1)))
        answer = await one.client.post(ACK, json={"by": "张三"})
        assert (answer.status_code, answer.json()["error"]) == (409, f"nothing of the group {DIGEST} fires any more")


async def test_whoever_has_no_token_may_do_nothing(tmp_path):
    """As at the webhook."""
    async with running(tmp_path, values={"token": "a-secret-token"}) as one:
        for method, address in (("GET", f"/v1/groups/{DIGEST}"), ("POST", ACK), ("POST", SILENCE)):
            answer = await one.client.request(method, address, headers={"Authorization": "Bearer wrong"})
            assert answer.status_code == 401
        answer = await one.client.get(f"/v1/groups/{DIGEST}", headers={"Authorization": "Bearer a-secret-token"})
        assert answer.status_code == 404


async def test_while_it_cannot_store_nobody_takes_anything(tmp_path):
    """503; and a silence that was made by then is told of to whoever asked for it."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        one.store._connection.execute("PRAGMA query_only = ON")
        assert (await one.client.post(ACK, json={"by": "张三"})).status_code == 503
        answer = await one.client.post(SILENCE, json=WISH)
        assert (answer.status_code, answer.json()["told"]) == (200, False)
