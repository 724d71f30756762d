"""Requests of which the sender knows the id and the trace."""

from __future__ import annotations

import json

from benchmarks.known_requests import is_traced, known_request, sample
from service.telemetry.ids import trace_id_of
from service.telemetry.log_record import timestamp

NOW = 1_795_604_237_768_000_000


def test_a_request_has_the_trace_of_its_id():
    """As the service derives it, since it comes without a `traceparent`."""
    request = known_request(0, unix_ns=NOW)
    assert request.trace_id == trace_id_of(request.request_id)
    assert request.headers == {"X-Request-ID": request.request_id, "Content-Type": "application/json"}
    assert timestamp(request.sent_unix_ns) == "2026-11-25T10:57:17.768000Z"


def test_each_tenth_comes_in_a_trace_of_its_callers():
    """Which has nothing to do with its id."""
    assert [number for number in range(30) if is_traced(number)] == [9, 19, 29]
    request = known_request(9, unix_ns=NOW)
    assert request.trace_id != trace_id_of(request.request_id)
    assert request.headers["traceparent"] == f"00-{request.trace_id}-{request.parent_id}-01"


def test_it_goes_over_the_wire_as_http_1_1():
    """Head, empty line, a body of the stated length."""
    request = known_request(9, unix_ns=NOW)
    head, _, body = request.wire.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /v1/match HTTP/1.1",
        b"Host: 127.0.0.1",
        f"X-Request-ID: {request.request_id}".encode(),
        b"Content-Type: application/json",
        f"traceparent: 00-{request.trace_id}-{request.parent_id}-01".encode(),
        f"Content-Length: {len(body)}".encode(),
    ]
    assert sorted(json.loads(body)) == ["address1", "address2"]


def test_a_sample_is_the_same_in_every_run():
    """Distinct numbers of those that were given."""
    chosen = sample(range(100, 200), 20)
    assert len(set(chosen)) == 20
    assert set(chosen) <= set(range(100, 200))
    assert chosen == sample(range(100, 200), 20)
