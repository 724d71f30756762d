"""Groups by their digest: what was received of each, who has it, and which links have counted."""

from __future__ import annotations

import json

import pytest

from dingtalk.alert import Severity
from dingtalk.errors import LinkRefused
from dingtalk.escalation import Case
from dingtalk.links import group_digest
from dingtalk.outbox.rows import Draft, LinkUse, UsedLink
from dingtalk.part import Part
from dingtalk.plan import Form, Lane
from tests.notifier import START, Notifier, alert, payload

DIGEST = group_digest("main", "g")
LINK = UsedLink(hash="h", who="张三", expires_at=START + 3600)


@pytest.fixture
def one(tmp_path):
    made = Notifier(tmp_path)
    yield made
    made.outbox.close()


def critical(**values):
    return alert("HighErrorRate", severity="critical", **values)


def said(text="taken"):
    part = Part(title=text, text=text)
    return Draft(receiver="main", group_key="notifier:X", lane=Lane.CRITICAL, form=Form.NOTICE, parts=(part,), received_at=START)


async def told(one, *alerts, **values):
    one.receive(payload(*alerts, **values))
    await one.deliver()


def test_a_digest_finds_its_group(one):
    """By its newest receipt; another digest finds nothing."""
    one.receive(payload(critical()))
    one.time.now += 5
    one.receive(payload(critical(status="resolved", ends_at=START + 5), alert()))
    found = one.outbox.group(DIGEST)
    assert (found.receiver, found.group_key, found.newest.received_at, found.case) == ("main", "g", START + 5, None)
    assert found.firing is Severity.WARNING
    assert len(json.loads(found.newest.payload)["alerts"]) == 2
    assert one.outbox.group(group_digest("other", "g")) is None


@pytest.mark.parametrize(
    ("alerts", "firing"),
    [
        ([critical(), alert()], Severity.CRITICAL),
        ([critical(status="resolved", ends_at=START), alert()], Severity.WARNING),
        ([critical(status="resolved", ends_at=START)], None),
        ([{**critical(late="true"), "annotations": {"ended_at": str(START)}}], None),
        ([], None),
    ],
)
def test_how_urgent_what_still_fires_is(one, alerts, firing):
    """Also when an end that was missed comes as an alert that fires."""
    one.receive(payload(*alerts))
    assert one.outbox.group(DIGEST).firing is firing


async def test_a_critical_group_waits_for_somebody_once_it_is_told(one):
    """Not before, since nobody could know; and from the first message on, however often it is told again."""
    one.receive(payload(critical()))
    assert one.outbox.cases() == []
    one.time.now += 10
    await one.deliver()
    assert one.outbox.cases() == [Case.opened("main", "g", START + 10)]
    one.time.now += 100
    await told(one, critical(), critical(instance="box-2"))
    assert one.outbox.cases() == [Case.opened("main", "g", START + 10)]


async def test_what_is_not_critical_waits_for_nobody(one):
    """Nor what the notifier says of itself."""
    await told(one, alert())
    one.outbox.put(said())
    await one.deliver()
    assert one.outbox.cases() == []


async def test_what_is_over_when_it_is_told_waits_for_nobody(one):
    """A message that comes late tells of the past."""
    one.dingtalk.answers["r1"] = ["unreachable"]
    one.receive(payload(critical()))
    await one.deliver()
    one.receive(payload(critical(status="resolved", ends_at=START + 1)))
    await one.run_for(60)
    assert one.outbox.cases() == []


@pytest.mark.parametrize("left", [[critical(status="resolved", ends_at=START + 1)], [alert()]])
async def test_nobody_is_waited_for_once_nothing_critical_fires(one, left):
    """Whatever else of the group does; and what was left out by Alertmanager may still."""
    await told(one, critical())
    one.receive(payload(*left, truncatedAlerts=1))
    assert len(one.outbox.cases()) == 1
    one.receive(payload(*left, truncatedAlerts=0))
    assert one.outbox.cases() == []


