"""What a group reads, at three in the morning. The texts are whole: this is what it looks like."""

from __future__ import annotations

import pytest

from dingtalk.links import FakeLinks
from dingtalk.message import Renderer
from dingtalk.part import Button, Mention, Shape
from dingtalk.samples import samples
from dingtalk.templates import Templates
from tests.alerts import MINUTE, NOW, PUBLIC_URL, alert, config, received

PEOPLE = [{"name": "张三", "mobile": "13800000000", "user_id": "zhang"}, {"name": "李四", "user_id": "li_4"}]
OWNERS = [{"match": {"severity": "critical"}, "people": ["张三", "李四"]}]
LATENCY = {
    "summary": "推理延迟过高",
    "description": "过去 5 分钟成功推理的 P95 延迟超过 0.8 s。",
    "value": "1.24 s",
    "threshold": "0.8 s",
    "first_steps": "1. 看队列是否积压\n2. 看 GPU 是否被占用\n3. 必要时减小批量\n4. 再看",
    "runbook_url": "/runbooks/HighLatency",
    "dashboard_url": "/grafana/d/mgeo-overview",
    "story_url": "/v1/requests?status=success",
}
DOWN = {"summary": "服务不可用"}


def shown(parts):
    """The texts as they are seen: a new line is a new line."""
    return [part.text.replace("  \n  ", "\n") for part in parts]


def renderer(templates=None, *, public=False, first_steps=None, **changes):
    if public:
        changes["public_url"] = PUBLIC_URL
    return Renderer(config(people=PEOPLE, owners=OWNERS, **changes), templates, links=FakeLinks(), first_steps=first_steps)


def test_a_critical_alert_on_a_box_that_no_phone_reaches():
    """What, where, since when, what to do, and commands to copy."""
    errors = alert(
        "HighErrorRate",
        "critical",
        starts_at=NOW - 3 * MINUTE,
        summary="推理错误率过高",
        description="过去 10 分钟错误、超时和过载占 7.3%。",
        value="7.3%",
        threshold="5%",
        first_steps="看最近的错误日志\n看模型进程是否重启",
        request_ids="0197a2f4-6c1e-7b7e-9d53-0c5f0c7f5a11",
    )
    parts = renderer().group([received(errors)], NOW)
    assert shown(parts) == [
        """\
### 🔴 严重：推理错误率过高 · gpu-01（HighErrorRate）

03:00:10 起，已 3 分钟
当前 7.3%，阈值 5%
过去 10 分钟错误、超时和过载占 7.3%。
① 看最近的错误日志
② 看模型进程是否重启
查请求：mgeo lookup 0197a2f4-6c1e-7b7e-9d53-0c5f0c7f5a11

接手：mgeo ack d9cd6cddc49b
静默：mgeo silence d9cd6cddc49b --for 2h

@13800000000 @li_4"""
    ]
    assert parts[0].title == "🔴 严重：推理错误率过高 · gpu-01（HighErrorRate）"
    assert parts[0].mention == Mention(mobiles=("13800000000",), user_ids=("li_4",))
    assert parts[0].shape is Shape.MARKDOWN


def test_a_warning_on_a_box_with_a_public_address():
    """Links instead of commands; at most three steps; nobody is called."""
    assert shown(renderer(public=True).group([received(alert(**LATENCY), repeat=2)], NOW)) == [
        """\
### 🟠 警告：推理延迟过高 · gpu-01（HighLatency） · 第 2 次提醒

02:51:10 起，已 12 分钟
当前 1.24 s，阈值 0.8 s
过去 5 分钟成功推理的 P95 延迟超过 0.8 s。
① 看队列是否积压
② 看 GPU 是否被占用
③ 必要时减小批量
[请求详情](https://box.example.com/v1/requests?status=success) · [处理手册](https://box.example.com/runbooks/HighLatency) · \
[看板](https://box.example.com/grafana/d/mgeo-overview)

[我来处理](https://alerts.example.com/notifier/ack/d9cd6cddc49b) · \
[静默](https://alerts.example.com/notifier/silence/d9cd6cddc49b)"""
    ]


