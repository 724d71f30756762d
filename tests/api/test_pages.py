"""The pages: what they show, what they never show, and that nothing in them comes from elsewhere."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from service.api.keys import KeyRing
from service.api.pages import in_ms, in_percent, in_utc
from tests.api.events import BATCH, FAILED, REFUSED, START, SUCCESS, with_text

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """A parsed page: its text, its elements, and whether every tag that opens also closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.text += " "
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        self.text += " "
        if tag in {"li", "p", "option"} and self._open[-1] != tag:
            return
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def addresses(self) -> list[str]:
        """Every address an element leads to or loads."""
        return [value or "" for _, attributes in self.elements for name, value in attributes.items() if name in {"href", "src", "action"}]

    def words(self) -> str:
        """The text with its blanks evened out."""
        return re.sub(r" (?=[.,;:])", "", " ".join(self.text.split()))


@pytest.fixture
def filled(service):
    """A service with a past: a success and a failure of one batch, and a refusal."""
    for event in (SUCCESS, FAILED, REFUSED):
        service.store.add(event)
    service.store.add_batch(BATCH)
    return service


async def page(service, path: str, status: int = 200, **more: object) -> Page:
    """Fetch a page as a browser does, and check what holds for every page."""
    response = await service.client.get(path, headers=HTML, **more)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
    policy = response.headers["content-security-policy"]
    assert policy == ("default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["vary"] == "Accept"
    parsed = Page(response.text)
    assert {tag for tag, _ in parsed.elements} & {"script", "iframe", "img", "object"} == set()
    assert not any(name == "style" or name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    assert all(address.startswith(("/", "#", "data:,")) and not address.startswith("//") for address in parsed.addresses())
    return parsed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/docs", 200),
        ("/v1/requests", 200),
        ("/v1/requests/shop-42", 200),
        ("/v1/requests/other-7", 200),
        ("/v1/requests/third", 200),
        ("/v1/requests/unknown", 404),
        ("/v1/requests?limit=0", 422),
        ("/nowhere", 404),
        ("/v1/match", 405),
    ],
)
async def test_every_page_loads_nothing_from_elsewhere_and_runs_no_script(filled, path, status):
    """Strict policy, no inline styles, every address on this host."""
    assert "MGeo" in (await page(filled, path, status)).words()


async def test_the_overview_shows_state_model_figures_and_a_ready_command(start):
    """For one who has just installed it."""
    service = await start()
    await service.client.post("/v1/match", json={"address1": "杭州", "address2": "杭州"}, headers={"X-Request-ID": "mine"})
    await service.client.post("/v1/match", content=b"{", headers={"X-Request-ID": "wrong"})
    shown = await page(service, "/")
    words = shown.words()
    assert "Ready Model fake version 1 on cpu" in words
    assert "The last 15 minutes success 1 p95" in words
    assert "invalid 1 p95" in words
    assert "None that count against the service." in words
    assert "/v1/requests/mine" in shown.addresses()
    assert "curl -s http://mgeo.test/v1/match" in shown.text
    assert '-H "Authorization' not in shown.text


async def test_the_overview_lists_failures_that_count_against_the_service(filled):
    """Newest first, whenever they were."""
    shown = await page(filled, "/")
    before, _, after = shown.words().partition("Recent failures")
    assert "other-7 error model_failed" in after.partition("Recent requests")[0]
    assert "third" not in after.partition("Recent requests")[0]
    assert "No request yet. Try the command below." in before


async def test_the_overview_says_when_the_model_is_not_ready(start):
    """And why."""
    service = await start(started=False)
    words = (await page(service, "/")).words()
    assert "Not ready" in words
    assert "Model not loaded yet" in words


async def test_the_overview_says_what_is_degraded(start):
    """In the words of whoever noticed."""
    service = await start(degraded=("the store lost 3 rows: the disk is full",))
    words = (await page(service, "/")).words()
    assert "Ready, but degraded the store lost 3 rows: the disk is full" in words


