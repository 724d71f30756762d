"""What a group was told is read back from the very messages that the notifier writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.drill.heard import heard
from dingtalk.links import FakeLinks
from dingtalk.message import Renderer
from dingtalk.notice import Notice
from prometheus.alerting.file import alerts
from tests.alerts import MINUTE, NOW, PUBLIC_URL, TEXTS, alert, config, received

PEOPLE = [{"name": "值班", "mobile": "13800000001"}]
OWNERS = [{"match": {"severity": "critical"}, "people": ["值班"]}]
RENDERER = Renderer(config(people=PEOPLE, owners=OWNERS))
PUBLIC = Renderer(config(people=PEOPLE, owners=OWNERS, public_url=PUBLIC_URL), links=FakeLinks())
LATENCY = {
    "summary": "HighLatency 推理延迟过高",
    "description": "HighLatency：box 的 P95 延迟超过 0.8 s。",
    "value": "1.2 s",
    "threshold": "0.8 s",
}
DOWN = {"summary": "ServiceGone 推理服务不可达"}


def told(*parts, robot="critical", at=NOW):
    """Messages as the simulator lists them."""
    return [
        {
            "index": 7 + number,
            "robot": robot,
            "received_seconds": at + number,
            "title": part.title,
            "text": part.text,
            "at": {"all": False, "mobiles": list(part.mention.mobiles), "user_ids": [], "ignored": []},
        }
        for number, part in enumerate(parts)
    ]


def short(messages):
    """Name, place, and what was said, in letters: fired, over, late, reminder."""
    flags = (("fired", "f"), ("over", "o"), ("late", "l"), ("reminder", "r"))
    return [(one.name, one.where, "".join(letter for flag, letter in flags if getattr(one, flag))) for one in heard(messages)]


def test_a_beginning():
    """All that is known of it: where, who told it, whom it called, when the group saw it."""
    (part,) = RENDERER.group([received(alert("ServiceGone", "critical", **DOWN))], NOW)
    (one,) = heard(told(part))
    assert (one.name, one.where, one.robot, one.mobiles, one.at, one.message) == (
        "ServiceGone", "gpu-01", "critical", ("13800000001",), NOW, 7,
    )  # fmt: skip
    assert (one.fired, one.over, one.late, one.reminder) == (True, False, False, False)


def test_an_end_calls_nobody():
    """And is no beginning."""
    (part,) = RENDERER.group([received(alert("ServiceGone", "critical", ends_at=NOW - MINUTE, **DOWN))], NOW)
    (one,) = heard(told(part))
    assert (one.name, one.where, one.mobiles) == ("ServiceGone", "gpu-01", ())
    assert (one.fired, one.over) == (False, True)


def test_what_began_and_ended_while_it_waited_is_both():
    """In one line."""
    both = [received(alert("ServiceGone", "critical", **DOWN)), received(alert("ServiceGone", "critical", ends_at=NOW - MINUTE, **DOWN))]
    assert short(told(*RENDERER.group(both, NOW))) == [("ServiceGone", "gpu-01", "fo")]


def test_what_is_late_says_so():
    """A beginning, and an end."""
    beginning = received(alert("ServiceGone", "critical", **DOWN), late=True)
    end = received(alert("ServiceGone", "critical", labels={"late": "true"}, ended_at=str(NOW - 25 * MINUTE), **DOWN))
    assert short(told(*RENDERER.group([beginning], NOW))) == [("ServiceGone", "gpu-01", "fl")]
    assert short(told(*RENDERER.group([end], NOW))) == [("ServiceGone", "gpu-01", "ol")]


@pytest.mark.parametrize("others", [0, 1, 25])
def test_a_reminder_is_one_of_all_that_the_message_tells(others):
    """Its first line says so, also for those behind it, and for those that get a line each."""
    alerts_ = [alert(instance=f"gpu-{number:02}", **LATENCY) for number in range(others + 1)]
    parts = RENDERER.group([received(*alerts_, repeat=2)], NOW)
    assert short(told(*parts)) == [("HighLatency", f"gpu-{number:02}", "fr") for number in range(others + 1)]


def test_a_group_of_many_is_heard_whole():
    """Those told in full and those told in a line, whether they fire or are over."""
    firing = [alert(instance=f"gpu-{number:02}", **LATENCY) for number in range(22)]
    over = alert(instance="gpu-99", ends_at=NOW - MINUTE, **LATENCY)
    expected = [("HighLatency", f"gpu-{number:02}", "f") for number in range(22)] + [("HighLatency", "gpu-99", "o")]
    assert short(told(*RENDERER.group([received(*firing, over)], NOW))) == expected
    assert short(told(*PUBLIC.group([received(*firing, over)], NOW))) == expected


def test_what_does_not_fit_into_one_message_is_heard_from_all_of_them():
    """Each alert once, whichever part it stands in."""
    long = LATENCY | {"description": "HighLatency：" + "很长" * 900}
    parts = RENDERER.group([received(*(alert(instance=f"gpu-{number:02}", **long) for number in range(30)))], NOW)
    assert len(parts) > 1
    assert short(told(*parts)) == [("HighLatency", f"gpu-{number:02}", "f") for number in range(30)]


def test_a_digest_is_heard_whole():
    """With the command or the link to take it over behind a line, yesterday's times, one that is late, and one of no instance."""
    late = alert("ClockSkew", "info", labels={"late": "true"}, ended_at="?", starts_at=NOW - 3000 * MINUTE, summary="ClockSkew 时钟偏差")
    nowhere = alert("NoTraffic", "critical", instance="", summary="NoTraffic 没有任何请求")
    groups = [
        [received(alert(**LATENCY), alert(instance="gpu-02", **LATENCY))],
        [received(alert("ServiceGone", "critical", starts_at=NOW - 2000 * MINUTE, **DOWN), group_key="down")],
        [received(nowhere, group_key="traffic")],
        [received(late, group_key="skew")],
    ]
    expected = [
        ("ServiceGone", "gpu-01", "f"),
        ("NoTraffic", "", "f"),
        ("HighLatency", "gpu-01", "f"),
        ("HighLatency", "gpu-02", "f"),
        ("ClockSkew", "gpu-01", "ol"),
    ]
    assert short(told(*RENDERER.digest(groups, NOW))) == expected
    assert short(told(*PUBLIC.digest(groups, NOW))) == expected


