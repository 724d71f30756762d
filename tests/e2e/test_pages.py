"""The pages in a headless browser, as a person uses them, against a real server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.server import Server
from tests.e2e.visit import QUIET, Visit, visiting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium; on Debian: apt-get install chromium fonts-noto-cjk"),
]

FIRST, SECOND = "浙江省杭州市西湖区文三路478号华星时代广场A座", "杭州市西湖区文三路478号华星时代广场"
KEY = "mgeo-e2e-key-0123456789abcdef"


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    """Where pictures go: the folder `SCREENSHOTS` when somebody wants to look, else a folder that is forgotten."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("shots"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A server that has had one request of several outcomes, and a batch call."""
    server = Server(tmp_path_factory.mktemp("pages"), model=0.0, batch_limit=16).ready()
    server.match(FIRST, SECOND, X_Request_ID="order-1001")
    server.match(FIRST, " ", X_Request_ID="order-1002")
    server.match("杭州坏路", SECOND, X_Request_ID="order-1003")
    server.match("慢" + SECOND, SECOND, X_Request_ID="order-1004", X_Request_Timeout="0.25")
    pairs = [{"address1": FIRST, "address2": text} for text in (FIRST, SECOND, "上海市南京东路1号", "")]
    server.post("/v1/match/batch", json={"pairs": pairs}, headers={"X-Request-ID": "batch-7"})
    server.wait_for(lambda: len(server.get("/v1/requests").json()["requests"]) == 8)
    server.wait_for(lambda: server.get("/v1/requests/order-1004").json()["attempts"][0]["batch"] is not None)
    yield server
    server.stop()


@pytest.fixture
def visit(browser, server, shots) -> Iterator[Visit]:
    """A fresh browser session on the server."""
    yield from visiting(browser, server.url, shots)


def test_an_id_typed_on_the_overview_opens_its_story(visit):
    """The complaint has an id: one field, one click, and the whole story is there."""
    page = visit.open("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ready")
    visit.shot("overview")
    page.get_by_label("Open a request by its id").fill("order-1001")
    page.get_by_role("button", name="Open").click()
    expect(page).to_have_url(f"{visit._url}/v1/requests/order-1001")
    expect(page.get_by_role("heading", level=1)).to_have_text("order-1001")
    expect(page.locator(".verdict")).to_contain_text("Answered by the model.")
    expect(page.locator(".verdict")).to_contain_text("partial_match" if FIRST[0] == SECOND[0] else "not_match")
    assert page.locator(".timeline tbody th, .timeline tr.span th, .timeline tr.stage th").all_inner_texts() == [
        "mgeo.inference", "read", "clean", "queue", "tokenize", "inference", "deliver", "mgeo.batch",
    ]  # fmt: skip
    expect(page.get_by_role("heading", name="Its batch")).to_be_visible()
    expect(page.locator("details pre")).to_contain_text('"request_id": "order-1001"')
    assert FIRST not in page.content()
    visit.shot("story-success")


def test_a_failure_is_told_in_words_with_what_to_do_and_where_it_failed(visit):
    """From the list of failures by a click: outcome, advice, exception by type and frames, and no text of the address."""
    page = visit.open("/")
    page.get_by_role("link", name="order-1003").first.click()
    expect(page.locator(".verdict")).to_contain_text("Failed: the model raised an exception.")
    expect(page.get_by_role("heading", name="Exception")).to_be_visible()
    expect(page.locator("pre").first).to_contain_text("ValueError")
    assert "杭州" not in page.locator("main").inner_text()
    visit.shot("story-error")


def test_a_time_out_still_shows_the_batch_it_was_in(visit):
    """Its caller had gone when the batch ended; the story has it all the same."""
    page = visit.open("/v1/requests/order-1004")
    expect(page.locator(".verdict")).to_contain_text("Given up: the deadline passed before there was an answer.")
    expect(page.get_by_role("heading", name="Its batch")).to_be_visible()
    visit.shot("story-timeout")


