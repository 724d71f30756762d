"""One trace from Alertmanager's call to DingTalk's answer."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from dingtalk.app import create_app
from dingtalk.boot import Boot
from dingtalk.fallback import NoFallback
from dingtalk.names import SPANS
from dingtalk.outbox.store import Outbox
from dingtalk.renders import BareRenderer
from dingtalk.telemetry import id_generator
from dingtalk.traces import OtelTraces
from tests.notifier import BLOCKED, OK, START, TOO_FAST, FakeDingTalk, Time, alert, configuration, payload, robots

CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


class Traced:
    """A notifier whose time is turned by hand, and the spans that it has written."""

    def __init__(self, client, app, time, exporter):
        self.client, self.worker, self.store, self.time = client, app.state.worker, app.state.store, time
        self._exporter = exporter

    async def post(self, *alerts, traceparent="", **values):
        headers = {"traceparent": traceparent} if traceparent else {}
        return await self.client.post("/v1/alertmanager/main", content=payload(*alerts, **values), headers=headers)

    async def deliver(self):
        for _ in range(6):
            await self.worker.turn()
            await self.worker.settle()

    def spans(self, name=None):
        """Those written, in the order they ended; `mgeo.notifier.` is left out of a name."""
        found = self._exporter.get_finished_spans()
        return [span for span in found if name is None or span.name == f"mgeo.notifier.{name}"]


@asynccontextmanager
async def traced(folder, *, answers=(), fallback=None, time=None, **values):
    time = time or Time()
    config = configuration(**values)
    dingtalk = FakeDingTalk(time)
    for robot in config.robots:
        dingtalk.answers[robot.name] = list(answers)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=id_generator(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    store = Outbox.open(folder, clock=time.clock, boot=Boot(id="boot"), max_queue=100)
    app = create_app(
        config,
        clock=time.clock,
        renderer=BareRenderer(),
        client=dingtalk,
        fallback=fallback or NoFallback(),
        store=store,
        traces=OtelTraces(provider, clock=time.clock),
        max_bytes=100_000,
    )
    app.state.store = store
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notifier") as client:
            yield Traced(client, app, time, exporter)
    finally:
        provider.shutdown()
        store.close()


def ids(span):
    return span.context.trace_id, span.context.span_id


async def test_receipt_message_and_attempt_are_one_trace(tmp_path):
    """Each the child of the one before, with what it is about and nothing else."""
    async with traced(tmp_path) as notifier:
        await notifier.post(alert())
        notifier.time.now += 2
        await notifier.deliver()
        receive, attempt, deliver = notifier.spans()
        assert [span.name for span in (receive, attempt, deliver)] == [
            "mgeo.notifier.receive", "mgeo.notifier.attempt", "mgeo.notifier.deliver",
        ]  # fmt: skip
        assert receive.parent is None
        assert (deliver.context.trace_id, deliver.parent.span_id) == ids(receive)
        assert (attempt.context.trace_id, attempt.parent.span_id) == ids(deliver)
        assert [span.kind for span in (receive, deliver, attempt)] == [SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.CLIENT]
        assert dict(receive.attributes) == {"mgeo.notifier.receiver": "main", "http.response.status_code": 200}
        assert dict(deliver.attributes) == {
            "mgeo.notifier.message": 1,
            "mgeo.notifier.receiver": "main",
            "mgeo.notifier.form": "group",
            "mgeo.notifier.lane": "normal",
            "mgeo.notifier.state": "delivered",
            "mgeo.notifier.attempts": 1,
            "mgeo.notifier.robot": "r1",
        }
        assert dict(attempt.attributes) == {
            "mgeo.notifier.robot": "r1",
            "mgeo.notifier.outcome": "delivered",
            "mgeo.notifier.attempt": 1,
            "mgeo.notifier.errcode": 0,
        }
        assert [span.start_time for span in (receive, deliver)] == [int(START * 1e9), int((START + 2) * 1e9)]
        assert {span.status.status_code for span in notifier.spans()} == {StatusCode.UNSET}


async def test_the_callers_trace_goes_on_whatever_its_flag_says(tmp_path):
    """And is kept with the receipt."""
    async with traced(tmp_path) as notifier:
        await notifier.post(alert(), traceparent=CALLERS)
        await notifier.deliver()
        assert {span.context.trace_id for span in notifier.spans("deliver")} == {0x0AF7651916CD43DD8448EB211C80319C}
        (receipt,) = notifier.store.receipts_behind(1)
        assert receipt.trace.trace_id == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("header", ["nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", CALLERS[:-1], "告警"])
async def test_a_header_that_names_no_trace_begins_a_new_one(tmp_path, header):
    """It costs nothing else."""
    async with traced(tmp_path) as notifier:
        assert (await notifier.post(alert(), traceparent=header.encode())).status_code == 200
        (receive,) = notifier.spans()
        assert receive.parent is None
        assert receive.context.trace_id not in {0, 0x0AF7651916CD43DD8448EB211C80319C}


async def test_each_attempt_of_a_message_has_the_same_parent(tmp_path):
    """Its number, DingTalk's code, and an error where it was none."""
    async with traced(tmp_path, answers=[b'{"errcode":-1,"errmsg":"busy"}', OK]) as notifier:
        await notifier.post(alert())
        await notifier.deliver()
        notifier.time.now += 60
        await notifier.deliver()
        first, second = notifier.spans("attempt")
        (deliver,) = notifier.spans("deliver")
        assert first.parent == second.parent
        assert first.parent.span_id == deliver.context.span_id
        assert [dict(span.attributes) for span in (first, second)] == [
            {"mgeo.notifier.robot": "r1", "mgeo.notifier.outcome": "retry", "mgeo.notifier.attempt": 1, "mgeo.notifier.errcode": -1},
            {"mgeo.notifier.robot": "r1", "mgeo.notifier.outcome": "delivered", "mgeo.notifier.attempt": 2, "mgeo.notifier.errcode": 0},
        ]
        assert [span.status.status_code for span in (first, second, deliver)] == [StatusCode.ERROR, StatusCode.UNSET, StatusCode.UNSET]
        assert deliver.attributes["mgeo.notifier.attempts"] == 2