async def test_whoever_is_first_has_it_until_all_is_over(one):
    """It is told once; then it begins anew."""
    await told(one, critical(), alert())
    first = one.outbox.take(DIGEST, "张三", says=said())
    assert first == (Case(receiver="main", group_key="g", opened_at=START, asked_at=START, taken_by="张三", taken_at=START), True)
    assert one.outbox.take(DIGEST, "李四", says=said()) == (first[0], False)
    assert one.outbox.cases() == []
    await one.deliver()
    assert one.dingtalk.texts.count("taken") == 1
    await told(one, critical(status="resolved", ends_at=START + 1), alert())
    assert one.outbox.group(DIGEST).case == first[0]
    await told(one, alert(status="resolved", ends_at=START + 2))
    assert one.outbox.group(DIGEST).case is None
    assert one.outbox.take(DIGEST, "李四", says=said()) is None
    await told(one, critical())
    assert len(one.outbox.cases()) == 1


async def test_what_began_after_it_was_taken_has_not_been_taken(one):
    """Its end was never told, as of what was silenced; what goes on beside something new stays with whoever has it."""
    await told(one, critical())
    one.time.now += 60
    one.outbox.take(DIGEST, "张三", says=None)
    await told(one, critical(), critical(instance="box-2", starts_at=START + 90))
    assert one.outbox.group(DIGEST).case.taken_by == "张三"
    await told(one, critical(starts_at=START + 61))
    assert [case.taken_by for case in one.outbox.cases()] == [None]


def test_what_is_not_critical_can_be_taken_too(one):
    """And what was never heard of cannot."""
    one.receive(payload(alert()))
    assert one.outbox.take(DIGEST, "张三", says=None)[1]
    assert one.outbox.take(group_digest("main", "other"), "张三", says=None) is None


async def test_a_case_outlives_the_process(one):
    """Who was asked, and who has it."""
    await told(one, critical())
    (case,) = one.outbox.cases()
    after = Case(receiver="main", group_key="g", opened_at=START, asked=1, asked_at=START + 300)
    assert one.outbox.asked(case, after, says=said("ask"))
    one.restart()
    assert one.outbox.cases() == [after]
    one.outbox.take(DIGEST, "张三", says=None)
    one.restart()
    assert one.outbox.group(DIGEST).case.taken_by == "张三"


async def test_nobody_is_asked_for_what_was_taken_meanwhile(one):
    """Nor twice by two who look at the same time; nothing is told then."""
    await told(one, critical())
    (case,) = one.outbox.cases()
    after = Case(receiver="main", group_key="g", opened_at=START, asked=1, asked_at=START + 300)
    assert one.outbox.asked(case, after)
    assert not one.outbox.asked(case, after, says=said("twice"))
    one.outbox.take(DIGEST, "张三", says=None)
    assert not one.outbox.asked(after, Case(receiver="main", group_key="g", opened_at=START, asked=2, asked_at=START), says=said("late"))
    await one.deliver()
    assert not {"twice", "late"} & set(one.dingtalk.texts)


async def test_a_link_takes_a_group_once(one):
    """Who opens it again is told who has it; once all was over, it does not count for what fires anew."""
    await told(one, critical())
    assert one.outbox.take(DIGEST, "张三", says=None, link=LINK)[1]
    assert one.outbox.link_used("h")
    assert one.outbox.take(DIGEST, "李四", says=None, link=LINK)[0].taken_by == "张三"
    await told(one, critical(status="resolved", ends_at=START + 1))
    await told(one, critical(starts_at=START + 2))
    with pytest.raises(LinkRefused, match="used already"):
        one.outbox.take(DIGEST, "李四", says=said("refused"), link=LINK)
    await one.deliver()
    assert "refused" not in one.dingtalk.texts
    assert len(one.outbox.cases()) == 1


def begin(one):
    return one.outbox.begin_link(LINK, patience=30)