def test_a_batch_call_lists_its_pairs_and_leads_to_each(visit):
    """The bare id shows the four, a click on one shows that one, and a link leads back."""
    page = visit.open("/v1/requests/batch-7")
    links = page.locator("table.requests a.id")
    assert links.all_inner_texts() == ["batch-7:0", "batch-7:1", "batch-7:2", "batch-7:3"]
    visit.shot("story-batch")
    links.nth(3).click()
    expect(page.locator(".verdict")).to_contain_text("nothing was left of an address after cleaning")
    page.get_by_role("link", name="batch-7", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("batch-7")


def test_a_search_by_address_finds_its_requests_and_does_not_show_the_address_again(visit):
    """A complaint that brings addresses, not ids."""
    page = visit.open("/")
    page.get_by_label("First address").fill(f"  {FIRST} ")
    page.get_by_label("Second address").fill(SECOND)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Requests with this address")
    assert sorted(page.locator("table.requests a.id").all_inner_texts()) == ["batch-7:1", "order-1001"]
    assert FIRST not in page.content()
    assert "address" not in urlsplit(page.url).query
    visit.shot("search-address")


def test_the_search_form_narrows_by_outcome(visit):
    """Its filters stay filled in."""
    page = visit.open("/v1/requests")
    page.get_by_label("Outcome").select_option("invalid")
    page.get_by_role("button", name="Search").click()
    assert sorted(page.locator("table.requests a.id").all_inner_texts()) == ["batch-7:3", "order-1002"]
    expect(page.get_by_label("Outcome")).to_have_value("invalid")
    visit.shot("search")


@pytest.mark.parametrize("wrong", ["order-9999", "a/b", "<script>alert(1)</script>", "杭州市"])
def test_a_wrong_id_is_a_page_that_says_so(visit, wrong):
    """Mistyped, or no id at all; nothing of it is executed."""
    page = visit.open("/")
    page.get_by_label("Open a request by its id").fill(wrong)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("No such request")
    expect(page.locator("main")).to_contain_text("Nothing is known of this request_id.")
    visit.shot("wrong-id")


def test_the_page_of_the_api_shows_every_call(visit):
    """Rendered here, with nothing from elsewhere."""
    page = visit.open("/docs")
    expect(page.locator("main")).to_contain_text("/v1/match/batch")
    expect(page.locator("main")).to_contain_text("queue_full")
    visit.shot("docs")


def test_the_story_fits_a_phone_in_the_dark(browser, server, shots):
    """No sideways scrolling of the page at 390 pixels."""
    for visit in visiting(browser, server.url, shots, color_scheme="dark"):
        visit.page.set_viewport_size({"width": 390, "height": 844})
        for path, name in (("/", "phone-overview"), ("/v1/requests/order-1001", "phone-story")):
            page = visit.open(path)
            visit.shot(name)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_with_keys_the_pages_ask_for_one_and_keep_it_in_a_cookie_no_script_can_read(browser, tmp_path, shots):
    """Wrong key, right key, the page that was asked for, and `Forget key`."""
    keys = tmp_path / "keys"
    keys.write_text(f"# of the pages' test\n{KEY}\n")
    server = Server(tmp_path / "keyed", api_keys_file=keys).ready()
    server.post("/v1/match", json={"address1": FIRST, "address2": SECOND}, headers={"X-Request-ID": "r1", "X-API-Key": KEY})
    for visit in visiting(browser, server.url, shots):
        page = visit.open("/v1/requests?status=success")
        expect(page.get_by_text("These pages need an API key.")).to_be_visible()
        visit.shot("key-form")
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_have_text("That is not one of the keys.")
        assert page.context.cookies() == []
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Continue").click()
        expect(page).to_have_url(f"{server.url}/v1/requests?status=success")
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == ("mgeo_session", True, "Strict", "/")
        assert KEY not in cookie["value"]
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Forget key").click()
        expect(page.get_by_text("These pages need an API key.")).to_be_visible()
        assert page.context.cookies() == []
    assert KEY not in server.stdout
    server.stop()
