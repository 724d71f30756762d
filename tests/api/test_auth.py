"""API keys on the wire: what needs one, how it is sent, and the key form of the pages."""

from __future__ import annotations

import re

import pytest

from service.api.auth import safe_next
from service.api.keys import KeyRing
from tests.api.composition import Caller

KEY = "0a1b2c-secret"
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", **HTML}


@pytest.fixture
async def guarded(start):
    """A service with two keys."""
    return await start(keys=KeyRing([KEY, "other"]))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/match"),
        ("POST", "/v1/match/batch"),
        ("GET", "/v1/requests/x"),
        ("GET", "/v1/requests"),
        ("POST", "/v1/requests/search"),
        ("GET", "/v1/model"),
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/lookup"),
        ("GET", "/nowhere"),
        ("GET", "/livez/"),
        ("GET", "//livez"),
        ("OPTIONS", "/v1/match"),
    ],
)
async def test_without_a_key_there_is_a_401_that_says_what_to_do(guarded, method, path):
    """As a problem document; and a 401 is no inference."""
    response = await guarded.client.request(method, path, headers={"X-Request-ID": "r"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="mgeo"'
    problem = response.json()
    assert (problem["error_type"], problem["request_id"]) == ("unauthorized", "r")
    assert problem["detail"] == "This needs an API key. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
    assert guarded.recorder.events == []


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_and_metrics_need_no_key(guarded, path):
    """Supervisors and scrapers seldom have one."""
    assert (await guarded.client.get(path)).status_code == 200


async def test_metrics_need_a_key_when_the_setting_asks_for_it(start):
    """The probes still do not."""
    service = await start(keys=KeyRing([KEY]), metrics_need_key=True)
    assert (await service.client.get("/metrics")).status_code == 401
    assert (await service.client.get("/metrics", headers={"X-API-Key": KEY})).status_code == 200
    assert (await service.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"X-API-Key": KEY},
        {"X-API-Key": "other"},
        {"Authorization": "Bearer wrong", "X-API-Key": KEY},
    ],
)
async def test_a_key_is_taken_from_either_header(guarded, headers):
    """Any key of the ring, by any way."""
    assert (await guarded.client.get("/v1/model", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"X-API-Key": ""},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": b"\xff\xfe"},
        {"Cookie": f"mgeo_session={KEY}"},
        {"Cookie": "mgeo_session="},
        {"Cookie": "nonsense; ;=;mgeo_session"},
        {"Cookie": b"mgeo_session=\xff"},
    ],
)
async def test_anything_else_is_refused(guarded, headers):
    """A key in the cookie's place is no session."""
    assert (await guarded.client.get("/v1/model", headers=headers)).status_code == 401