async def test_the_trace_goes_on_in_the_next_process(tmp_path):
    """An attempt before the restart and one after it are below the same message."""
    time = Time()
    async with traced(tmp_path, answers=[b'{"errcode":-1,"errmsg":"busy"}'], time=time) as notifier:
        await notifier.post(alert())
        await notifier.deliver()
        (before,) = notifier.spans("attempt")
        assert notifier.spans("deliver") == []
    time.now += 60
    async with traced(tmp_path, time=time) as notifier:
        await notifier.deliver()
        (after,), (deliver,) = notifier.spans("attempt"), notifier.spans("deliver")
        assert before.parent == after.parent
        assert (after.context.trace_id, after.parent.span_id) == ids(deliver)


async def test_a_message_that_tells_several_receipts_links_to_the_others(tmp_path):
    """It is in the trace of the first."""
    async with traced(tmp_path) as notifier:
        for number in range(3):
            await notifier.post(alert(instance=f"box-{number}"))
        await notifier.deliver()
        first, *others = notifier.spans("receive")
        (deliver,) = notifier.spans("deliver")
        assert (deliver.context.trace_id, deliver.parent.span_id) == ids(first)
        assert [(link.context.trace_id, link.context.span_id) for link in deliver.links] == [ids(span) for span in others]


async def test_links_have_a_bound(tmp_path):
    """A digest may tell thousands."""
    async with traced(tmp_path) as notifier:
        for number in range(40):
            await notifier.post(alert(instance=f"box-{number}"))
        await notifier.deliver()
        (deliver,) = notifier.spans("deliver")
        assert len(deliver.links) == 31


async def test_another_replicas_call_says_that_nothing_follows(tmp_path):
    """Its span stands alone."""
    async with traced(tmp_path) as notifier:
        await notifier.post(alert())
        await notifier.post(alert())
        first, second = notifier.spans("receive")
        assert "mgeo.notifier.duplicate" not in first.attributes
        assert second.attributes["mgeo.notifier.duplicate"] is True


async def test_a_call_that_is_refused_has_its_status(tmp_path):
    """An error is what is our own: 503, and not what no one can read."""
    async with traced(tmp_path) as notifier:
        await notifier.client.post("/v1/alertmanager/main", content=b"{")
        notifier.store._connection.execute("PRAGMA query_only = ON")
        await notifier.post(alert())
        notifier.store._connection.execute("PRAGMA query_only = OFF")
        unreadable, unstored = notifier.spans()
        assert [span.attributes["http.response.status_code"] for span in (unreadable, unstored)] == [400, 503]
        assert [span.status.status_code for span in (unreadable, unstored)] == [StatusCode.UNSET, StatusCode.ERROR]


