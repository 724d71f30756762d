"""Who is asked while nobody takes a critical alert, in time that is turned by hand."""

from __future__ import annotations

import asyncio

import pytest

from dingtalk.links import group_digest
from dingtalk.log import Log
from dingtalk.message import Renderer
from dingtalk.people.escalations import Escalations
from tests.notifier import START, Notifier, alert, payload
from tests.people import config, critical

DIGEST = group_digest("main", "g")


class Phone:
    """A phone channel that takes what it is told to take; `holds` keeps calls open."""

    def __init__(self):
        self.takes = []
        self.calls = []
        self.holds = None

    async def send(self, addresses, part):
        self.calls.append(([address.get_secret_value() for address in addresses], part.title + part.text))
        if self.holds is not None:
            await self.holds.wait()
        answer = self.takes.pop(0) if self.takes else True
        if isinstance(answer, Exception):
            raise answer
        return answer


class Staffed(Notifier):
    """A notifier whose rota is asked."""

    def __init__(self, folder, **values):
        self.phone = Phone()
        loaded = config(**values)
        super().__init__(folder, config=loaded, renderer=Renderer(loaded))

    def open(self):
        super().open()
        self.log = self.log or Log(None, clock=self.time.clock)
        self.escalations = Escalations(
            self.config,
            outbox=self.outbox,
            notices=self.worker.notices,
            wake=self.worker.wake,
            fallback=self.phone,
            metrics=self.metrics,
            log=self.log,
            clock=self.time.clock,
        )

    async def run_for(self, seconds, *, step=20.0):
        end = self.time.now + seconds
        while self.time.now < end:
            self.time.now += step
            await self.escalations.turn()
            await self.escalations.settle()
            await self.deliver()

    @property
    def asked(self):
        """When somebody was asked, in seconds since the start, and the sentence with its @."""
        shown = [shown for shown in self.dingtalk.shown if "无人接手" in shown.text]
        return [(one.at - START, one.text.partition("\n\n")[2].partition(" ")[2]) for one in shown]


@pytest.fixture
def staff(tmp_path):
    made = []

    def make(**values):
        made.append(Staffed(tmp_path, **values))
        return made[-1]

    yield make
    for one in made:
        one.outbox.close()


async def fired(one, **values):
    one.receive(payload(critical(**values)))
    await one.deliver()


async def test_the_rota_is_asked_by_name_and_at_then_the_phone(staff):
    """Five minutes each; the phone once, and then nobody."""
    one = staff()
    await fired(one)
    await one.run_for(280)
    assert one.asked == []
    await one.run_for(3000)
    assert [at for at, _ in one.asked] == [300.0, 600.0]
    assert "已 5 分钟无人接手，请 张三 处理。" in one.asked[0][1]
    assert "@13800000001" in one.asked[0][1]
    assert "已 10 分钟无人接手，请 李四 处理。" in one.asked[1][1]
    assert "@lisi" in one.asked[1][1]
    assert one.phone.calls == [
        (["json://localhost"], f"严重告警无人接手严重告警 HighErrorRate 已 15 分钟无人接手，请查看钉钉群。组 {DIGEST}")
    ]
    assert one.sample("mgeo_notifier_escalations_total", step="rota") == 2
    assert one.sample("mgeo_notifier_escalations_total", step="phone") == 1


async def test_the_phone_hears_no_label_but_the_name(staff):
    """Whatever an alert brings, and whoever was asked."""
    one = staff(rota={"people": [], "after": 300, "phone": "json://localhost"})
    await fired(one, instance="secret-host", who="13800000009")
    await one.run_for(300)
    ((_, text),) = one.phone.calls
    assert not any(word in text for word in ("secret-host", "13800000009", "张三", "at box"))


async def test_who_takes_it_ends_it(staff):
    """Nobody is asked any more."""
    one = staff()
    await fired(one)
    await one.run_for(300)
    one.outbox.take(DIGEST, "王五", says=None)
    await one.run_for(3000)
    assert len(one.asked) == 1
    assert one.phone.calls == []


async def test_its_end_ends_it(staff):
    """And the next time begins with the first of the rota."""
    one = staff()
    await fired(one)
    await one.run_for(300)
    one.receive(payload(critical(status="resolved", ends_at=START + 300)))
    await one.run_for(1000)
    assert len(one.asked) == 1
    await fired(one, starts_at=START + 1300)
    await one.run_for(300)
    assert len(one.asked) == 2
    assert "张三" in one.asked[1][1]


async def test_without_anybody_to_ask_nobody_is_asked(staff):
    """Its task ends at once."""
    one = staff(rota={})
    await fired(one)
    async with asyncio.timeout(5):
        await one.escalations.run()
    await one.run_for(3000)
    assert one.asked == []


async def test_the_next_process_goes_on_where_the_last_one_was(staff):
    """Also after a long absence, one at a time."""
    one = staff()
    await fired(one)
    await one.run_for(300)
    one.restart()
    await one.run_for(280)
    assert len(one.asked) == 1
    one.outbox.close()
    one.time.now += 86_400
    one.open()
    await one.run_for(20)
    assert len(one.asked) == 2
    assert one.phone.calls == []
    await one.run_for(280)
    assert one.phone.calls == []
    await one.run_for(20)
    assert len(one.phone.calls) == 1