async def test_the_overview_survives_a_store_that_cannot_be_read(filled):
    """It says so, and shows the rest."""
    filled.store.broken = True
    words = (await page(filled, "/")).words()
    assert "The store of past requests cannot be read now. Inferences are not affected." in words
    assert "curl -s" in words


async def test_figures_of_more_requests_than_are_read_say_so(start):
    """501 in the last minutes; 500 are counted."""
    service = await start()
    for number in range(501):
        service.store.add(replace(SUCCESS, request_id=f"r{number}", started_unix_ns=time.time_ns() - number))
    words = (await page(service, "/")).words()
    assert "The newest 500 requests, since" in words
    assert "success 500 p95 12.5 ms" in words


async def test_the_command_brings_a_key_when_one_is_needed_and_the_public_address(start):
    """Ready to be pasted."""
    service = await start(keys=KeyRing(["k"]), public_url="https://mgeo.example/")
    response = await service.client.get("/", headers={**HTML, "X-API-Key": "k"})
    assert "curl -s https://mgeo.example/v1/match" in response.text
    assert '-H "Authorization: Bearer $MGEO_API_KEY"' in response.text
    assert "Forget key" in response.text


async def test_a_hostile_host_header_does_not_enter_the_command(client):
    """People paste it into a shell."""
    response = await client.get("/", headers={**HTML, "Host": "x;rm -rf ~"})
    assert "rm -rf" not in response.text
    assert "curl -s http://localhost:8000/v1/match" in response.text


async def test_the_story_page_tells_the_success(filled):
    """Outcome in words, answer, timeline, batch, moment and log."""
    shown = await page(filled, "/v1/requests/shop-42")
    words = shown.words()
    assert "success Answered by the model. exact_match with similarity 0.970" in words
    assert "exact_match 95.0 %" in words
    assert "Latency 12.5 ms" in words
    assert "Waiting when it joined 3" in words
    assert "inference 3.00 ms 9.00 ms" in words
    assert (
        "In the minute from 2026-11-22 08:00:00 UTC 2 inferences began; the service failed 1 of them, "
        "and 95 % of the successful ones took at most 12.5 ms."
    ) in words
    assert "2 inferences in one run of the model, 10.0 ms" in words
    assert "GPU 0: 42.0 % busy, 2.0 GiB of 8.0 GiB used, sampled 300.0 ms away" in words
    assert '"event": "mgeo.inference"' in words
    assert "/v1/requests/other-7" in shown.addresses()
    bars = [attributes for tag, attributes in shown.elements if tag == "rect" and attributes["class"] == "stage"]
    assert [(bar["x"], bar["width"]) for bar in bars][:3] == [("0.0", "40.0"), ("40.0", "8.0"), ("80.0", "80.0")]


async def test_the_story_page_tells_the_failure(filled):
    """Advice and the frames of the exception."""
    words = (await page(filled, "/v1/requests/other-7")).words()
    assert "error Failed: the model raised an exception. Retry once; the exception's type and frames say where it failed." in words
    assert "ValueError /srv/model.py:12 predict /srv/model.py:40 encode" in words
    assert "GPU 0: sampled 100.0 ms away" in words


async def test_the_story_page_of_a_repeated_id_shows_every_attempt(filled):
    """A list to jump from, and each in full."""
    filled.store.add(replace(SUCCESS, started_unix_ns=START + 1))
    shown = await page(filled, "/v1/requests/shop-42")
    assert "2 inferences under this id, oldest first." in shown.words()
    assert [address for address in shown.addresses() if address.startswith("#")] == ["#attempt-1", "#attempt-2"]
    assert [attributes["id"] for tag, attributes in shown.elements if tag == "section" and "id" in attributes] == ["attempt-1", "attempt-2"]