def test_a_link_whose_use_failed_may_be_used_again_at_once(one):
    """It has not counted."""
    assert begin(one) is LinkUse.FIRST
    assert not one.outbox.link_used("h")
    one.outbox.end_link(LINK)
    assert begin(one) is LinkUse.AGAIN
    assert not one.outbox.link_used("h")


@pytest.mark.parametrize(
    ("seconds", "use"), [(29, LinkUse.UNDER_WAY), (30, LinkUse.AGAIN), (-1, LinkUse.UNDER_WAY), (-9999, LinkUse.AGAIN)]
)
def test_a_link_whose_use_told_nothing_may_be_used_again_after_a_while(one, seconds, use):
    """As when the process was killed; also by a clock that was set back."""
    assert begin(one) is LinkUse.FIRST
    one.time.jump = seconds
    assert begin(one) is use
    one.restart()
    assert begin(one) is LinkUse.UNDER_WAY


async def test_a_silence_is_told_and_taken_with_its_link_once(one):
    """Who made it has what fires; a second telling is none, and nothing lets the link count anew."""
    await told(one, critical())
    assert begin(one) is LinkUse.FIRST
    one.outbox.silenced(DIGEST, says=said("silenced"), by="张三", link=LINK)
    one.outbox.silenced(DIGEST, says=said("twice"), by="李四", link=LINK)
    await one.deliver()
    assert one.dingtalk.texts.count("silenced") == 1
    assert "twice" not in one.dingtalk.texts
    assert one.outbox.group(DIGEST).case.taken_by == "张三"
    one.outbox.end_link(LINK)
    assert begin(one) is LinkUse.DONE


async def test_what_is_silenced_in_part_or_is_over_is_taken_by_nobody(one):
    """It is told all the same, with or without a link."""
    await told(one, critical())
    one.outbox.silenced(DIGEST, says=said("a part"))
    assert one.outbox.group(DIGEST).case.taken_by is None
    await told(one, critical(status="resolved", ends_at=START + 1))
    one.outbox.silenced(DIGEST, says=said("over"), by="张三", link=LINK)
    await one.deliver()
    assert [text for text in one.dingtalk.texts if text in {"a part", "over"}] == ["a part", "over"]
    assert one.outbox.group(DIGEST).case is None


def test_a_link_is_forgotten_when_it_has_expired(one):
    """And no sooner."""
    one.outbox.silenced(DIGEST, says=None, link=LINK)
    one.time.now += 3599
    one.outbox.purge(keep=1)
    assert one.outbox.link_used("h")
    one.time.now += 2
    one.outbox.purge(keep=1)
    assert not one.outbox.link_used("h")


async def test_what_nobody_ever_took_nor_ended_is_forgotten_at_last(one):
    """After two months, as what fires without being told again."""
    await told(one, critical())
    one.time.now += 61 * 86_400
    one.outbox.purge(keep=1)
    assert len(one.outbox.cases()) == 1
    one.time.now += 2 * 86_400
    one.outbox.purge(keep=1)
    assert one.outbox.cases() == []


def numbers(page):
    return [receipt.id for receipt in page[0]]


def test_what_was_received_is_read_page_by_page(one):
    """The newest first; never more alerts than asked for, but always one receipt."""
    for number in range(5):
        one.receive(payload(*(alert(instance=f"box-{number}-{index}") for index in range(3))))
    assert numbers(one.outbox.receipts_of_group(DIGEST)) == [5, 4, 3, 2, 1]
    page = one.outbox.receipts_of_group(DIGEST, limit=2)
    assert (numbers(page), page[1]) == ([5, 4], True)
    page = one.outbox.receipts_of_group(DIGEST, before=3)
    assert (numbers(page), page[1]) == ([2, 1], False)
    assert numbers(one.outbox.receipts_of_group(DIGEST, alerts=7)) == [5, 4]
    assert numbers(one.outbox.receipts_of_group(DIGEST, alerts=1)) == [5]
    assert one.outbox.receipts_of_group("0" * 12) == ([], False)
