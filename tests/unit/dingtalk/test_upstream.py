"""Prometheus and Alertmanager as the notifier asks them: what they say, and what is said when they do not."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from dingtalk.alertmanager import Alertmanager, MadeSilence, Matcher, Silence, stack_http_client
from dingtalk.errors import UpstreamFailed
from dingtalk.prometheus import Prometheus


class Answering:
    """A program that answers each call with what a test says, and remembers what it was asked."""

    def __init__(self, status=200, body=b"{}"):
        self.status, self.body, self.asked = status, body, []

    async def __call__(self, scope, receive, send):
        body = (await receive()).get("body", b"")
        self.asked.append((scope["method"], scope["path"], scope["query_string"].decode(), body.decode()))
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"location", b"http://elsewhere/")]})
        await send({"type": "http.response.body", "body": self.body})


def run(program, call):
    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(program)) as client:
            return await call(client)

    return asyncio.run(asked())


def alertmanager(client):
    return Alertmanager("http://user:password@stack.example:9093/alertmanager/", client)


def test_a_silence_is_made_with_who_and_why():
    """Below the prefix of the address; the id is told."""
    program = Answering(body=b'{"silenceID": "s-1"}')
    matchers = [Matcher(name="alertname", value="A")]
    made = run(program, lambda client: alertmanager(client).silence(matchers, starts_at=0.0, ends_at=3600.0, by="张三", comment="换盘"))
    assert made == "s-1"
    ((method, path, _, body),) = program.asked
    assert (method, path) == ("POST", "/alertmanager/api/v2/silences")
    assert json.loads(body) == {
        "matchers": [{"name": "alertname", "value": "A", "isRegex": False, "isEqual": True}],
        "startsAt": "1970-01-01T00:00:00.000Z",
        "endsAt": "1970-01-01T01:00:00.000Z",
        "createdBy": "张三",
        "comment": "换盘",
    }


def test_silences_that_are_over_are_none():
    """Those that begin later are."""
    one = {"createdBy": "mgeo", "comment": "c"}
    body = [{"id": state, "status": {"state": state}, **one} for state in ("active", "pending", "expired")]
    found = run(Answering(body=json.dumps(body).encode()), lambda client: alertmanager(client).silences())
    assert found == [Silence(id="active", by="mgeo", comment="c"), Silence(id="pending", by="mgeo", comment="c")]


def test_a_silence_is_found_by_what_its_comment_ends_with():
    """Whatever became of it, with all that was asked for."""
    one = {
        "createdBy": "张三",
        "matchers": [{"name": "alertname", "value": "A", "isRegex": False, "isEqual": True}],
        "startsAt": "1970-01-01T00:00:01.000Z",
        "endsAt": "1970-01-01T01:00:00.000Z",
    }
    body = [
        {"id": "a", "status": {"state": "active"}, "comment": "换盘 (mark)", **one},
        {"id": "b", "status": {"state": "expired"}, "comment": "换卡 (mark)", **one},
        {"id": "c", "status": {"state": "active"}, "comment": "(mark) 换盘", **one},
        {"id": "d", "status": {"state": "active"}, "comment": "", "matchers": None},
    ]
    found = run(Answering(body=json.dumps(body).encode()), lambda client: alertmanager(client).silences_marked(" (mark)"))
    values = {"by": "张三", "matchers": {"alertname": "A"}, "starts_at": 1.0, "ends_at": 3600.0}
    assert found == [
        MadeSilence(id="a", comment="换盘 (mark)", over=False, **values),
        MadeSilence(id="b", comment="换卡 (mark)", over=True, **values),
    ]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"out of\n memory", "Alertmanager at stack.example:9093 answered 500: out of memory"),
        (302, b"", "Alertmanager at stack.example:9093 answered 302: "),
        (200, b"<html>", "Alertmanager at stack.example:9093 does not answer as it should; is alertmanager_url right?"),
        (200, b'[{"labels": 1}]', "Alertmanager at stack.example:9093 does not answer as it should; is alertmanager_url right?"),
        (200, b'{"a": {"status": {}}}', "Alertmanager at stack.example:9093 does not answer as it should; is alertmanager_url right?"),
    ],
)
def test_what_is_no_answer_is_said_without_the_password(status, body, said):
    """And with what to look at."""
    with pytest.raises(UpstreamFailed) as failed:
        run(Answering(status, body), lambda client: alertmanager(client).suppressed())
    assert str(failed.value) == said
    assert "password" not in str(failed.value)


def test_one_that_is_not_there_is_said():
    """By a connection of its own, past any proxy."""

    async def ask():
        async with stack_http_client() as client:
            await Prometheus("http://127.0.0.1:9", client).rules()

    with pytest.raises(UpstreamFailed, match=r"Prometheus at 127\.0\.0\.1:9 does not answer \("):
        asyncio.run(ask())


def test_rules_give_their_interval_and_the_annotations_that_are_no_templates():
    """A template has no value any more once the alert is over."""
    rule = {"name": "A", "annotations": {"summary": "fixed", "value": "{{ $value }}"}}
    body = {"data": {"groups": [{"interval": 10, "rules": [rule]}, {"interval": 30, "rules": [{"name": "B"}]}]}}
    found = run(Answering(body=json.dumps(body).encode()), lambda client: Prometheus("http://p", client).rules())
    assert (found.interval, found.annotations) == (30.0, {"A": {"summary": "fixed"}, "B": {}})


def test_what_fired_is_asked_for_an_hour_at_a_time():
    """And joined again."""
    series = {"metric": {"__name__": "ALERTS", "alertstate": "firing", "alertname": "A"}, "values": [[7190.0, "1"], [7200.0, "1"]]}
    program = Answering(body=json.dumps({"data": {"result": [series]}}).encode())
    (episode,) = run(program, lambda client: Prometheus("http://p", client).fired(0.0, 7200.0, step=10.0))
    assert (episode.labels, episode.first, episode.last, episode.over) == (frozenset({("alertname", "A")}), 7190.0, 7200.0, False)
    assert [query.rpartition("time=")[2] for _, _, query, _ in program.asked] == ["3600.000", "7200.000"]