async def test_the_story_page_of_a_batch_call_leads_to_its_pairs(service):
    """And each pair back to the call."""
    pairs = [{"address1": "杭州", "address2": "杭州"}, {"address1": "杭州"}]
    await service.client.post("/v1/match/batch", json={"pairs": pairs}, headers={"X-Request-ID": "b"})
    call = await page(service, "/v1/requests/b")
    assert {"/v1/requests/b:0", "/v1/requests/b:1"} <= set(call.addresses())
    pair = await page(service, "/v1/requests/b:1")
    assert "One pair of the batch call b." in pair.words()
    assert "/v1/requests/b" in pair.addresses()


async def test_attempts_that_are_left_out_and_backends_that_did_not_answer_are_told(service, monkeypatch):
    """A page that is not complete says so."""
    service.store.add(SUCCESS)
    story = await service.store.story("shop-42")

    async def partial(_request_id):
        return replace(story, attempts=story.attempts * 2, more=7, missing=("The log lines: Loki did not answer.",))

    monkeypatch.setattr(service.store, "story", partial)
    words = (await page(service, "/v1/requests/shop-42")).words()
    assert "2 inferences under this id, oldest first; 7 more are not shown." in words
    assert "The log lines: Loki did not answer." in words


async def test_no_page_shows_an_address_that_was_not_captured(service):
    """Neither the story, nor a list, nor the page of a search by that address."""
    await service.client.post("/v1/match", json={"address1": "深圳市南山区", "address2": "深圳市"}, headers={"X-Request-ID": "r"})
    for path in ("/", "/v1/requests", "/v1/requests/r"):
        assert "深圳" not in (await page(service, path)).text
    form = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}
    response = await service.client.post("/v1/requests/search", data={"address1": "深圳市南山区", "address2": ""}, headers=form)
    shown = Page(response.text)
    assert "Requests with this address" in shown.words()
    assert "r success partial_match" in shown.words()
    assert "深圳" not in shown.text


async def test_captured_text_is_shown_marked_and_escaped(start):
    """With what asked for it."""
    service = await start(capture=True)
    pair = {"address1": HOSTILE, "address2": "深圳市"}
    await service.client.post("/v1/match", json=pair, headers={"X-Request-ID": "r"})
    shown = await page(service, "/v1/requests/r")
    assert "Captured text kept because capture_text asks for it; personal data" in shown.words()
    assert HOSTILE in shown.text
    assert "深圳市" in shown.text


async def test_a_lone_surrogate_in_captured_text_does_not_break_the_page(service):
    """It has no place in UTF-8."""
    service.store.add(with_text(REFUSED, "杭州\ud800路", ""))
    assert "杭州\ufffd路" in (await page(service, "/v1/requests/third")).text


async def test_hostile_values_are_escaped_wherever_they_come_from(service):
    """From the query, from the path, and from a row that another program wrote."""
    answer = replace(SUCCESS.answer, label=HOSTILE)
    service.store.add(replace(SUCCESS, request_id="h", function=HOSTILE, model_name=HOSTILE, answer=answer))
    for path in ("/v1/requests/h", "/v1/requests", "/"):
        assert HOSTILE in (await page(service, path)).text or path == "/"
    for path in (f"/v1/requests?status={HOSTILE}", f"/v1/requests?{HOSTILE}=1", f"/v1/requests/{HOSTILE}", f"/{HOSTILE}"):
        response = await service.client.get(path, headers=HTML)
        assert response.status_code in {404, 422}
        assert "<script>" not in response.text
        assert "<img" not in response.text