def test_several_alerts_of_a_group():
    """The first line says how many; what fires first, what ended last; what an alert of the same name said is not said again."""
    notification = received(
        alert(**LATENCY),
        alert(instance="gpu-02", starts_at=NOW - 30, **LATENCY | {"value": "0.93 s"}),
        alert(instance="gpu-03", ends_at=NOW - MINUTE, **LATENCY),
        truncated=5,
    )
    assert shown(renderer().group([notification], NOW)) == [
        """\
### 🟠 警告：推理延迟过高 · gpu-01（HighLatency）等 3 条

02:51:10 起，已 12 分钟
当前 1.24 s，阈值 0.8 s
过去 5 分钟成功推理的 P95 延迟超过 0.8 s。
① 看队列是否积压
② 看 GPU 是否被占用
③ 必要时减小批量
查请求：/v1/requests?status=success

### 🟠 警告：推理延迟过高 · gpu-02（HighLatency）

03:02:40 起，刚刚
当前 0.93 s，阈值 0.8 s
过去 5 分钟成功推理的 P95 延迟超过 0.8 s。
查请求：/v1/requests?status=success

### ✅ 已恢复：推理延迟过高 · gpu-03（HighLatency，警告）

02:51:10 至 03:02:10，持续 11 分钟

另有 5 条告警被 Alertmanager 截去
接手：mgeo ack d9cd6cddc49b
静默：mgeo silence d9cd6cddc49b --for 2h"""
    ]


def test_an_end():
    """Short: there is nothing to do, and nobody to call."""
    over = alert("ServiceDown", "critical", starts_at=NOW - 26 * 60 * MINUTE, ends_at=NOW - MINUTE, **DOWN)
    parts = renderer(public=True).group([received(over)], NOW)
    assert shown(parts) == ["### ✅ 已恢复：服务不可用 · gpu-01（ServiceDown，严重）\n\n11-27 01:03:10 至 03:02:10，持续 1 天 1 小时"]
    assert parts[0].mention == Mention()


def test_what_began_and_ended_while_it_waited():
    """One line for both; the newest notification counts for the rest."""
    beginning = alert("ServiceDown", "critical", **DOWN)
    end = alert("ServiceDown", "critical", ends_at=NOW - MINUTE, **DOWN)
    assert shown(renderer().group([received(beginning), received(end)], NOW)) == [
        "### ✅ 已触发并恢复：服务不可用 · gpu-01（ServiceDown，严重）\n\n02:51:10 至 03:02:10，持续 11 分钟"
    ]


def test_an_end_that_was_missed():
    """When it really was, and how late this is."""
    late = alert("ServiceDown", "critical", labels={"late": "true"}, ended_at=str(NOW - 25 * MINUTE), starts_at=NOW - 60 * MINUTE, **DOWN)
    assert shown(renderer().group([received(late)], NOW)) == [
        "### ✅ 已恢复（迟到）：服务不可用 · gpu-01（ServiceDown，严重）\n\n02:03:10 至 02:38:10，持续 35 分钟；本消息迟到 25 分钟"
    ]
    unknown = alert("ServiceDown", "critical", labels={"late": "true"}, ended_at="?", starts_at=NOW - 60 * MINUTE, **DOWN)
    assert shown(renderer().group([received(unknown)], NOW))[0].endswith("02:03:10 至 时间不详")


def test_a_beginning_that_was_missed():
    """It still fires."""
    text = shown(renderer().group([received(alert("ServiceDown", "critical", **DOWN), late=True)], NOW))[0]
    assert text.startswith("### 🔴 严重（迟到）：服务不可用 · gpu-01（ServiceDown）\n\n02:51:10 起，已 12 分钟\n")


def test_an_alert_that_says_nothing():
    """Its name is enough; nothing is made up."""
    bare = type(alert())(status=alert().status, labels={}, starts_at=NOW, fingerprint="x")
    assert shown(renderer().group([received(bare, group_labels={})], NOW)) == [
        """\
### 🟠 警告：(no alertname)

03:03:10 起，刚刚

接手：mgeo ack d9cd6cddc49b
静默：mgeo silence d9cd6cddc49b --for 2h"""
    ]
    zero = alert(starts_at=-62_135_596_800.0)
    assert "\n\n时间不详 起\n\n" in shown(renderer().group([received(zero)], NOW))[0]


