"""Who is called by an @."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from dingtalk.mention import Roll, count, first, is_within, mention_text, union, without
from dingtalk.part import Mention
from tests.alerts import NOW, alert, config

PEOPLE = [
    {"name": "张三", "mobile": "13800000000", "user_id": "zhang"},
    {"name": "李四", "user_id": "li_4"},
    {"name": "王五", "mobile": "+1-5550100"},
]
ANYBODY = {"people": ["张三"]}


def called(*owners, severity="critical", over=False, now=NOW, by_id=False, **labels):
    roll = Roll(config(people=PEOPLE, owners=list(owners)))
    return roll.called(alert(severity=severity, labels=labels), over=over, now=now, by_id=by_id)


def at(hour, minute=0):
    return datetime(2026, 11, 28, hour, minute, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()


def test_the_first_owner_that_matches_is_called():
    """All its labels must be there; without any it matches everything."""
    owners = [{"match": {"team": "geo", "area": "east"}, "people": ["李四"]}, {"match": {"team": "geo"}, "people": ["王五"]}, ANYBODY]
    assert called(*owners, team="geo", area="east") == Mention(user_ids=("li_4",))
    assert called(*owners, team="geo") == Mention(mobiles=("+1-5550100",))
    assert called(*owners, team="other") == Mention(mobiles=("13800000000",))
    assert called(owners[0], team="other") == Mention()
    assert called() == Mention()


def test_a_person_is_called_once():
    """By mobile, or by user id where a mobile means nothing."""
    owner = {"people": ["张三", "李四", "张三"]}
    assert called(owner) == Mention(mobiles=("13800000000",), user_ids=("li_4",))
    assert called(owner, by_id=True) == Mention(user_ids=("zhang", "li_4"))


def test_nobody_is_called_for_an_end_unless_asked_for():
    """It can wait for the morning."""
    assert called(ANYBODY, over=True) == Mention()
    assert called(ANYBODY | {"on_resolved": True}, over=True) == Mention(mobiles=("13800000000",))


def test_everyone_is_called_for_critical_alerts_only():
    """And for none that is over."""
    owner = {"everyone": True}
    assert called(owner) == Mention(everyone=True)
    assert called(owner, severity="warning") == Mention()
    assert called(owner, over=True) == Mention()


def test_nobody_is_called_for_what_is_no_alert():
    """The watchdog fires always."""
    assert called(ANYBODY, severity="none") == Mention()


@pytest.mark.parametrize(
    ("now", "severity", "calls"),
    [
        (at(23), "warning", False),
        (at(3), "warning", False),
        (at(7, 59), "info", False),
        (at(8), "warning", True),
        (at(21, 59), "warning", True),
        (at(3), "critical", True),
    ],
)
def test_quiet_hours_go_over_midnight_and_critical_alerts_through_them(now, severity, calls):
    """On people's clocks; a severity that nobody knows is a warning."""
    owner = ANYBODY | {"quiet_from": time(22), "quiet_until": time(8)}
    assert bool(count(called(owner, severity=severity, now=now))) is calls


def test_critical_alerts_keep_quiet_where_it_says_so():
    """By name."""
    owner = ANYBODY | {"quiet_from": time(22), "quiet_until": time(8), "quiet_severities": ["critical"]}
    assert called(owner, now=at(3)) == Mention()
    assert called(owner, now=at(12)) == Mention(mobiles=("13800000000",))


def test_spans_of_a_day():
    """The end does not belong to it; equal ends are no span, so that somebody is called."""
    assert is_within(time(12), time(12), time(13))
    assert not is_within(time(13), time(12), time(13))
    assert is_within(time(0), time(22), time(8))
    assert not is_within(time(12), time(12), time(12))


def test_who_was_called_is_not_called_again():
    """Sets that keep their order."""
    both = union([Mention(mobiles=("1", "2")), Mention(mobiles=("2", "3"), user_ids=("a",), everyone=True)])
    assert both == Mention(mobiles=("1", "2", "3"), user_ids=("a",), everyone=True)
    assert without(both, Mention(mobiles=("2",), everyone=True)) == Mention(mobiles=("1", "3"), user_ids=("a",))
    assert first(both, 4) == both
    assert first(both, 2) == Mention(mobiles=("1", "2"), everyone=True)
    assert mention_text(both) == "@1 @2 @3 @a @所有人"
    assert mention_text(Mention()) == ""
