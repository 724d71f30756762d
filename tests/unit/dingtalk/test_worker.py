"""Delivery, in time that is turned by hand."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest

from dingtalk.alert import REPEATED
from dingtalk.log import Log
from dingtalk.message import Renderer
from dingtalk.outbox.rows import MessageState
from dingtalk.part import Part
from dingtalk.plan import Form, preferred
from dingtalk.renders import BareRenderer
from tests.notifier import BLOCKED, START, Notifier, Time, alert, configuration, payload, robots

DEAD = '{"errcode":400102,"errmsg":"机器人已停用"}'.encode()
THROTTLED = b'{"errcode":130101,"errmsg":"send too fast"}'
WRONG_SIGN = b'{"errcode":310000,"errmsg":"sign not match"}'
OVER_QUOTA = b'{"errcode":90030,"errmsg":"webhook over limit"}'
BUSY = b'{"errcode":-1,"errmsg":"busy"}'
UNKNOWN = b'{"errcode":777,"errmsg":"?"}'


@pytest.fixture
def notifier(tmp_path):
    made = []

    def make(**values):
        made.append(Notifier(tmp_path, **values))
        return made[-1]

    yield make
    for one in made:
        one.outbox.close()


class Channel:
    """A fallback that takes what it is told to."""

    def __init__(self, *takes):
        self.takes = list(takes)
        self.told = []

    async def send(self, addresses, part):
        self.told.append(part.text)
        answer = self.takes.pop(0) if self.takes else True
        if isinstance(answer, Exception):
            raise answer
        return answer


def with_fallback(**values):
    return configuration(receivers=[{"name": "main", "robots": ["r1"], "fallbacks": ["mailto://nobody"], **values}])


async def test_what_is_received_is_told(notifier):
    """Once, and measured from receipt to delivery."""
    one = notifier()
    one.receive(payload(alert("HighLatency", severity="critical")))
    one.time.now += 2.0
    await one.deliver()
    await one.run_for(120)
    assert one.dingtalk.texts == ["[告警] critical HighLatency box-1"]
    assert one.sample("mgeo_notifier_messages_total", robot="r1", outcome="delivered") == 1
    assert one.sample("mgeo_notifier_delivery_duration_seconds_sum", severity="critical") == 2.0
    assert one.sample("mgeo_notifier_queue_depth", lane="critical") == 0
    assert one.sample("mgeo_notifier_quota_used", organisation="default") == 1


async def test_text_and_uuid_are_stored_before_the_first_attempt(notifier):
    """And do not change over retries, also when the renderer would write otherwise by then."""
    one = notifier()
    one.dingtalk.answers["r1"] = ["unreachable", BUSY, 502]
    one.receive(payload(alert()))
    await one.deliver()
    (before,) = one.outbox.messages()
    await one.run_for(30)
    (after,) = one.outbox.messages()
    assert after.msg_uuid == before.msg_uuid
    assert after.part == before.part
    assert after.attempts == 4
    assert {uuid for _, _, uuid in one.dingtalk.calls} == {before.msg_uuid}
    assert len(one.dingtalk.shown) == 1


async def test_a_lost_answer_is_asked_for_again_with_the_same_uuid_at_the_same_robot(notifier):
    """So the group sees the message once, also when another robot is preferred by then."""
    one = notifier(config=configuration(robots=robots("r1", "r2")))
    first, _ = preferred(["r1", "r2"], "g")
    one.dingtalk.answers[first] = ["lost", "lost"]
    one.receive(payload(alert()))
    await one.run_for(20)
    assert [robot for _, robot, _ in one.dingtalk.calls] == [first] * 3
    assert len(one.dingtalk.shown) == 1


async def test_firing_and_resolved_of_one_group_keep_their_order(notifier):
    """The end waits while the beginning is under way, and is told after it."""
    one = notifier()
    one.dingtalk.answers["r1"] = ["lost"]
    one.receive(payload(alert()))
    await one.deliver()
    one.receive(payload(alert(status="resolved", ends_at=START + 1)))
    await one.run_for(10)
    assert one.dingtalk.texts == ["[告警] warning HighLatency box-1", "[恢复] warning HighLatency box-1"]


async def test_both_are_merged_when_both_wait(notifier):
    """A silenced robot has not told the beginning, so one message tells both."""
    one = notifier()
    one.dingtalk.answers["r1"] = [THROTTLED]
    one.receive(payload(alert()))
    await one.run_for(5)
    one.receive(payload(alert(status="resolved", ends_at=START + 1)))
    await one.run_for(580)
    assert one.dingtalk.texts == []
    await one.run_for(30)
    assert one.dingtalk.texts == ["[告警] warning HighLatency box-1\n[恢复] warning HighLatency box-1"]
    assert [message.state for message in one.outbox.messages()] == [MessageState.DELIVERED, MessageState.MERGED]


async def test_a_silenced_robot_is_waited_out(notifier):
    """For ten minutes, in which it is not called once, also not by the next process."""
    one = notifier()
    one.dingtalk.answers["r1"] = [THROTTLED]
    one.receive(payload(alert()))
    await one.run_for(300)
    one.restart()
    assert one.sample("mgeo_notifier_robot_state", robot="r1", state="banned") == 1
    await one.run_for(295)
    assert len(one.dingtalk.calls) == 1
    await one.run_for(30)
    assert len(one.dingtalk.shown) == 1
    assert one.sample("mgeo_notifier_robot_state", robot="r1", state="ok") == 1
    assert one.sample("mgeo_notifier_quota_used", organisation="default") == 1


@pytest.mark.parametrize(
    ("answer", "state"), [(THROTTLED, "banned"), (DEAD, "dead"), (WRONG_SIGN, "misconfigured"), (OVER_QUOTA, "over_quota"), (302, "banned")]
)
async def test_another_robot_of_the_pool_goes_on(notifier, answer, state):
    """At once, with the same message; what became of the first is said."""
    one = notifier(config=configuration(robots=robots("r1", "r2")))
    first, second = preferred(["r1", "r2"], "g")
    one.dingtalk.always[first] = answer
    one.receive(payload(alert()))
    await one.deliver()
    assert [shown.robot for shown in one.dingtalk.shown if "HighLatency" in shown.text] == [second]
    assert one.sample("mgeo_notifier_robot_state", robot=first, state=state) == 1
    notices = [shown.text for shown in one.dingtalk.shown if shown.text.startswith("notifier:")]
    assert len(notices) == (0 if state == "over_quota" else 1)


async def test_a_robot_that_works_again_is_used_again(notifier):
    """It is tried from time to time."""
    one = notifier()
    one.dingtalk.answers["r1"] = [WRONG_SIGN]
    one.receive(payload(alert()))
    await one.run_for(290)
    assert one.dingtalk.texts == []
    await one.run_for(15)
    assert one.dingtalk.texts[0] == "[告警] warning HighLatency box-1"
    assert one.dingtalk.texts[1].startswith("notifier: robot back")


async def test_content_that_is_blocked_is_told_plainly(notifier):
    """Its group is told once, by the plain form."""

    class Ornate(BareRenderer):
        def group(self, received, *, now):
            return [Part(title="t", text="[link](http://x)")]

    one = notifier(renderer=Ornate())
    one.dingtalk.answers["r1"] = [BLOCKED]
    one.receive(payload(alert()))
    await one.deliver()
    assert one.dingtalk.texts == ["[告警] warning HighLatency box-1"]
    plain, ornate = one.outbox.messages()
    assert (plain.form, plain.state, ornate.state) == (Form.PLAIN, MessageState.DELIVERED, MessageState.MERGED)


async def test_what_is_refused_plainly_too_is_a_dead_letter_that_can_be_sent_again(notifier):
    """It stays visible, is said in the group, and holds nothing up."""
    one = notifier()
    one.dingtalk.answers["r1"] = [BLOCKED, BLOCKED]
    one.receive(payload(alert()))
    await one.deliver()
    (dead,) = one.outbox.messages(state=MessageState.DEAD)
    assert one.dingtalk.texts == ["notifier: dead letter count 1, receiver main"]
    assert one.sample("mgeo_notifier_dead_letters") == 1
    one.receive(payload(alert(status="resolved", ends_at=START)))
    await one.deliver()
    assert one.outbox.resend(dead.id)
    await one.deliver()
    assert one.dingtalk.texts[1:] == ["[恢复] warning HighLatency box-1", "[告警] warning HighLatency box-1"]
    assert not one.outbox.resend(dead.id)
    assert one.sample("mgeo_notifier_dead_letters") == 0


async def test_a_message_beyond_the_size_is_never_sent(notifier):
    """It costs no call: the plain form is told in parts, in their order."""

    class Huge(BareRenderer):
        def group(self, received, *, now):
            return [Part(title="t", text="x" * 30_000)]

    one = notifier(renderer=Huge())
    one.receive(payload(*(alert("A" * 200, instance=f"box-{number:03}") for number in range(50))))
    await one.deliver()
    assert all("AAAA" in text for text in one.dingtalk.texts)
    assert one.sample("mgeo_notifier_quota_used", organisation="default") == len(one.dingtalk.texts)
    assert one.sample("mgeo_notifier_messages_total", robot="r1", outcome="too_big") == 1


async def test_a_renderer_that_fails_costs_its_form(notifier):
    """The alert is told barely, and the failure is counted."""

    class Broken(BareRenderer):
        def group(self, received, *, now):
            raise ZeroDivisionError

        def notice(self, saying, *, now, **facts):
            raise KeyError

    one = notifier(renderer=Broken())
    one.receive(payload(alert()))
    await one.deliver()
    assert one.dingtalk.texts == ["[告警] warning HighLatency box-1"]
    assert one.sample("mgeo_notifier_template_failures_total") == 1


async def test_after_its_time_a_fallback_channel_tells_it(notifier):
    """When no robot can; and it is not told by a robot again."""
    channel = Channel(False)
    one = notifier(config=with_fallback(fallback_after=60), fallback=channel)
    one.dingtalk.answers["r1"] = [DEAD]
    one.receive(payload(alert()))
    await one.run_for(59)
    assert channel.told == []
    await one.run_for(10)
    assert channel.told == ["[告警] warning HighLatency box-1"] * 2
    assert one.sample("mgeo_notifier_messages_total", robot="fallback", outcome="delivered") == 1
    await one.run_for(3700, step=30)
    assert not [text for text in one.dingtalk.texts if "HighLatency" in text]


async def test_a_fallback_channel_that_fails_makes_a_dead_letter_at_last(notifier):
    """After five tries, when the robot is dead too; it is told when a robot is there again."""
    channel = Channel(False, RuntimeError(), False, False, False)
    one = notifier(config=with_fallback(fallback_after=60), fallback=channel)
    one.dingtalk.always["r1"] = DEAD
    one.receive(payload(alert()))
    await one.run_for(200)
    assert len(channel.told) == 5
    assert one.sample("mgeo_notifier_dead_letters") == 1
    del one.dingtalk.always["r1"]
    await one.run_for(3600, step=10)
    assert "[告警] warning HighLatency box-1" in one.dingtalk.texts
    assert one.sample("mgeo_notifier_dead_letters") == 0


async def test_without_any_robot_or_channel_nothing_is_lost(notifier):
    """What waited becomes a dead letter that can be seen; beginning and end are told together when a robot is back."""
    one = notifier()
    one.dingtalk.always["r1"] = DEAD
    one.receive(payload(alert()))
    await one.run_for(900, step=5)
    assert one.sample("mgeo_notifier_dead_letters") == 1
    one.receive(payload(alert(status="resolved", ends_at=START)))
    await one.run_for(1000, step=5)
    del one.dingtalk.always["r1"]
    await one.run_for(3600, step=10)
    told = [text for text in one.dingtalk.texts if "HighLatency" in text]
    assert told == ["[告警] warning HighLatency box-1\n[恢复] warning HighLatency box-1"]
    assert one.sample("mgeo_notifier_dead_letters") == 0


async def test_an_outage_of_days_is_told_in_few_messages(notifier):
    """While nobody answers a robot is asked seldom, and what came meanwhile is merged."""
    one = notifier()
    one.dingtalk.always["r1"] = "unreachable"
    for number in range(100):
        one.receive(payload(alert("Outage", instance=f"box-{number}"), group=f"g{number}"))
        await one.run_for(60, step=30)
    await one.run_for(86_400, step=300)
    assert one.dingtalk.texts == []
    assert one.sample("mgeo_notifier_quota_used", organisation="default") == 0
    del one.dingtalk.always["r1"]
    await one.run_for(400, step=5)
    text = "\n".join(one.dingtalk.texts)
    assert all(f"Outage box-{number}" in text for number in range(100))
    assert len(one.dingtalk.shown) < 60


async def test_a_refusal_for_no_known_reason_is_not_repeated_for_ever(notifier):
    """After ten of them the plain form is tried, and after ten more it is a dead letter."""
    one = notifier()
    one.dingtalk.answers["r1"] = [UNKNOWN] * 20
    one.receive(payload(alert()))
    await one.run_for(7200, step=5)
    assert one.outbox.depth().dead == 1
    assert Counter(message.state for message in one.outbox.messages()) == {
        MessageState.DELIVERED: 1,
        MessageState.DEAD: 1,
        MessageState.MERGED: 1,
    }


async def test_repeats_are_told_until_the_quota_is_short(notifier):
    """Then they stay in the store, unsaid; the change is said."""
    config = configuration(organisations=[{"name": "default", "monthly_quota": 70}])
    one = notifier(config=config)
    one.receive(payload(alert()))
    await one.deliver()
    one.receive(payload(alert(), reason=REPEATED))
    await one.deliver()
    assert len(one.dingtalk.shown) == 2
    for number in range(12):
        one.receive(payload(alert(instance=f"box-{number}"), group=f"g{number}"))
    await one.run_for(300)
    assert [text for text in one.dingtalk.texts if "degraded" in text] == ["notifier: degraded organisation default, step 1"]
    told = len(one.dingtalk.shown)
    one.receive(payload(alert(), reason=REPEATED))
    await one.run_for(3600, step=30)
    assert len(one.dingtalk.shown) == told
    assert one.sample("mgeo_notifier_degradation", organisation="default") >= 1
    assert one.outbox.depth().oldest is None


async def test_what_was_being_sent_when_the_process_died_is_sent_again_at_the_same_robot(notifier):
    """With its uuid: DingTalk shows it once."""
    one = notifier(config=configuration(robots=robots("r1", "r2")))
    one.receive(payload(alert()))
    todo = one.worker.planner.turn(busy=frozenset(), held=frozenset())
    ((part, message, robot),) = todo.sends
    one.outbox.begin_send(part.id, robot=robot, organisation="default")
    await one.dingtalk.send(one.config.robot(robot), message.part, message.msg_uuid)
    one.restart()
    await one.deliver()
    assert [name for _, name, _ in one.dingtalk.calls] == [robot, robot]
    assert len(one.dingtalk.shown) == 1


async def test_a_send_is_not_made_when_it_cannot_be_noted(notifier):
    """A send that is not counted could be one too many."""
    one = notifier()
    one.receive(payload(alert()))
    todo = one.worker.planner.turn(busy=frozenset(), held=frozenset())
    one.outbox._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(Exception, match="cannot be written"):
        await one.worker._send(todo.sends[0][0], todo.sends[0][1], one.config.robot("r1"))
    assert one.dingtalk.calls == []


@pytest.mark.no_cover  # ten thousand times what others do a few times
async def test_a_storm_is_told_without_a_ban(notifier):
    """Ten thousand alerts in a minute, a hundred critical: those within a minute, and each name and instance in some message."""
    one = notifier(config=configuration(organisations=[{"name": "default", "monthly_quota": 100_000}]))
    critical_at = {}
    number = 0
    for _ in range(60):
        for _ in range(42):  # 60 × 42 notifications of four alerts
            alerts = []
            for _ in range(4):
                severity = "critical" if number % 100 == 0 and number < 10_000 else "warning"
                alerts.append(alert(f"Storm{number % 50}", instance=f"box-{number:05}", severity=severity))
                if severity == "critical":
                    critical_at[f"critical Storm{number % 50} box-{number:05}"] = one.time.now
                number += 1
            one.receive(payload(*alerts, group=f"g{number % 500}"))
        await one.run_for(1)
    assert len(critical_at) == 100
    await one.run_for(900)
    assert one.dingtalk.bans == 0
    assert one.outbox.depth().oldest is None
    lines = {line for text in one.dingtalk.texts for line in text.splitlines()}
    told = {line.removeprefix("[告警] ") for line in lines}
    for n in range(number):
        severity = "critical" if n % 100 == 0 and n < 10_000 else "warning"
        assert f"{severity} Storm{n % 50} box-{n:05}" in told
    for line, came in critical_at.items():
        seen = min(shown.at for shown in one.dingtalk.shown if line in shown.text)
        assert seen - came <= 60.0
    times = [at for at, _, _ in one.dingtalk.calls]
    assert max(sum(1 for other in times if at - 60 <= other <= at) for at in times) <= 18


async def test_its_log_has_the_fields_of_the_schema_and_no_text_of_an_alert(notifier):
    """One line an event."""
    stream, time = io.StringIO(), Time()
    one = notifier(config=configuration(robots=robots("r1", "r2")), time=time, log=Log(stream, clock=time.clock))
    one.dingtalk.always["r1"] = DEAD
    one.dingtalk.always["r2"] = WRONG_SIGN
    one.receive(payload(alert("SecretName")))
    await one.run_for(700, step=5)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["event"] for line in lines} == {"mgeo.notifier.send.failed", "mgeo.notifier.robot.changed", "mgeo.notifier.dead_letter"}
    schema = json.loads(Path("docs/log-schema.json").read_text())
    assert all(set(line) == set(schema["properties"]) for line in lines)
    assert "SecretName" not in stream.getvalue()
    assert "token" not in stream.getvalue()


async def test_many_dead_letters_are_said_once(notifier):
    """In ten minutes: what goes on shall not fill the group."""
    one = notifier()
    one.dingtalk.blocked = "HighLatency"
    for number in range(10):
        one.receive(payload(alert(instance=f"box-{number}"), group=f"g{number}"))
    await one.run_for(300)
    assert one.outbox.depth().dead == 10
    assert one.dingtalk.texts == ["notifier: dead letter count 1, receiver main"]


async def test_what_was_missed_is_told_late_once_among_the_others_of_its_group(notifier):
    """They are not late; and when Alertmanager calls the late one over, only what is new is told."""
    late = alert(instance="missed", starts_at=START - 900, late="true")
    late["annotations"] |= {"started_at": f"{START - 900:.0f}", "ended_at": f"{START - 600:.0f}"}
    over = {**late, "status": "resolved", "endsAt": alert(ends_at=START + 300)["endsAt"]}
    one = notifier(config=configuration(), renderer=Renderer(configuration()))
    one.receive(payload(alert(instance="present"), late))
    await one.deliver()
    one.receive(payload(alert(instance="present"), over))
    await one.deliver()
    one.receive(payload(alert(instance="present", status="resolved", ends_at=START + 400), over))
    await one.run_for(1)
    first, second = (text.replace("  \n  ", "\n") for text in one.dingtalk.texts)
    assert "🟠 警告：at present · present（HighLatency）等 2 条" in first
    assert "✅ 已恢复（迟到）：at missed · missed（HighLatency，警告）" in first
    assert "持续 5 分钟；本消息迟到 10 分钟" in first
    assert "missed" not in second
    assert second.startswith("### ✅ 已恢复：at present · present（HighLatency，警告）\n")