def test_labels_that_mean_harm():
    """They are read, and do nothing."""
    parts = renderer(public=True).group(samples(NOW)["hostile"], NOW)
    assert shown(parts) == [
        """\
### 🔴 严重：＠所有人 ［点我］(https：//evil.example.com) ＊＊粗＊＊ ｀x｀ ＜font color=red＞红＜/font＞ # 标题{{ 7 ＊ 7 }} · \
＠所有人 ［点我］(https：//evil.example.com) ＊＊粗＊＊ ｀x｀ ＜font color=red＞红＜/font＞ # 标题{{ 7…（\
＠所有人 ［点我］(https：//evil.example.com) ＊＊粗＊＊ ｀x｀ ＜font color=red＞红＜/font＞ # 标题{{ 7…）

03:03:10 起，刚刚

[我来处理](https://alerts.example.com/notifier/ack/d9cd6cddc49b) · \
[静默](https://alerts.example.com/notifier/silence/d9cd6cddc49b)

@13800000000 @li_4"""
    ]


def test_nothing_that_a_shell_would_run_is_put_into_a_command():
    """Ids are those that the service accepts."""
    text = shown(
        renderer().group([received(alert(request_ids="a;reboot $(reboot) --json r-1, r-2:7 r-3 r-4", story_url="/x;reboot"))], NOW)
    )[0]
    assert [line for line in text.splitlines() if "查请求" in line] == [f"查请求：mgeo lookup {one}" for one in ("r-1", "r-2:7", "r-3")]
    assert "reboot" not in text


def test_a_link_stands_only_where_a_phone_reaches_it():
    """A public page needs no public address of ours; a container's name and loopback are no addresses."""
    links = {
        "runbook_url": "https://docs.example.com/HighLatency",
        "dashboard_url": "http://grafana:3000/d/x",
        "story_url": "http://127.0.0.1:8000/v1",
    }
    text = shown(renderer().group([received(alert(**links))], NOW))[0]
    assert "[处理手册](https://docs.example.com/HighLatency)" in text
    assert "看板" not in text
    assert "127.0.0.1" not in text
    inside = Renderer(config(public_url="http://gpu-box:6006"), links=FakeLinks("http://gpu-box:6006/notifier"))
    assert "[看板](http://gpu-box:6006/grafana/d/x)" in shown(inside.group([received(alert(dashboard_url="/grafana/d/x"))], NOW))[0]


def test_first_steps_may_come_from_the_runbooks():
    """An alert's own come first."""
    steps = {"HighLatency": "从手册来"}
    assert "① 从手册来" in shown(renderer(first_steps=steps).group([received(alert())], NOW))[0]
    assert "从手册来" not in shown(renderer(first_steps=steps).group([received(alert(first_steps="5xx 先看"))], NOW))[0]
    assert "① 5xx 先看" in shown(renderer(first_steps=steps).group([received(alert(first_steps="5xx 先看"))], NOW))[0]


def test_what_is_silenced_has_a_label():
    """A silence of everything is offered to nobody."""
    bare = type(alert())(status=alert().status, labels={}, starts_at=NOW, fingerprint="x")
    text = shown(renderer(public=True).group([received(bare, group_labels={})], NOW))[0]
    assert "我来处理" in text
    assert "静默" not in text


def test_a_group_of_many_alerts_tells_the_first_in_full_and_the_others_in_lines():
    """The urgent ones first; the description of one is not said for each."""
    alerts = [alert(instance=f"gpu-{number:02}", **LATENCY) for number in range(22)]
    critical = alert("ServiceDown", "critical", instance="gpu-99", **DOWN)
    (text,) = shown(renderer().group([received(*alerts, critical)], NOW))
    assert text.startswith("### 🔴 严重：服务不可用 · gpu-99（ServiceDown）等 23 条\n")
    assert text.count("### ") == 20
    assert text.count("① 看队列是否积压") == 1
    assert (
        """
🟠 HighLatency · gpu-19 · 02:51:10 起：推理延迟过高
🟠 HighLatency · gpu-20 · 02:51:10 起
🟠 HighLatency · gpu-21 · 02:51:10 起

接手"""
        in text
    )


def test_a_notification_without_alerts_is_said_to_be_one():
    """It was received, so somebody should know; nothing at all is no message."""
    assert shown(renderer().group([received(group_labels={})], NOW)) == ["Alertmanager 的通知里没有告警（组 d9cd6cddc49b）。"]
    assert shown(renderer().digest([[received(group_labels={})]], NOW)) == ["Alertmanager 的通知里没有告警（组 d9cd6cddc49b）。"]
    assert renderer().plain([received(group_labels={}, truncated=3)], NOW)[0].text.endswith("。另有 3 条告警被 Alertmanager 截去")
    assert (renderer().group([], NOW), renderer().digest([], NOW), renderer().plain([], NOW)) == ([], [], [])


