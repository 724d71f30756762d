"""What a link of a message leads to."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from pathlib import Path

import pytest

import dingtalk.pages
import dingtalk.people
import dingtalk.web
from dingtalk.alertmanager import Matcher
from dingtalk.errors import StoreUnavailable
from dingtalk.links import Claim, Purpose, Refusal, SignedLinks, group_digest
from dingtalk.people.wording import REFUSAL_STATUS, REFUSALS
from tests.notifier import START, alert
from tests.people import KEY, critical, group, running

DIGEST = group_digest("main", "g")
DAY = 86_400.0
FORM = {"by": "张三", "reason": "换盘", "seconds": "3600"}


def rows(one):
    """All that a visit could change."""
    return list(one.store._connection.iterdump())


def mark(path):
    """What the comment of a link's silence ends with."""
    return f" (link {hashlib.sha256(path.rpartition('/')[2].encode()).hexdigest()[:16]})"


def token(purpose, *, matchers=None, digest=DIGEST, expires_at=int(START + DAY)):
    links = SignedLinks("https://x", KEY)
    return links.token(Claim(purpose=purpose, receiver="main", group=digest, matchers=matchers or {}, expires_at=expires_at))


async def test_looking_changes_nothing(tmp_path):
    """However often, and by whatever follows links before people do."""
    async with running(tmp_path) as one:
        links = await one.told(group(critical()))
        before = rows(one)
        for path in (links["ack"], links["silence"], f"/show/{token(Purpose.SHOW)}"):
            for method in ("GET", "HEAD"):
                answer = await one.client.request(method, path)
                assert answer.status_code == 200
        assert rows(one) == before
        assert one.silences.made == []
        assert (await one.client.post(f"/show/{token(Purpose.SHOW)}")).status_code == 405


async def test_a_group_is_taken_by_its_link(tmp_path):
    """The page shows what fires and who waits; then who has it, also to whoever comes later, and the group is told once."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["ack"]
        page = (await one.client.get(path)).text
        assert "HighErrorRate" in page
        assert "box-1" in page
        assert "还没有人接手，<time>20:00:00</time> 起在等人" in page
        assert page.count("<form") == 1
        answer = await one.client.post(path, data={"by": "张三"})
        assert answer.status_code == 200
        assert "已接手，群里已通知。张三 于 <time>20:00:00</time> 接手。" in answer.text
        one.time.now += 60
        for later in (await one.client.get(path), await one.client.post(path, data={"by": "李四"})):
            assert later.status_code == 200
            assert "张三 于 <time>20:00:00</time> 接手。" in later.text
            assert "群里已通知" not in later.text
            assert "<form" not in later.text
        (said,) = one.said
        assert "张三 已接手" in said


async def test_a_name_is_needed(tmp_path):
    """Nothing is taken without one; what was typed is kept."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["ack"]
        answer = await one.client.post(path, data={"by": "x" * 41})
        assert answer.status_code == 400
        assert "请填写姓名" in answer.text
        assert "x" * 41 in answer.text
        assert one.store.group(DIGEST).case.taken_by is None


async def test_what_is_over_is_not_taken(tmp_path):
    """The page says so and has no form."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["ack"]
        await one.told(group(critical(status="resolved", ends_at=START + 60)))
        answer = await one.client.get(path)
        assert "已经全部恢复" in answer.text
        assert "<form" not in answer.text
        assert (await one.client.post(path, data={"by": "张三"})).status_code == 409
        assert one.said == []


async def test_a_link_that_was_used_does_not_take_what_fires_anew(tmp_path):
    """Its newer message has another one."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["ack"]
        await one.client.post(path, data={"by": "张三"})
        await one.told(group(critical(status="resolved", ends_at=START + 60)))
        one.time.now += 120
        newer = (await one.told(group(critical(starts_at=START + 120))))["ack"]
        for answer in (await one.client.get(path), await one.client.post(path, data={"by": "张三"})):
            assert answer.status_code == 410
            assert "已经用过" in answer.text
        assert (await one.client.post(newer, data={"by": "李四"})).status_code == 200
        assert one.store.group(DIGEST).case.taken_by == "李四"