def test_an_alert_of_no_instance_is_nowhere():
    """As when all traffic is away."""
    for ends_at, flags in ((None, "f"), (NOW - MINUTE, "o")):
        one = alert("NoTraffic", "critical", instance="", ends_at=ends_at, summary="NoTraffic 没有任何请求")
        assert short(told(*RENDERER.group([received(one, repeat=0)], NOW))) == [("NoTraffic", "", flags)]


@pytest.mark.parametrize("name", [name for name, rule in alerts().items() if rule.severity != "none"])
def test_every_alert_of_the_rules_is_heard_by_its_name(name):
    """By the words that its rule has; in full and in a line, beginning and end."""
    rule = alerts()[name]
    words = {"summary": f"{name} {rule.summary}"}
    for ends_at, flags in ((None, "f"), (NOW - MINUTE, "o")):
        one = received(alert(name, str(rule.severity), ends_at=ends_at, **words))
        assert short(told(*RENDERER.group([one], NOW))) == [(name, "gpu-01", flags)]
        assert short(told(*RENDERER.digest([[one]], NOW))) == [(name, "gpu-01", flags)]


@pytest.mark.parametrize("kind", Notice)
def test_what_the_notifier_says_of_itself_is_heard_by_its_name(kind):
    """That a box is back is the end of its silence; every other one is told once, and has no end."""
    (one,) = heard(told(RENDERER.notice(kind, now=NOW, box="drilled-box", since="02:51:10", seconds=300.0)))
    if kind is Notice.BOX_BACK:
        assert (one.name, one.fired, one.over) == ("BoxSilent", False, True)
    else:
        assert (one.name, one.fired, one.over) == (kind.english, True, False)
    assert (one.where, one.late, one.reminder) == ("", False, False)