def test_a_digest():
    """How many of what, then a line each; a critical one can be taken over from here."""
    groups = [
        [received(alert(**LATENCY), alert(instance="gpu-02", **LATENCY), truncated=2)],
        [received(alert("ServiceDown", "critical", **DOWN), group_key="down")],
        [received(alert("ClockSkew", "info", ends_at=NOW - MINUTE, summary="时钟偏差"), group_key="skew")],
    ]
    parts = renderer().digest(groups, NOW)
    assert shown(parts) == [
        """\
### 📋 告警汇总：触发 3 条（🔴 严重 1，🟠 警告 2），✅ 恢复 1 条

🔴 ServiceDown · gpu-01 · 02:51:10 起：服务不可用 · mgeo ack 6691458a6fb9
🟠 HighLatency · gpu-01 · 02:51:10 起：推理延迟过高
🟠 HighLatency · gpu-02 · 02:51:10 起
✅ ClockSkew · gpu-01 · 02:51:10 至 03:02:10：时钟偏差

另有 2 条告警被 Alertmanager 截去

@13800000000 @li_4"""
    ]
    assert parts[0].title == "📋 告警汇总：触发 3 条（🔴 严重 1，🟠 警告 2），✅ 恢复 1 条"
    assert "· [我来处理](https://alerts.example.com/notifier/ack/6691458a6fb9)" in shown(renderer(public=True).digest(groups, NOW))[0]


def test_what_dingtalk_refused_is_told_in_plain_text():
    """Without links, images and what the rules wrote."""
    hostile = alert("ServiceDown", "critical", summary="[x](https://evil.example)", description="![](https://evil.example/a.png)")
    parts = renderer(public=True).plain([received(hostile), received(alert(ends_at=NOW), group_key="b")], NOW)
    assert [part.text for part in parts] == [
        """\
🔴 严重：ServiceDown · gpu-01
02:51:10 起，已 12 分钟

✅ 已恢复：HighLatency · gpu-01
02:51:10 至 03:03:10，持续 12 分钟

接手：mgeo ack d9cd6cddc49b
（原消息被钉钉拒收，已改为纯文本）

@13800000000 @li_4"""
    ]
    assert parts[0].shape is Shape.TEXT


def card(**changes):
    return renderer(receivers=[{"name": "critical", "robots": ["ops"], "card": True}], **changes)


def test_a_card_has_its_links_as_buttons():
    """Those in the alert stay."""
    (part,) = card(public=True).group([received(alert(**LATENCY))], NOW)
    assert part.shape is Shape.ACTION_CARD
    assert part.buttons == (
        Button(title="我来处理", url="https://alerts.example.com/notifier/ack/d9cd6cddc49b"),
        Button(title="静默", url="https://alerts.example.com/notifier/silence/d9cd6cddc49b"),
        Button(title="请求详情", url="https://box.example.com/v1/requests?status=success"),
        Button(title="处理手册", url="https://box.example.com/runbooks/HighLatency"),
        Button(title="看板", url="https://box.example.com/grafana/d/mgeo-overview"),
    )
    assert "ack" not in part.text


def test_a_card_calls_by_user_id_and_whoever_has_none_gets_no_card():
    """To be called counts for more than buttons."""
    (part,) = card(public=True).group([received(alert(severity="critical"))], NOW)
    assert (part.shape, part.mention) == (Shape.ACTION_CARD, Mention(user_ids=("zhang", "li_4")))
    assert part.text.endswith("\n\n@zhang @li_4")
    mobile = Renderer(
        config(
            receivers=[{"name": "critical", "robots": ["ops"], "card": True}],
            people=[{"name": "王五", "mobile": "139"}],
            owners=[{"people": ["王五"]}],
            public_url=PUBLIC_URL,
        ),
        links=FakeLinks(),
    )
    (part,) = mobile.group([received(alert(severity="critical"))], NOW)
    assert (part.shape, part.mention) == (Shape.MARKDOWN, Mention(mobiles=("139",)))


