"""The readers of Loki, Jaeger and Prometheus, against servers that keep their limits."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from cli.audit.backend import Backend, BackendUnread, open_client
from cli.audit.hints import dropped_hints
from cli.audit.jaeger import JaegerSpans
from cli.audit.loki import LokiRecords
from cli.audit.prometheus import PrometheusSamples, pushed_as
from cli.audit.sighting import Sighting
from service.errors import Outcome
from tests.cli.audit.stores import INSTANCE, Fixed, Jaeger, Loki, Prometheus

START = 1_795_602_539_619_095_421
MS = START // 1_000_000


def ask(url, kind, work):
    """Run `work` with the backend at a URL."""

    async def asking():
        async with open_client(timeout=5.0) as client:
            return await work(Backend(kind, url, client, pause=0.0))

    return asyncio.run(asking())


def line(number, status="success"):
    return f"{number:016x} request-{number} {status} 133.227 {INSTANCE}"


def test_a_line_of_loki_is_a_sighting(serve_app):
    """With what the query makes of the record: ids, outcome, and its end by the latency."""
    url = serve_app(Loki([(START, line(7, "timeout"))]))
    assert ask(url, "Loki", lambda backend: LokiRecords(backend).between(START, START + 1)) == [
        Sighting(
            span_id="0000000000000007",
            request_id="request-7",
            status="timeout",
            instance=INSTANCE,
            started_unix_ns=START,
            ended_unix_ns=START + 133_227_000,
        )
    ]


def test_loki_is_read_page_by_page(serve_app):
    """Each record once, also where several have one moment across the border of two pages."""
    server = Loki([(START + number // 3, line(number)) for number in range(12_000)])
    found = ask(serve_app(server), "Loki", lambda backend: LokiRecords(backend).between(START, START + 10_000))
    assert [sighting.span_id for sighting in found] == [f"{number:016x}" for number in range(12_000)]
    assert [params["limit"] for params in server.asked] == ["5000", "5000", "5000"]


def test_a_loki_with_a_lower_limit(serve_app):
    """Is asked for less, from then on."""
    server = Loki([(START + number, line(number)) for number in range(3000)], most=1300)
    found = ask(serve_app(server), "Loki", lambda backend: LokiRecords(backend).between(START, START + 10_000))
    assert len({sighting.span_id for sighting in found}) == len(found) == 3000
    assert [params["limit"] for params in server.asked][:4] == ["5000", "2500", "1250", "1250"]


def test_more_records_at_one_moment_than_loki_gives(serve_app):
    """Cannot be read completely, and that is said."""
    url = serve_app(Loki([(START, line(number)) for number in range(200)], most=100))
    with pytest.raises(BackendUnread, match=r"Loki at 127\.0\.0\.1:\d+ has more records at one moment than it gives at once \(100\)"):
        ask(url, "Loki", lambda backend: LokiRecords(backend).between(START, START + 10))


def test_a_record_without_latency(serve_app):
    """Ended when it began."""
    url = serve_app(Loki([(START, f"0000000000000007 request-7 error  {INSTANCE}")]))
    found = ask(url, "Loki", lambda backend: LokiRecords(backend).between(START, START + 1))
    assert found[0].ended_unix_ns == START


def test_a_line_that_is_not_ours(serve_app):
    """In a stream of our name: it is passed over."""
    url = serve_app(Loki([(START, f"{line(1)} and more"), (START, line(2))]))
    found = ask(url, "Loki", lambda backend: LokiRecords(backend).between(START, START + 1))
    assert [sighting.request_id for sighting in found] == ["request-2"]


def test_an_empty_range_is_not_asked_for(serve_app):
    """Nothing began in it."""
    server = Loki([(START, line(1))])
    assert ask(serve_app(server), "Loki", lambda backend: LokiRecords(backend).between(START, START)) == []
    assert server.asked == []


def test_a_span_of_jaeger_is_a_sighting(serve_app):
    """The HTTP span of the same trace is none."""
    url = serve_app(Jaeger([("99a0", "e4fcbf72002f9f4d", START, "success")]))
    assert ask(url, "Jaeger", lambda backend: JaegerSpans(backend).between(START, START + 1)) == [
        Sighting(
            span_id="e4fcbf72002f9f4d",
            request_id="request-e4fcbf72002f9f4d",
            status="success",
            instance=INSTANCE,
            started_unix_ns=START,
            ended_unix_ns=START + 2_000_000,
        )
    ]


def test_jaeger_without_traces(serve_app):
    """Answers 404, and that is nothing wrong."""
    assert ask(serve_app(Jaeger([])), "Jaeger", lambda backend: JaegerSpans(backend).between(START, START + 1)) == []


def test_a_slice_with_too_many_traces_is_halved(serve_app):
    """Until no search reaches the limit."""
    server = Jaeger([(f"{number:032x}", f"{number:016x}", START + number * 10_000, "success") for number in range(100)])
    found = ask(serve_app(server), "Jaeger", lambda backend: JaegerSpans(backend, most_traces=30).between(START, START + 1_000_000))
    assert {sighting.span_id for sighting in found} == {f"{number:016x}" for number in range(100)}
    assert len(server.asked) == 7


def test_pairs_of_a_batch_share_a_trace(serve_app):
    """The limit is one of traces, not of spans."""
    server = Jaeger([("aa", f"{number:016x}", START, "success") for number in range(40)])
    found = ask(serve_app(server), "Jaeger", lambda backend: JaegerSpans(backend, most_traces=2).between(START, START + 1))
    assert len(found) == 40
    assert len(server.asked) == 1


def test_more_traces_at_one_moment_than_the_limit(serve_app):
    """Cannot be read completely, and that is said."""
    url = serve_app(Jaeger([(f"{number:032x}", f"{number:016x}", START, "success") for number in range(20)]))
    with pytest.raises(BackendUnread, match="has more traces at one moment than it gives at once \\(10\\)"):
        ask(url, "Jaeger", lambda backend: JaegerSpans(backend, most_traces=10).between(START, START + 100_000))


SAMPLES = {MS: (5, 1, 0), MS + 10_000: (7, 1, 2), MS + 500_000: (9, 3, 3)}


def samples(url, work, *, now_ms=MS + 1_000_000):
    return ask(url, "Prometheus", lambda backend: work(PrometheusSamples(backend, unix_ns=lambda: now_ms * 1_000_000)))


def test_the_sample_of_a_millisecond(serve_app):
    """By outcome: its series differ in their error types too."""
    url = serve_app(Prometheus(SAMPLES))
    found = samples(url, lambda prometheus: prometheus.before(pushed_as(INSTANCE), MS + 10_000, MS + 9_999))
    assert (found.ms, found.counts) == (MS + 10_000, Counter({Outcome.SUCCESS: 7, Outcome.INVALID: 3}))
    assert samples(url, lambda prometheus: prometheus.before(pushed_as(INSTANCE), MS + 10_001, MS + 10_000)) is None


def test_the_newest_sample_before_and_the_oldest_after(serve_app):
    """However far they are, in steps that grow."""
    url = serve_app(Prometheus(SAMPLES))
    after = samples(url, lambda prometheus: prometheus.after(pushed_as(INSTANCE), MS + 10_000, MS + 900_000))
    assert (after.ms, after.counts) == (MS + 500_000, Counter({Outcome.SUCCESS: 9, Outcome.INVALID: 6}))
    before = samples(url, lambda prometheus: prometheus.before(pushed_as(INSTANCE), MS + 499_999, MS - 1))
    assert before.ms == MS + 10_000


def test_nothing_is_looked_for_outside_its_bounds(serve_app):
    """Neither before the life nor after it, nor in the future."""
    server = Prometheus(SAMPLES)
    url = serve_app(server)
    assert samples(url, lambda prometheus: prometheus.after(pushed_as(INSTANCE), MS + 10_000, MS + 400_000)) is None
    assert samples(url, lambda prometheus: prometheus.before(pushed_as(INSTANCE), MS + 9_999, MS)) is None
    server.asked.clear()
    assert samples(url, lambda prometheus: prometheus.after(pushed_as(INSTANCE), MS, MS + 10**12), now_ms=MS) is None
    assert server.asked == []


def test_a_scraped_process_is_found_by_its_target_info(serve_app):
    """Under the job and instance of the scrape configuration."""
    query = f'last_over_time(target_info{{service_instance_id="{INSTANCE}"}}[5000ms])'
    labels = {"instance": "127.0.0.1:8000", "job": "mgeo", "service_instance_id": INSTANCE}
    url = serve_app(Prometheus({}, others={query: [{"metric": labels, "value": [1795602485.144, "1"]}]}))
    found = samples(url, lambda prometheus: prometheus.scraped_as(INSTANCE, MS, 5000))
    assert found == '{job="mgeo",instance="127.0.0.1:8000"}'
    url = serve_app(Prometheus({}, others={query: []}))
    assert samples(url, lambda prometheus: prometheus.scraped_as(INSTANCE, MS, 5000)) is None


DROPPED = "sum by (signal, reason) (max_over_time(mgeo_telemetry_dropped_total[1d])) > 0"
METRICS = """
# TYPE mgeo_telemetry_dropped_total counter
mgeo_telemetry_dropped_total{reason="queue_full",signal="store"} 12.0
mgeo_telemetry_dropped_total{reason="write_failed",signal="store"} 0.0
mgeo_requests_total{error_type="",status="success"} 14876.0
"""


def hints(url, *, prometheus):
    async def asking():
        async with open_client(timeout=5.0) as client:
            known = PrometheusSamples(Backend("Prometheus", url, client, pause=0.0), unix_ns=lambda: START) if prometheus else None
            return await dropped_hints(known, client, f"{url}/metrics")

    return asyncio.run(asking())


@pytest.mark.parametrize("prometheus", [True, False])
def test_what_the_service_dropped_is_a_hint(serve_app, prometheus):
    """From Prometheus, or from its own `/metrics`."""
    vector = [{"metric": {"reason": "queue_full", "signal": "store"}, "value": [1795602475.995, "12"]}]
    app = Prometheus({}, others={DROPPED: vector}) if prometheus else Fixed((200, METRICS))
    expected = ["the service dropped 12 of store: queue_full (mgeo_telemetry_dropped_total)"]
    assert hints(serve_app(app), prometheus=prometheus) == expected


@pytest.mark.parametrize("prometheus", [True, False])
def test_without_an_answer_there_is_no_hint(prometheus):
    """And nothing goes wrong."""
    assert hints("http://127.0.0.1:9", prometheus=prometheus) == []


def test_metrics_that_need_a_key_give_no_hint(serve_app):
    """Either."""
    assert hints(serve_app(Fixed((401, {}))), prometheus=False) == []


def get(url, **options):
    return ask(url, "Loki", lambda backend: backend.get("/x", {}, lambda members: members["status"], **options))


def test_a_backend_that_fails_is_asked_again(serve_app):
    """A few times."""
    server = Fixed((503, "starting"), (429, "slow down"), (200, {"status": "success"}))
    assert get(serve_app(server)) == "success"


def test_a_backend_that_goes_on_failing(serve_app):
    """Is given up."""
    server = Fixed((500, "no"))
    with pytest.raises(BackendUnread, match=r"^Loki at 127\.0\.0\.1:\d+ answered 500, 4 times$"):
        get(serve_app(server))
    assert len(server.asked) == 4


def test_a_backend_that_refuses_is_not_asked_again(serve_app):
    """Its own words are part of the message."""
    server = Fixed((401, "no  credentials\n"))
    with pytest.raises(BackendUnread, match=r"answered 401: no credentials$"):
        get(serve_app(server))
    assert len(server.asked) == 1


def test_a_refusal_without_words(serve_app):
    """Is said to be one."""
    with pytest.raises(BackendUnread, match=r"answered 302: no reason given$"):
        get(serve_app(Fixed((302, ""))))


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", "null", '{"status": '])
def test_what_is_no_such_backend(serve_app, body):
    """Gives something else than the JSON of one."""
    with pytest.raises(BackendUnread, match="does not answer as it should; is the address right"):
        get(serve_app(Fixed((200, body))))


def test_nobody_listens():
    """The address is named, credentials in it are not."""
    with pytest.raises(BackendUnread, match=r"^Loki at 127\.0\.0\.1:9 does not answer \(.+\), 4 times$"):
        get("http://name:secret@127.0.0.1:9/prefix")


def test_a_refusal_of_loki_that_is_not_about_the_limit(serve_app):
    """Ends the reading."""
    url = serve_app(Fixed((400, "parse error at line 1")))
    with pytest.raises(BackendUnread, match="answered 400: parse error at line 1"):
        ask(url, "Loki", lambda backend: LokiRecords(backend).between(START, START + 1))