async def test_a_group_is_silenced_by_its_link_once(tmp_path):
    """The page shows the labels and four lengths; who, why and how long stand in Alertmanager and in the group."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        page = (await one.client.get(path)).text
        assert "<code>alertname</code> = <code>HighErrorRate</code>" in page
        assert re.findall(r'name="seconds" value="(\d+)"( checked)?', page) == [
            ("3600", ""),
            ("7200", " checked"),
            ("28800", ""),
            ("86400", ""),
        ]
        answer = await one.client.post(path, data=FORM)
        assert answer.status_code == 200
        assert "张三 静默到 <time>21:00:00</time>。群里已通知。" in answer.text
        assert one.silences.made == [
            {"matchers": {"alertname": "HighErrorRate"}, "seconds": 3600.0, "by": "张三", "comment": f"换盘{mark(path)}"}
        ]
        assert "张三 静默 1 小时：alertname=HighErrorRate（换盘）。" in one.said[0]
        for again in (await one.client.get(path), await one.client.post(path, data=FORM)):
            assert again.status_code == 410
        assert len(one.silences.made) == 1


async def test_the_labels_of_the_link_count(tmp_path):
    """Not those of what fires by now; without any, those of the group."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        await one.client.post(f"/silence/{token(Purpose.SILENCE, matchers={'instance': 'box-1'})}", data=FORM)
        await one.client.post(f"/silence/{token(Purpose.SILENCE)}", data=FORM)
        assert [made["matchers"] for made in one.silences.made] == [{"instance": "box-1"}, {"alertname": "HighErrorRate"}]


async def test_only_what_is_silenced_is_shown_as_such(tmp_path):
    """And who silences a part of a group has not taken it."""
    async with running(tmp_path) as one:
        await one.told(group(critical(), critical(instance="box-2")))
        path = f"/silence/{token(Purpose.SILENCE, matchers={'instance': 'box-2'})}"
        page = (await one.client.get(path)).text
        assert "现在会静默的告警（1）" in page
        assert "<p>box-2</p>" in page
        assert "<p>box-1</p>" not in page
        assert "这一组另有 1 条告警不受影响。" in page
        await one.client.post(path, data=FORM)
        assert one.store.group(DIGEST).case.taken_by is None


async def test_an_alertmanager_that_does_not_answer_is_said_on_the_page_alone(tmp_path):
    """And the link may be used again, with what was typed."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        one.silences.fails = True
        answer = await one.client.post(path, data=FORM)
        assert answer.status_code == 502
        assert "没有应答" in answer.text
        assert 'value="换盘"' in answer.text
        assert 'value="3600" checked' in answer.text
        assert one.said == []
        assert (await one.client.post(path, data=FORM)).status_code == 502
        assert (await one.client.get(path)).status_code == 200
        one.silences.fails = False
        assert (await one.client.post(path, data=FORM)).status_code == 200
        assert len(one.silences.made) == 1
        assert (await one.client.post(path, data=FORM)).status_code == 410


async def test_a_silence_whose_answer_was_lost_is_that_of_the_link(tmp_path):
    """Whoever tries again is told of it as it was made, and so is the group, once."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        one.silences.late = 1
        assert (await one.client.post(path, data=FORM)).status_code == 502
        assert (one.said, one.silences.in_force) == ([], ["silence-1"])
        one.time.now += 5
        answer = await one.client.post(path, data={"by": "李四", "reason": "换卡", "seconds": "7200"})
        assert answer.status_code == 200
        assert "张三 静默到 <time>21:00:00</time>。群里已通知。" in answer.text
        assert "<p>原因：换盘</p>" in answer.text
        assert "<code>silence-1</code>" in answer.text
        assert one.silences.in_force == ["silence-1"]
        (said,) = one.said
        assert "张三 静默 1 小时：alertname=HighErrorRate（换盘）。" in said
        assert one.store.group(DIGEST).case.taken_by == "张三"
        assert (await one.client.post(path, data=FORM)).status_code == 410


async def test_a_silence_whose_answer_was_lost_and_that_is_over_counts(tmp_path):
    """There was one, so the link has done what it is for."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        one.silences.late = 1
        await one.client.post(path, data=FORM)
        await one.silences.expire("silence-1")
        for answer in (await one.client.post(path, data=FORM), await one.client.get(path)):
            assert answer.status_code == 410
        assert one.said == []
        assert len(one.silences.made) == 1


async def test_a_form_that_is_sent_twice_makes_one_silence(tmp_path):
    """The second is told to wait, with what was typed, and the first is answered as always."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        one.silences.holds = 1
        first = asyncio.create_task(one.client.post(path, data=FORM))
        await one.silences.held.wait()
        second = await one.client.post(path, data=FORM)
        assert second.status_code == 409
        assert "刚刚提交过，还没有结果" in second.text
        assert 'value="换盘"' in second.text
        one.silences.freed.set()
        assert (await first).status_code == 200
        assert len(one.silences.made) == len(one.said) == 1
        assert (await one.client.post(path, data=FORM)).status_code == 410