def test_a_card_without_buttons_is_none():
    """DingTalk refuses it."""
    (part,) = card().group([received(alert())], NOW)
    assert part.shape is Shape.MARKDOWN
    (part,) = card(public=True).group([received(alert(ends_at=NOW))], NOW)
    assert part.shape is Shape.MARKDOWN


def test_a_text_too_long_for_any_message_is_cut_and_says_where_the_rest_is():
    """As a link, or as a command."""
    long = alert(description="\n".join(["告警内容" * 400] * 20))
    (part,) = renderer(public=True).group([received(long)], NOW)
    assert "…\n\n[查看全文](https://alerts.example.com/notifier/show/d9cd6cddc49b)\n\n[我来处理]" in part.text
    (part,) = renderer().group([received(long)], NOW)
    assert "…\n\n全文：mgeo notifier status --group d9cd6cddc49b\n\n接手" in part.text
    assert 19_800 < len(part.body("0" * 32)) <= 20_000


def test_the_users_template_writes_the_text():
    """Who is called and what is split is not its business."""
    template = (
        "{% for alert in firing %}**{{ alert.mark }} {{ alert.summary }}** {{ alert.runbook_url | link('手册') }}\n{% endfor %}{{ counts }}"
    )
    parts = renderer(Templates({"group.md.j2": template}), public=True).group([received(alert(severity="critical", **LATENCY))], NOW)
    assert shown(parts)[0].startswith(
        "**🔴 推理延迟过高** [手册](https://box.example.com/runbooks/HighLatency)\n触发 1 条（🔴 严重 1）\n\n[我来处理]("
    )
    assert shown(parts)[0].endswith("\n\n@13800000000 @li_4")


def test_the_users_template_gets_as_many_alerts_as_fit():
    """Alerts are not parted."""
    templates = Templates({"group.md.j2": "{% for alert in alerts %}<{{ alert.instance }}>{{ 'x' * 3000 }}\n{% endfor %}"})
    alerts = [alert(instance=f"gpu-{number:02}", starts_at=NOW - 99 + number) for number in range(20)]
    parts = renderer(templates).group([received(*alerts)], NOW)
    found = "".join(part.text for part in parts)
    assert [found.count(f"<gpu-{number:02}>") for number in range(20)] == [1] * 20
    assert len(parts) == 4
    assert all(len(part.body("0" * 32)) <= 20_000 for part in parts)


def test_the_users_digest():
    """The same."""
    templates = Templates({"digest.md.j2": "汇总 {{ counts }}，{{ groups }} 组\n{% for alert in alerts %}- {{ alert.name }}\n{% endfor %}"})
    parts = renderer(templates).digest([[received(alert())], [received(alert("ServiceDown", "critical"), group_key="b")]], NOW)
    assert shown(parts)[0].startswith("汇总 触发 2 条（🔴 严重 1，🟠 警告 1），2 组\n- ServiceDown\n- HighLatency")


def test_a_template_that_fails_costs_no_message():
    """The built-in form, and a report."""
    failures = []
    templates = Templates({"group.md.j2": "{{ 1 // 0 }}"}, on_failure=lambda *failure: failures.append(failure))
    assert shown(renderer(templates).group([received(alert(**LATENCY))], NOW)) == shown(renderer().group([received(alert(**LATENCY))], NOW))
    assert failures == [("group.md.j2", "group.md.j2, line 1: ZeroDivisionError")]


def test_a_check_renders_every_sample_strictly():
    """Each fault once; what is right has none."""
    wrong = Templates({"group.md.j2": "{{ counts }}{{ colour }}", "digest.md.j2": "{{ counts }}{{ groups }}{{ truncated }}"})
    assert renderer(wrong).faults(samples(NOW), NOW) == ["group.md.j2, line 1: 'colour' is undefined"]
    right = Templates({"group.md.j2": "{{ receiver }} {{ group }} {{ repeat }} {{ total }} {{ now }} {{ group_labels }} {{ truncated }}"})
    assert renderer(right).faults(samples(NOW), NOW) == []
    assert renderer().faults(samples(NOW), NOW) == []


@pytest.mark.parametrize("name", samples(NOW))
def test_every_sample_can_be_shown(name):
    """In each of the forms."""
    for parts in (
        renderer().group(samples(NOW)[name], NOW),
        renderer(public=True).digest([samples(NOW)[name]], NOW),
        renderer().plain(samples(NOW)[name], NOW),
    ):
        assert len(parts) == 1
        assert parts[0].text
        assert parts[0].title