async def test_a_browser_is_shown_the_key_form(guarded):
    """With status 401, and leading back to where it wanted to go."""
    response = await guarded.client.get("/v1/requests?status=error&label=", headers=HTML)
    assert (response.status_code, response.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert response.headers["www-authenticate"] == 'Bearer realm="mgeo"'
    assert '<form class="key" method="post" action="/login">' in response.text
    assert '<input type="hidden" name="next" value="/v1/requests?status=error&amp;label=">' in response.text
    assert "That is not one of the keys" not in response.text


async def test_the_key_form_needs_nothing_that_needs_a_key(guarded):
    """Its stylesheet stands in the page, allowed by its hash alone."""
    response = await guarded.client.get("/", headers=HTML)
    assert '<link rel="stylesheet"' not in response.text
    assert re.search(r"style-src 'sha256-[A-Za-z0-9+/]{43}='", response.headers["content-security-policy"])
    assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_the_right_key_gives_a_session_and_leads_back(guarded):
    """The cookie is out of reach of scripts and other sites, and is not the key."""
    response = await guarded.client.post("/login", content=f"key={KEY}&next=%2Fv1%2Frequests%3Fstatus%3Derror", headers=FORM)
    assert (response.status_code, response.headers["location"]) == (303, "/v1/requests?status=error")
    cookie = response.headers["set-cookie"]
    assert re.fullmatch(r"mgeo_session=[0-9a-f]{64}; HttpOnly; Path=/; SameSite=strict", cookie)
    assert KEY not in cookie
    assert (await guarded.client.get("/v1/model")).status_code == 200


async def test_a_wrong_key_shows_the_form_again(guarded):
    """With what is wrong, and where it led."""
    response = await guarded.client.post("/login", content="key=wrong&next=/docs", headers=FORM)
    assert response.status_code == 401
    assert "That is not one of the keys." in response.text
    assert 'value="/docs"' in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("body", [b"", b"key=", b"next=/", b"key=%ff%ed%a0%80", b"\xff\xfe=&&&"])
async def test_a_form_without_a_usable_key_is_a_401(guarded, body):
    """Never an error of ours."""
    assert (await guarded.client.post("/login", content=body, headers=FORM)).status_code == 401


async def test_a_form_that_is_too_large_is_a_413(guarded):
    """A key is short."""
    response = await guarded.client.post("/login", content=b"key=" + b"x" * 10_000)
    assert (response.status_code, response.json()["error_type"]) == (413, "body_too_large")


@pytest.mark.parametrize(("options", "secure"), [({"scheme": "https"}, True), ({"public_url": "https://mgeo.example"}, True), ({}, False)])
async def test_the_cookie_is_secure_when_people_come_by_https(start, options, secure):
    """Seen by the server, or known from the settings when a proxy hides it."""
    service = await start(keys=KeyRing([KEY]), **options)
    response = await service.client.post("/login", content=f"key={KEY}", headers=FORM)
    assert ("; Secure" in response.headers["set-cookie"]) is secure


async def test_logging_out_takes_the_cookie_away(guarded):
    """And the next page asks for a key again."""
    await guarded.client.post("/login", content=f"key={KEY}", headers=FORM)
    response = await guarded.client.post("/logout")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert (await guarded.client.get("/v1/model")).status_code == 401


async def test_a_session_of_another_process_is_refused(start, guarded):
    """Sessions do not survive a restart."""
    await guarded.client.post("/login", content=f"key={KEY}", headers=FORM)
    restarted = await start(keys=KeyRing([KEY]))
    restarted.client.cookies.update(guarded.client.cookies)
    assert (await restarted.client.get("/v1/model")).status_code == 401


async def test_without_keys_everything_is_open_and_the_form_leads_on(client):
    """An old bookmark of the form does no harm."""
    assert (await client.get("/v1/model")).status_code == 200
    response = await client.post("/login", content="key=&next=/docs", headers=FORM)
    assert (response.status_code, response.headers["location"]) == (303, "/docs")
    assert "set-cookie" not in response.headers


async def test_the_form_can_be_opened_by_itself(guarded):
    """`/login` as an address."""
    response = await guarded.client.get("/login?next=//evil.example", headers=HTML)
    assert response.status_code == 401
    assert '<input type="hidden" name="next" value="/">' in response.text


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\evil",
        "evil",
        "",
        "/a\nSet-Cookie: x=1",
        "/a\tb",
        "javascript:1",
        "/é",
    ],
)
def test_a_way_back_that_leaves_this_host_is_not_taken(path):
    """Else a link to the key form could lead anywhere behind it."""
    assert safe_next(path) == "/"


@pytest.mark.parametrize("path", ["/", "/v1/requests?status=error", "/v1/requests/a:1", "/a//b"])
def test_a_way_back_on_this_host_is_taken(path):
    """Path and query."""
    assert safe_next(path) == path


async def test_a_post_of_a_browser_leads_to_the_overview_afterwards(guarded):
    """Its body is gone, so it cannot be repeated."""
    response = await guarded.client.post("/v1/requests/search", content="address1=x", headers=FORM)
    assert 'name="next" value="/"' in response.text


async def test_hostile_paths_are_escaped_in_the_form(guarded):
    """What the address bar says is text, not markup."""
    response = await guarded.client.get('/"><script>alert(1)</script>', headers=HTML)
    assert response.status_code == 401
    assert "<script>" not in response.text


async def test_a_scope_without_a_raw_path_is_served(guarded):
    """It is optional in ASGI."""
    caller = Caller(guarded.app, "/docs", [], method="GET", headers=((b"accept", b"text/html"),))
    await caller.task
    assert caller.status == 401
    assert b'value="/docs"' in caller.sent[1]["body"]