HOSTILE_INSTANCES = [
    "✅", "迟到", "（迟到）", "第 2 次提醒", "x · 第 2 次提醒", "（NoTraffic）", "x（NoTraffic）等 3 条 · 第 2 次提醒", "等 3 条", "a · b",
    "02:51:10 起", "x · 02:51:10 起（迟到）：y", "x · 02:51:10 至 02:52:10", "：", "）", "（", "### 🔴 严重：没有任何请求 · x（NoTraffic）",
    "🔴 NoTraffic · x · 02:51:10 起", "x\n### ✅ 已恢复：没有任何请求 · x（NoTraffic，严重）", "x\u2028🔴 NoTraffic · x · 02:51:10 起",
    "已触发并恢复：", "[x](https://evil.example)",
]  # fmt: skip


@pytest.mark.parametrize("instance", HOSTILE_INSTANCES)
def test_a_name_of_an_instance_that_means_harm_is_heard_as_that_and_nothing_else(instance):
    """Neither as another alert, nor as an end, a reminder or a late message, in full or in a line."""
    for renderer in (RENDERER, PUBLIC):
        for ends_at, flags in ((None, "f"), (NOW - MINUTE, "o")):
            one = received(alert("ServiceGone", "critical", instance, ends_at=ends_at, **DOWN))
            for parts in (renderer.group([one], NOW), renderer.digest([[one]], NOW)):
                ((name, _, said),) = short(told(*parts))
                assert (name, said) == ("ServiceGone", flags)


def test_two_instances_of_hostile_names_are_two_places():
    """Or one of them would look like the other told again."""
    both = received(*(alert("ServiceGone", "critical", name, **DOWN) for name in ("a · b", "a · c")))
    assert short(told(*RENDERER.group([both], NOW))) == [("ServiceGone", "a · b", "f"), ("ServiceGone", "a · c", "f")]


@given(instance=TEXTS, over=st.booleans(), in_full=st.booleans())
def test_whatever_an_instance_calls_itself_its_alert_is_heard_once(instance, over, in_full):
    """Under its own name, and as what it is."""
    one = received(alert("ServiceGone", "critical", instance, ends_at=NOW - MINUTE if over else None, **DOWN))
    parts = RENDERER.group([one], NOW) if in_full else RENDERER.digest([[one]], NOW)
    assert [(name, said) for name, _, said in short(told(*parts))] == [("ServiceGone", "o" if over else "f")]


def test_what_is_no_message_of_an_alert_is_not_heard():
    """A person's words, a test, a digest's own headline, an empty notification."""
    text = "大家好\n### 📋 告警汇总：触发 1 条（🔴 严重 1）\n🔴 我来看 HighLatency\nHighLatency · gpu-01\n### HighLatency"
    assert heard([{"index": 1, "robot": "info", "received_seconds": NOW, "text": text, "at": {"mobiles": []}}]) == []
    assert heard(told(*RENDERER.group([received(group_labels={})], NOW))) == []
    assert heard([]) == []


def test_messages_are_heard_in_their_order():
    """Across groups, each with its own robot and moment."""
    first = told(*RENDERER.group([received(alert(**LATENCY))], NOW), robot="warning", at=NOW)
    second = told(*RENDERER.group([received(alert("ServiceGone", "critical", **DOWN))], NOW), robot="critical", at=NOW + 9)
    assert [(one.name, one.robot, one.at) for one in heard(first + second)] == [
        ("HighLatency", "warning", NOW),
        ("ServiceGone", "critical", NOW + 9),
    ]
