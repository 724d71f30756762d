"""The ways to look a request up, against a server that answers as the stores do."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.freshness import NotFoundError, freshness, percentile
from benchmarks.known_requests import known_request
from benchmarks.look_up import by_line, by_story, by_trace, is_story, is_whole, time_in_turns

NOW = 1_795_604_237_768_000_000
ATTEMPT = {
    "logs": [{"event": "mgeo.inference"}],
    "batch": {"members": []},
    "timeline": [
        {"kind": "span", "name": "POST /v1/match"},
        {"kind": "span", "name": "mgeo.inference"},
        {"kind": "stage", "name": "read"},
        {"kind": "span", "name": "mgeo.batch"},
    ],
}


def story(**changed: object) -> bytes:
    """The story of a request with one attempt, changed in some members of it."""
    return json.dumps({"attempts": [{**ATTEMPT, **changed}], "missing": []}).encode()


def test_a_whole_story_has_everything():
    """Log line, batch, and the three spans."""
    assert is_whole(story())


@pytest.mark.parametrize(
    "body",
    [
        story(logs=[]),
        story(batch=None),
        story(timeline=ATTEMPT["timeline"][1:]),
        b'{"attempts": [], "missing": []}',
        json.dumps({"attempts": [ATTEMPT], "missing": ["Loki did not answer"]}).encode(),
    ],
)
def test_a_story_with_a_gap_is_not_whole(body):
    """Whatever it lacks, or says that it lacks."""
    assert not is_whole(body)


def test_the_embedded_store_need_not_know_of_the_http_request():
    """It keeps the inference, not the spans around it; but a story without attempts is none."""
    assert is_story(story(timeline=[]))
    assert not is_story(b'{"attempts": [], "missing": []}')


@pytest.fixture
def server():
    """Answers after the first two questions what `answers` has for a path, 404 for any other; notes what was asked."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(self.path)
            found = answers.get(urlsplit(self.path).path, answers.get("*"))
            self._answer(found if len(asked) > late[0] else None)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(self.headers["X-Request-ID"])
            self._answer(b"{}")

        def _answer(self, body):
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            """Say nothing."""

    asked, posted, answers, late = [], [], {}, [0]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.url, server.asked, server.posted, server.answers, server.late = (
        f"http://127.0.0.1:{server.server_port}",
        asked,
        posted,
        answers,
        late,
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_store_is_asked_in_its_own_way(server):
    """A story and a log record by the request id, a trace by the trace id."""
    request = known_request(9, unix_ns=NOW)
    server.answers["*"] = json.dumps({"attempts": [ATTEMPT], "missing": [], "data": {"result": ["mgeo.inference"]}}).encode()
    for way in (by_story, by_trace, by_line):
        assert way(server.url).timed([request]) > 0
    story_path, trace_path, line = server.asked
    assert (story_path, trace_path) == (f"/v1/requests/{request.request_id}", f"/api/v3/traces/{request.trace_id}")
    assert parse_qs(urlsplit(line).query) == {
        "query": [f'{{service_name="mgeo"}} |= `mgeo.inference` | request_id=`{request.request_id}`'],
        "start": ["1795604227768000000"],
        "end": ["1795604247768000000"],
        "limit": ["100"],
    }


def test_a_request_that_is_not_there_has_no_time(server):
    """A fast 404 must not look like a fast look-up; nor must an empty answer."""
    request = known_request(0, unix_ns=NOW)
    with pytest.raises(NotFoundError, match="answered 404"):
        by_trace(server.url).timed([request])
    server.answers["*"] = b'{"data": {"result": []}}'
    with pytest.raises(NotFoundError, match="answered 200"):
        by_line(server.url).timed([request])


def test_each_round_looks_up_other_requests_in_all_ways(server):
    """So that what disturbs the machine disturbs all ways, and no store answers from memory."""
    requests = [known_request(number, unix_ns=NOW) for number in range(4)]
    server.answers["*"] = b'"mgeo.inference"'
    taken = time_in_turns({"one": (by_trace(server.url), requests), "other": (by_trace(server.url), requests)}, rounds=2)
    assert {name: len(medians) for name, medians in taken.items()} == {"one": 2, "other": 2}
    asked = [path.rpartition("/")[2] for path in server.asked]
    assert asked == [requests[place].trace_id for place in (0, 2, 0, 2, 1, 3, 1, 3)]


async def test_a_request_is_followed_until_every_store_has_it(server):
    """What is looked at last is asked for only when the others have it."""
    server.answers["*"], server.late[0] = b'"mgeo.inference"', 2
    look = by_trace(server.url).sees
    found = await freshness(server.url, {"first": look}, {"then": look}, numbers=range(1), spacing=0.001)
    assert len(server.posted) == 1
    assert len(server.asked) == 4
    assert 0.1 <= found["first"][0] <= found["then"][0]


async def test_a_request_that_never_comes_fails(server, monkeypatch):
    """It counts as lost, and there are no figures."""
    monkeypatch.setattr("benchmarks.freshness.PATIENCE", 0.1)
    with pytest.raises(ExceptionGroup) as caught:
        await freshness(server.url, {"Jaeger": by_trace(server.url).sees}, {}, numbers=range(1), spacing=0.001)
    assert caught.group_contains(NotFoundError, match="Jaeger did not have")


def test_a_percentile_is_one_of_the_values():
    """The smallest that so many of them do not exceed."""
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0), percentile([3.0], 0.5)) == (50.0, 99.0, 100.0, 3.0)