async def test_the_search_page_keeps_its_filters_and_leads_to_older_ones(service):
    """The cursor goes on from the last row, with the same filters."""
    for number in range(3):
        service.store.add(replace(SUCCESS, request_id=f"r{number}", started_unix_ns=START + number))
    shown = await page(service, "/v1/requests", params={"status": "success", "min_latency_ms": "1", "limit": "2"})
    hidden = {attributes["name"]: attributes["value"] for tag, attributes in shown.elements if attributes.get("type") == "hidden"}
    assert {name: value for name, value in hidden.items() if name != "cursor"} == {"status": "success", "min_latency_ms": "1", "limit": "2"}
    older = await page(service, "/v1/requests", params=hidden)
    assert "r0 success" in older.words()
    assert "r1 success" not in older.words()
    selected = [attributes for tag, attributes in shown.elements if tag == "option" and "selected" in attributes]
    assert len(selected) == 1


async def test_a_search_by_address_with_more_than_a_page_says_so(service):
    """It cannot go on without the address, which no page keeps."""
    for _ in range(51):
        await service.client.post("/v1/match", json={"address1": "深圳市", "address2": "杭州"})
    form = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}
    response = await service.client.post("/v1/requests/search", data={"address1": "深圳市"}, headers=form)
    assert "There are more; the newest 50 are shown." in Page(response.text).words()


async def test_a_search_that_finds_nothing_says_so(client):
    """An empty table would look like a fault."""
    assert "No request in the store matches." in (await client.get("/v1/requests", headers=HTML)).text


async def test_a_problem_page_names_the_parameter_and_keeps_its_headers(service):
    """For people, with the same status and headers as for programs."""
    shown = await page(service, "/v1/requests?limit=0", 422)
    assert "The query cannot be understood limit is a whole number from 1 to 500." in shown.words()
    assert "Parameter limit" in shown.words()
    service.store.broken = True
    response = await service.client.get("/v1/requests", headers=HTML)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    response = await service.client.get("/v1/match", headers=HTML)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_the_stylesheet_may_be_kept_for_ever_and_is_named_by_its_content(client):
    """A new version has a new address."""
    (address,) = re.findall(r'<link rel="stylesheet" href="([^"]+)">', (await client.get("/", headers=HTML)).text)
    assert re.fullmatch(r"/static/style-[0-9a-f]{16}\.css", address)
    response = await client.get(address)
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "prefers-color-scheme: dark" in response.text
    assert "url(" not in response.text
    again = await client.get(address, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/static/style-0000000000000000.css")).status_code == 404
    assert (await client.get("/static/../pages.py")).status_code == 404


async def test_the_api_page_lists_every_operation_and_every_problem(service):
    """From the OpenAPI document, rendered here."""
    words = (await page(service, "/docs")).words()
    for operation in ("POST /v1/match", "POST /v1/match/batch", "GET /v1/requests", "GET /v1/requests/{request_id}", "GET /readyz"):
        assert operation in words
    assert '"similarity": 0.97' in words
    assert "queue_full 503 the inference queue was full" in words
    assert "client_disconnected" not in words


async def test_a_page_that_cannot_be_rendered_is_a_500_that_says_nothing(service, monkeypatch, caplog):
    """Data of any age comes out of a store."""

    async def broken(_request_id):
        return None

    monkeypatch.setattr(service.store, "story", broken)
    response = await service.client.get("/v1/requests/shop-42", headers=HTML)
    assert (response.status_code, response.json()["error_type"]) == (500, "internal")
    assert "unexpected AttributeError" in caplog.text


def test_numbers_are_written_for_people():
    """Three digits that matter, and a unit."""
    assert [in_ms(value) for value in (None, 0.0, 0.4217, 9.994, 12.34, 999.94, 1000, 65_432.1)] == [
        "–", "0.00 ms", "0.42 ms", "9.99 ms", "12.3 ms", "999.9 ms", "1.00 s", "65.43 s",
    ]  # fmt: skip
    assert in_utc("2026-11-22T08:00:00.123456Z") == "2026-11-22 08:00:00.123 UTC"
    assert in_utc("2026-11-22T08:00:00.000000Z") == "2026-11-22 08:00:00 UTC"
    assert in_percent(0.955) == "95.5 %"
