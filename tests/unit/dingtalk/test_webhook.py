"""Where Alertmanager posts, called as it calls."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager

import httpx
import pytest

from dingtalk.app import create_app
from dingtalk.boot import Boot
from dingtalk.fallback import NoFallback
from dingtalk.outbox.store import Outbox
from dingtalk.renders import BareRenderer
from tests.notifier import BLOCKED, OK, START, FakeDingTalk, Time, alert, configuration, payload


@asynccontextmanager
async def running(folder, *, config=None, answers=(), delivering=False, max_bytes=100_000):
    """The application without a server; its worker delivers only where a test says so."""
    time = Time()
    config = config or configuration()
    dingtalk = FakeDingTalk(time)
    dingtalk.answers["r1"] = list(answers)
    store = Outbox.open(folder, clock=time.clock, boot=Boot(id="boot"), max_queue=config.max_queue)
    app = create_app(
        config, clock=time.clock, renderer=BareRenderer(), client=dingtalk, fallback=NoFallback(), store=store, max_bytes=max_bytes
    )
    app.state.store, app.state.dingtalk = store, dingtalk
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://notifier") as client:
            client.app = app
            if delivering:
                async with app.router.lifespan_context(app):
                    yield client
            else:
                yield client
    finally:
        store.close()


async def metric(client, name):
    text = (await client.get("/metrics")).text
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} "))


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def test_what_is_stored_is_answered_with_its_id(tmp_path):
    """And waits in the store by then."""
    async with running(tmp_path) as client:
        answer = await client.post("/v1/alertmanager/main", content=payload(alert()))
        assert (answer.status_code, answer.json()) == (200, {"stored": 1})
        assert client.app.state.store.depth().normal == 1
        assert await metric(client, 'mgeo_notifier_received_total{result="stored"}') == 1
        assert await metric(client, 'mgeo_notifier_queue_depth{lane="normal"}') == 1


async def test_the_same_from_another_replica_is_answered_alike_and_not_stored(tmp_path):
    """With the id of the first."""
    async with running(tmp_path) as client:
        await client.post("/v1/alertmanager/main", content=payload(alert()))
        answer = await client.post("/v1/alertmanager/main", content=payload(alert()))
        assert (answer.status_code, answer.json()) == (200, {"stored": 1, "duplicate": True})
        assert client.app.state.store.depth().normal == 1
        assert await metric(client, 'mgeo_notifier_received_total{result="duplicate"}') == 1


async def test_an_unknown_receiver_is_the_default_one(tmp_path):
    """A 4xx would lose the alert; it is counted."""
    receivers = [{"name": "first", "robots": ["r1"]}, {"name": "other", "robots": ["r1"]}]
    async with running(tmp_path, config=configuration(receivers=receivers, default_receiver="other")) as client:
        answer = await client.post("/v1/alertmanager/nobody", content=payload(alert()))
        assert answer.status_code == 200
        assert [group.receiver for group in client.app.state.store.waiting_groups(recent=1)] == ["other"]
        assert await metric(client, 'mgeo_notifier_received_total{result="unknown_receiver"}') == 1


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'{"alerts": [{}]}', b"\xff"])
async def test_bytes_that_are_no_notification_are_refused(tmp_path, body):
    """They would be none the next time either."""
    async with running(tmp_path) as client:
        answer = await client.post("/v1/alertmanager/main", content=body)
        assert answer.status_code == 400
        assert await metric(client, 'mgeo_notifier_received_total{result="refused"}') == 1


async def test_a_body_may_have_its_size_and_no_more(tmp_path):
    """Refused by its declared length, or as soon as more has come; the group is told, once an hour."""
    async with running(tmp_path, max_bytes=1000) as client:
        body = payload(alert())
        assert (await client.post("/v1/alertmanager/main", content=body + b" " * (1000 - len(body)))).status_code == 200
        assert (await client.post("/v1/alertmanager/main", content=b" " * 1001)).status_code == 413

        async def chunks():
            for _ in range(11):
                yield b" " * 100

        assert (await client.post("/v1/alertmanager/main", content=chunks())).status_code == 413
        assert await metric(client, 'mgeo_notifier_received_total{result="too_large"}') == 2
        texts = [message.part.text for message in client.app.state.store.messages()]
        assert texts == ["notifier: too large bytes 1001, receiver main"]


async def test_while_it_cannot_store_the_sender_must_try_again(tmp_path):
    """503 with the reason, and not ready; never 429 or 4xx."""
    async with running(tmp_path) as client:
        connection = client.app.state.store._connection
        connection.execute("PRAGMA query_only = ON")
        answer = await client.post("/v1/alertmanager/main", content=payload(alert()))
        assert answer.status_code == 503
        assert answer.json()["reason"].startswith("the outbox cannot be written")
        assert (await client.post("/v1/alertmanager/main", content=b" " * 200_000)).status_code == 503
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200
        assert await metric(client, "mgeo_notifier_store_writable") == 0
        assert await metric(client, 'mgeo_notifier_received_total{result="unavailable"}') == 2
        connection.execute("PRAGMA query_only = OFF")
        assert (await client.post("/v1/alertmanager/main", content=payload(alert()))).json() == {"stored": 1}
        assert (await client.get("/readyz")).json() == {"ready": True}


async def test_a_full_queue_is_a_503(tmp_path):
    """Alertmanager keeps what does not fit."""
    async with running(tmp_path, config=configuration(max_queue=1)) as client:
        assert (await client.post("/v1/alertmanager/main", content=payload(alert()))).status_code == 200
        assert (await client.post("/v1/alertmanager/main", content=payload(alert(), group="h"))).status_code == 503
        assert (await client.get("/readyz")).status_code == 503


async def test_while_it_shuts_down_the_sender_must_try_again(tmp_path):
    """The next process takes it."""
    async with running(tmp_path) as client:
        client.app.state.webhook.close()
        assert (await client.post("/v1/alertmanager/main", content=payload(alert()))).status_code == 503
        assert (await client.get("/readyz")).json() == {"ready": False, "reason": "the notifier is shutting down"}


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("values", "header", "status"),
    [
        ({}, None, 200),
        ({"token": "secret"}, None, 401),
        ({"token": "secret"}, "Bearer secret", 200),
        ({"token": "secret"}, "bearer secret", 200),
        ({"token": "secret"}, "Bearer secreT", 401),
        ({"token": "secret"}, "Bearer ", 401),
        ({"token": "密"}, "Bearer 密".encode(), 200),
        ({"token": "secret"}, basic("secret:secret"), 401),
        ({"username": "am", "password": "密"}, basic("am:密"), 200),
        ({"username": "am", "password": "密"}, basic("am:x"), 401),
        ({"username": "am", "password": "密"}, "Basic ???", 401),
        ({"username": "am", "password": "密"}, "Bearer 密".encode(), 401),
    ],
)
async def test_who_may_post_is_told_by_token_or_password(tmp_path, values, header, status):
    """Everybody when neither is set. Messages are shown, and sent again, to the same."""
    async with running(tmp_path, config=configuration(**values)) as client:
        headers = {"authorization": header} if header else {}
        assert (await client.post("/v1/alertmanager/main", content=payload(alert()), headers=headers)).status_code == status
        assert (await client.get("/v1/messages", headers=headers)).status_code == status
        assert (await client.get("/v1/status", headers=headers)).status_code == status
        assert (await client.post("/v1/messages/1/resend", headers=headers)).status_code == (404 if status == 200 else 401)
        assert (await client.get("/metrics")).status_code == 200


async def test_the_running_application_delivers(tmp_path):
    """And its status says how things are."""
    async with running(tmp_path, delivering=True) as client:
        await client.post("/v1/alertmanager/main", content=payload(alert()))
        await until(lambda: client.app.state.dingtalk.shown)
        await until(lambda: client.app.state.store.depth().oldest is None)
        status = (await client.get("/v1/status")).json()
        assert status["queue"] == {"critical": 0, "normal": 0, "oldest_seconds": 0.0, "dead_letters": 0}
        assert status["robots"]["r1"]["state"] == "ok"
        assert status["robots"]["r1"]["rate_headroom"] == 17
        assert status["organisations"]["default"]["used"] == 1
        (message,) = (await client.get("/v1/messages", params={"state": "delivered"})).json()["messages"]
        assert (message["text"], message["state"], message["robot"]) == ("[告警] warning HighLatency box-1", "delivered", "r1")


async def test_a_dead_letter_is_sent_again_on_request(tmp_path):
    """Once."""
    async with running(tmp_path, delivering=True, answers=[BLOCKED, BLOCKED, OK]) as client:
        await client.post("/v1/alertmanager/main", content=payload(alert()))
        await until(lambda: client.app.state.store.depth().dead)
        (dead,) = (await client.get("/v1/messages?state=dead")).json()["messages"]
        assert (dead["outcome"], dead["detail"]) == ("content_blocked", "不合适的文本")
        assert (await client.post(f"/v1/messages/{dead['id']}/resend")).json() == {"waiting": dead["id"]}
        await until(lambda: any("HighLatency" in text for text in client.app.state.dingtalk.texts))
        assert (await client.post(f"/v1/messages/{dead['id']}/resend")).status_code == 404


@pytest.mark.parametrize("number", ["2", str((1 << 63) - 1), str(1 << 63), "9" * 30, "9" * 5_000, "-1", "x", "²"])
async def test_there_is_no_dead_letter_of_a_number_that_none_has(tmp_path, number):
    """However large it is."""
    async with running(tmp_path) as client:
        await client.post("/v1/alertmanager/main", content=payload(alert()))
        answer = await client.post(f"/v1/messages/{number}/resend")
        assert (answer.status_code, answer.json()["error"][:26]) == (404, f"there is no dead letter {number}"[:26])


@pytest.mark.parametrize("before", [10**30, -(10**30)])
async def test_a_number_beyond_all_numbers_is_only_large(tmp_path, before):
    """The store has none like that."""
    async with running(tmp_path) as client:
        assert (await client.get(f"/v1/messages?before={before}")).json() == {"messages": []}


@pytest.mark.parametrize("query", ["state=lost", "before=x", "limit=x", f"before={'9' * 5_000}"])
async def test_a_question_that_makes_no_sense_is_refused(tmp_path, query):
    """With what would."""
    async with running(tmp_path) as client:
        assert (await client.get(f"/v1/messages?{query}")).status_code == 400


async def test_every_series_exists_from_the_start(tmp_path):
    """At 0, so that an increase from nothing is an increase."""
    async with running(tmp_path) as client:
        lines = (await client.get("/metrics")).text.splitlines()
        series = [line for line in lines if not line.startswith("#")]
        assert 'mgeo_notifier_received_total{result="too_large"} 0.0' in series
        assert 'mgeo_notifier_messages_total{outcome="robot_dead",robot="r1"} 0.0' in series
        assert 'mgeo_notifier_messages_total{outcome="delivered",robot="fallback"} 0.0' in series
        assert 'mgeo_notifier_queue_depth{lane="critical"} 0.0' in series
        assert "mgeo_notifier_queue_age_seconds 0.0" in series
        assert "mgeo_notifier_dead_letters 0.0" in series
        assert 'mgeo_notifier_robot_state{robot="r1",state="ok"} 1.0' in series
        assert 'mgeo_notifier_robot_state{robot="r1",state="dead"} 0.0' in series
        assert 'mgeo_notifier_rate_headroom{robot="r1"} 18.0' in series
        assert 'mgeo_notifier_quota_limit{organisation="default"} 3000.0' in series
        assert 'mgeo_notifier_quota_forecast{organisation="default"} 0.0' in series
        assert 'mgeo_notifier_degradation{organisation="default"} 0.0' in series
        assert 'mgeo_notifier_delivery_duration_seconds_count{severity="critical"} 0.0' in series
        assert "mgeo_notifier_template_failures_total 0.0" in series
        assert 'mgeo_notifier_reconciled_total{kind="resolved"} 0.0' in series
        assert "mgeo_notifier_store_writable 1.0" in series
        assert 'mgeo_notifier_clock_skew_seconds{robot="r1"} 0.0' in series
        assert 'mgeo_notifier_escalations_total{step="phone"} 0.0' in series
        assert not any("_created" in line for line in lines)


async def test_the_time_of_receipt_is_that_of_the_store(tmp_path):
    """What Alertmanager says of times is not used for waiting."""
    async with running(tmp_path) as client:
        await client.post("/v1/alertmanager/main", content=payload(alert(starts_at=START - 1e6)))
        assert client.app.state.store.last_received_at() == START