@pytest.mark.parametrize("arrived", [False, True])
async def test_killed_before_alertmanager_answers_the_link_is_good_again_after_a_while(tmp_path, arrived):
    """For the next process; whether the silence is there or not, there is one in the end, and the group hears of it once."""
    async with running(tmp_path / "outbox") as one:
        path = (await one.told(group(critical())))["silence"]
        one.silences.holds = 1
        pressed = asyncio.create_task(one.client.post(path, data=FORM))
        await one.silences.held.wait()
        pressed.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pressed
        if arrived:
            labels = [Matcher(name="alertname", value="HighErrorRate")]
            now = one.time.now
            await one.silences.silence(labels, starts_at=now, ends_at=now + 3600, by="张三", comment=f"换盘{mark(path)}")
    async with running(tmp_path / "outbox", time=one.time, silences=one.silences) as one:
        one.time.now += 29
        assert (await one.client.get(path)).status_code == 200
        assert (await one.client.post(path, data=FORM)).status_code == 409
        one.time.now += 1
        answer = await one.client.post(path, data=FORM)
        assert answer.status_code == 200
        assert f"静默到 <time>{'21:00:00' if arrived else '21:00:30'}</time>" in answer.text
        assert len(one.silences.made) == len(one.said) == 1
        assert (await one.client.post(path, data=FORM)).status_code == 410


async def test_what_alertmanager_was_asked_before_and_takes_only_now_is_ended(tmp_path):
    """It was not there when the link was tried again, and came while the second was made."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        one.silences.fails = True
        await one.client.post(path, data=FORM)
        one.silences.fails, one.silences.holds = False, 1
        pressed = asyncio.create_task(one.client.post(path, data=FORM))
        await one.silences.held.wait()
        await one.silences.silence([], starts_at=START, ends_at=START + 3600, by="张三", comment=f"换盘{mark(path)}")
        one.silences.freed.set()
        answer = await pressed
        assert "<code>silence-2</code>" in answer.text
        assert one.silences.in_force == ["silence-2"]
        assert len(one.said) == 1


async def test_an_alertmanager_that_takes_too_long_has_not_answered(tmp_path, monkeypatch):
    """The next try may begin at once."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        one.silences.holds = 1
        monkeypatch.setattr("dingtalk.people.desk.DEADLINE", 0.0)
        answer = await one.client.post(path, data=FORM)
        assert answer.status_code == 502
        monkeypatch.undo()
        assert (await one.client.post(path, data=FORM)).status_code == 200
        assert len(one.silences.made) == 1


async def test_a_silence_that_cannot_be_noted_is_told_when_the_link_is_tried_again(tmp_path):
    """Alertmanager has it; the page says that the group does not know."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        noted = one.store.silenced

        def full(*arguments, **more):
            raise StoreUnavailable("the outbox cannot be written")

        one.store.silenced = full
        answer = await one.client.post(path, data=FORM)
        assert "群里没有消息" in answer.text
        one.store.silenced = noted
        one.time.now += 30
        assert "群里已通知" in (await one.client.post(path, data=FORM)).text
        assert len(one.silences.made) == len(one.said) == 1


@pytest.mark.parametrize(
    ("field", "value", "words"), [("by", "", "请填写姓名"), ("reason", " ", "请填写原因"), ("seconds", "x", "请选择时长")]
)
async def test_a_silence_needs_who_why_and_how_long(tmp_path, field, value, words):
    """Each is asked for by name."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["silence"]
        answer = await one.client.post(path, data=FORM | {field: value})
        assert answer.status_code == 400
        assert words in answer.text
        assert one.silences.made == []
        assert (await one.client.get(path)).status_code == 200


async def test_what_has_no_label_in_common_is_not_silenced(tmp_path):
    """It would silence everything."""
    async with running(tmp_path) as one:
        await one.told(group(alert("A", severity="info"), alert("B", instance="b"), groupLabels={}))
        assert (await one.client.get(f"/silence/{token(Purpose.SILENCE)}")).status_code == 409


async def test_everything_that_was_received_is_shown(tmp_path):
    """The newest first, page by page."""
    async with running(tmp_path) as one:
        for number in range(53):
            await one.receive(group(alert(instance=f"box-{number}")))
        path = f"/show/{token(Purpose.SHOW)}"
        page = (await one.client.get(path)).text
        assert [int(number) for number in re.findall(r"<p>box-(\d+)</p>", page)] == [*range(52, 2, -1)]
        (more,) = re.findall(r'href="(\?before=\d+)"', page)
        page = (await one.client.get(path + more)).text
        assert [int(number) for number in re.findall(r"<p>box-(\d+)</p>", page)] == [2, 1, 0]
        assert "?before=" not in page
        assert (await one.client.get(path + "?before=x")).status_code == 200