async def test_who_may_not_post_writes_no_span(tmp_path):
    """Strangers shall not fill the store of the traces."""
    async with traced(tmp_path, token="secret") as notifier:
        assert (await notifier.post(alert())).status_code == 401
        assert notifier.spans() == []


async def test_a_form_that_is_refused_ends_where_the_plain_one_begins(tmp_path):
    """Both in the same trace; the dead letter at the end is an error. Sent again, it has another span."""
    async with traced(tmp_path, answers=[BLOCKED, BLOCKED, OK, OK]) as notifier:
        await notifier.post(alert())
        await notifier.deliver()
        (receive,) = notifier.spans("receive")
        of_it = [span for span in notifier.spans("deliver") if span.context.trace_id == receive.context.trace_id]
        assert [span.attributes["mgeo.notifier.state"] for span in of_it] == ["merged", "dead"]
        assert [span.attributes["mgeo.notifier.form"] for span in of_it] == ["group", "plain"]
        assert [span.status.status_code for span in of_it] == [StatusCode.UNSET, StatusCode.ERROR]
        notifier.time.now += 5
        assert notifier.store.resend(of_it[1].attributes["mgeo.notifier.message"])
        await notifier.deliver()
        again = [span for span in notifier.spans("deliver") if span.context.trace_id == receive.context.trace_id][2]
        assert again.attributes["mgeo.notifier.state"] == "delivered"
        assert again.context.span_id != of_it[1].context.span_id
        assert again.start_time == of_it[1].end_time + 5_000_000_000


async def test_what_the_notifier_says_of_itself_is_a_trace_of_its_own(tmp_path):
    """Nobody called for it."""
    async with traced(tmp_path, answers=[BLOCKED, BLOCKED]) as notifier:
        await notifier.post(alert())
        await notifier.deliver()
        (receive,) = notifier.spans("receive")
        (notice,) = [span for span in notifier.spans("deliver") if span.attributes["mgeo.notifier.form"] == "notice"]
        assert notice.parent is None
        assert notice.context.trace_id != receive.context.trace_id


async def test_a_message_that_is_taken_back_after_an_attempt_ends_there(tmp_path):
    """So that its attempts have their parent; the message that tells it instead is in the same trace."""
    async with traced(tmp_path, answers=[TOO_FAST]) as notifier:
        await notifier.post(alert())
        await notifier.deliver()
        await notifier.post(alert(status="resolved", ends_at=START + 1))
        await notifier.deliver()
        notifier.time.now += 700
        await notifier.deliver()
        (first, *_) = notifier.spans("receive")
        of_it = [span for span in notifier.spans("deliver") if span.context.trace_id == first.context.trace_id]
        assert [span.attributes["mgeo.notifier.state"] for span in of_it] == ["merged", "delivered"]
        tries = [span for span in notifier.spans("attempt") if span.context.trace_id == first.context.trace_id]
        assert [span.parent.span_id for span in tries] == [span.context.span_id for span in of_it]


class Channel:
    """A fallback that takes everything."""

    async def send(self, addresses, part):
        return True


async def test_what_another_channel_tells_ends_as_delivered_there(tmp_path):
    """Without an attempt of a robot after the one that failed."""
    receivers = [{"name": "main", "robots": ["r1"], "fallbacks": ["json://localhost"]}]
    async with traced(tmp_path, answers=[BLOCKED, BLOCKED], fallback=Channel(), receivers=receivers) as notifier:
        await notifier.post(alert())
        await notifier.deliver()
        last = notifier.spans("deliver")[-1]
        assert (last.attributes["mgeo.notifier.state"], last.attributes["mgeo.notifier.robot"]) == ("delivered", "fallback")


async def test_no_span_has_an_attribute_that_the_table_lacks_nor_a_word_of_the_alert(tmp_path):
    """Over all that can happen here."""
    async with traced(tmp_path, answers=[TOO_FAST, BLOCKED, BLOCKED], robots=robots("r1", "r2")) as notifier:
        await notifier.post(alert("HighLatency", instance="杭州市西湖区文三路"), group="杭州")
        await notifier.deliver()
        assert notifier.spans()
        for span in notifier.spans():
            assert set(span.attributes) <= set(SPANS[span.name])
            assert span.status.description is None
            assert not any(secret in str(dict(span.attributes)) for secret in ("HighLatency", "杭州", "token-"))