async def test_a_scale_shortens_the_time_that_each_has(staff):
    """For drills."""
    one = staff(scale=0.02)
    await fired(one)
    await one.run_for(30, step=0.5)
    assert [at for at, _ in one.asked] == [6.0, 12.0]


async def test_a_clock_that_is_set_back_gives_nobody_more_time(staff):
    """Beyond what each has."""
    one = staff()
    await fired(one)
    one.time.jump = -86_400.0
    await one.run_for(320)
    assert len(one.asked) == 1


async def test_a_phone_that_is_not_answered_is_called_again(staff):
    """Not at once, whatever it raises, and not for ever."""
    one = staff(rota={"people": [], "after": 300, "phone": "json://localhost"})
    one.phone.takes = [False, RuntimeError("json://secret"), True]
    await fired(one)
    await one.run_for(300)
    assert len(one.phone.calls) == 1
    await one.run_for(20)
    assert len(one.phone.calls) == 1
    await one.run_for(1000)
    assert len(one.phone.calls) == 3
    assert one.sample("mgeo_notifier_escalations_total", step="phone") == 1


async def test_a_phone_that_is_never_answered_is_given_up(staff):
    """After five calls."""
    one = staff(rota={"people": [], "after": 300, "phone": "json://localhost"})
    one.phone.takes = [False] * 9
    await fired(one)
    await one.run_for(3000)
    assert len(one.phone.calls) == 5
    assert one.sample("mgeo_notifier_escalations_total", step="phone") == 0


async def test_a_call_that_takes_long_holds_up_nobody_and_is_made_again_when_it_is_cut_off(staff):
    """A call too many is better than none."""
    one = staff(rota={"people": ["张三"], "after": 300, "phone": "json://localhost"})
    one.phone.holds = asyncio.Event()
    await fired(one)
    await one.run_for(300)
    one.receive(payload(critical("ServiceGone"), group="other"))
    await one.deliver()
    for _ in range(16):
        one.time.now += 20
        await one.escalations.turn()
        await one.deliver()
    assert len(one.asked) == 2
    assert len(one.phone.calls) == 1
    await one.escalations.stop()
    one.phone.holds = None
    one.restart()
    await one.run_for(20)
    assert len(one.phone.calls) == 2


async def test_its_task_goes_on_after_a_failure(staff):
    """And ends when it is asked to."""
    one = staff(scale=0.001)
    await fired(one)
    connection = one.outbox._connection
    connection.execute("PRAGMA query_only = ON")
    one.time.now += 1
    task = asyncio.create_task(one.escalations.run())
    async with asyncio.timeout(20):
        while one.outbox.writable:
            await asyncio.sleep(0.002)
        connection.execute("PRAGMA query_only = OFF")
        while not any("无人接手" in message.part.text for message in one.outbox.messages()):
            await asyncio.sleep(0.002)
        await one.escalations.stop()
        await task


@pytest.mark.parametrize("ends", ["taken", "over", "milder"])
async def test_who_was_to_be_asked_is_not_when_the_group_is_taken_or_over_meanwhile(staff, ends):
    """While DingTalk could not be reached, say: what was said of it is no longer true."""
    one = staff()
    await fired(one)
    one.dingtalk.always["r1"] = "unreachable"
    await one.run_for(600)
    assert one.asked == []
    if ends == "taken":
        one.outbox.take(DIGEST, "王五", says=None)
    elif ends == "over":
        one.receive(payload(critical(status="resolved", ends_at=START + 600)))
    else:
        one.receive(payload(critical(status="resolved", ends_at=START + 600), alert("HighLatency", starts_at=START)))
    one.restart()
    del one.dingtalk.always["r1"]
    await one.run_for(1200)
    assert one.asked == []
    assert one.phone.calls == []


async def test_an_ask_that_was_under_way_is_not_repeated_after_the_group_was_taken(staff):
    """By a process that died over it: it may have arrived, and if it has not, it need not."""
    one = staff()
    await fired(one)
    one.time.now += 300
    await one.escalations.turn()
    (asks, _) = one.outbox.messages()
    assert one.outbox.begin_send(asks.id, robot="r1", organisation="default") is not None
    one.outbox.take(DIGEST, "王五", says=None)
    one.restart()
    await one.run_for(600)
    assert one.asked == []


async def test_what_is_asked_of_another_group_is_asked_all_the_same(staff):
    """Taking one group takes no other."""
    one = staff()
    await fired(one)
    one.receive(payload(critical("ServiceGone"), group="other"))
    await one.deliver()
    one.dingtalk.always["r1"] = "unreachable"
    await one.run_for(300)
    one.outbox.take(DIGEST, "王五", says=None)
    del one.dingtalk.always["r1"]
    await one.run_for(20)
    assert ["ServiceGone" in words for _, words in one.asked] == [True]