@pytest.mark.parametrize(
    ("claim", "status", "words"),
    [
        (token(Purpose.SHOW), 403, "不是用来做这件事"),
        (token(Purpose.ACKNOWLEDGE)[:-1] + "?", 403, "不是本通知器签发"),
        (token(Purpose.ACKNOWLEDGE, expires_at=int(START)), 410, "已过期"),
        ("nothing", 403, "不完整"),
        (token(Purpose.ACKNOWLEDGE, digest="0" * 12), 404, "没有这组告警的记录"),
    ],
)
async def test_a_link_that_does_not_count_says_why(tmp_path, claim, status, words):
    """On looking as on acting."""
    async with running(tmp_path) as one:
        await one.told(group(critical()))
        claim = claim.replace("?", "%3F")
        for answer in (await one.client.get(f"/ack/{claim}"), await one.client.post(f"/ack/{claim}", data={"by": "张三"})):
            assert answer.status_code == status
            assert words in answer.text
            assert "<form" not in answer.text
        assert one.store.group(DIGEST).case.taken_by is None


def test_every_refusal_has_its_words():
    """And its status."""
    assert set(REFUSALS) == set(REFUSAL_STATUS) == set(Refusal)


@pytest.mark.parametrize("body", [b"by=" + b"x" * 9000, b"&".join(b"a=1" for _ in range(30))])
async def test_a_form_that_is_none(tmp_path, body):
    """Is not read to its end."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical())))["ack"]
        assert (await one.client.post(path, content=body)).status_code == 400
        assert one.store.group(DIGEST).case.taken_by is None


async def test_what_alerts_bring_is_text(tmp_path):
    """On each page, and what people type too."""
    evil = "<script>alert(1)</script>\"'><img src=x>"
    async with running(tmp_path) as one:
        await one.receive(group(critical(evil, instance=evil, job=evil), groupLabels={"job": evil}))
        pages = [
            await one.client.get(f"/ack/{token(Purpose.ACKNOWLEDGE)}"),
            await one.client.get(f"/silence/{token(Purpose.SILENCE)}"),
            await one.client.get(f"/show/{token(Purpose.SHOW)}"),
            await one.client.post(f"/silence/{token(Purpose.SILENCE)}", data={"by": evil[:40], "reason": evil, "seconds": "x"}),
            await one.client.post(f"/silence/{token(Purpose.SILENCE)}", data={"by": evil[:40], "reason": evil, "seconds": "60"}),
            await one.client.post(f"/ack/{token(Purpose.ACKNOWLEDGE)}", data={"by": evil[:40]}),
        ]
        for page in pages:
            assert "<script" not in page.text
            assert "<img" not in page.text
            assert "&lt;script&gt;" in page.text


async def test_pages_bring_nothing_from_elsewhere_and_keep_nothing(tmp_path):
    """No script, no cookie, no cache, no address that knows its place, nothing that tells where one came from."""
    async with running(tmp_path) as one:
        links = await one.told(group(critical()))
        for path in (links["ack"], links["silence"], f"/show/{token(Purpose.SHOW)}", "/ack/nothing"):
            answer = await one.client.get(path)
            policy = answer.headers["content-security-policy"]
            assert answer.headers["x-robots-tag"] == "noindex"
            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "script-src" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "set-cookie" not in answer.headers
            assert '<html lang="zh-CN">' in answer.text
            addresses = re.findall(r'(?:href|src|action)="([^"]*)"', answer.text)
            assert all(address == "data:," or address.startswith(("../show/", "?")) for address in addresses), addresses


async def test_what_has_no_place_in_a_page_does_not_stop_it(tmp_path):
    """A label may hold half a character; the alert is taken over all the same."""
    async with running(tmp_path) as one:
        path = (await one.told(group(critical(instance="box-\ud83d"))))["ack"]
        answer = await one.client.get(path)
        assert answer.status_code == 200
        assert "box-\ufffd" in answer.text


def test_templates_have_no_address_of_their_own():
    """Behind a prefix they would lead astray."""
    folders = (Path(package.__file__).parent / "templates" for package in (dingtalk.pages, dingtalk.people, dingtalk.web))
    for path in (path for folder in folders for path in folder.iterdir()):
        assert not re.search(r'(?:href|src|action)="[/h]', path.read_text()), path


async def test_without_a_public_address_there_are_no_links(tmp_path):
    """The pages are not there; the commands are."""
    from dingtalk.app import create_app
    from dingtalk.boot import Boot
    from dingtalk.fallback import NoFallback
    from dingtalk.outbox.store import Outbox
    from dingtalk.renders import BareRenderer
    from tests.notifier import FakeDingTalk, Time, configuration

    time = Time()
    store = Outbox.open(tmp_path, clock=time.clock, boot=Boot(id="boot"), max_queue=10)
    app = create_app(
        configuration(), clock=time.clock, renderer=BareRenderer(), client=FakeDingTalk(time), fallback=NoFallback(), store=store
    )
    store.close()
    paths = [route.path for route in app.routes]
    assert "/ack/{token}" not in paths
    assert "/v1/groups/{digest}/ack" in paths
