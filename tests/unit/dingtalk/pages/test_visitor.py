"""Who may look, and from where a form may come."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.pages.visitor import is_loopback, is_own_form
from dingtalk.web.look import root
from tests.unit.dingtalk.pages.site import checked, site

AWAY = ("203.0.113.9", 50000)


def basic(text):
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("path", ["/", "/messages", "/messages/1", "/runbooks", "/runbooks/HighLatency"])
async def test_a_stranger_is_asked_for_the_password(tmp_path, path):
    """By the browser, which shows the page when it has it."""
    async with site(tmp_path, caller=AWAY, username="ops", password="密") as notifier:
        answer = await notifier.client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="mgeo notifier", charset="UTF-8"'
        assert "需要登录" in checked(answer).words
        assert (await notifier.client.get(path, headers=basic("ops:wrong"))).status_code == 401
        assert (await notifier.client.get(path, headers=basic("ops:密"))).status_code in {200, 404}


async def test_a_stranger_sends_nothing_again(tmp_path):
    """Also with a form of our own."""
    async with site(tmp_path, caller=AWAY, username="ops", password="密") as notifier:
        answer = await notifier.client.post("/messages/1/resend", headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 401


async def test_with_a_token_alone_the_browser_is_not_asked(tmp_path):
    """It could not give one; a program may."""
    async with site(tmp_path, caller=AWAY, token="secret") as notifier:
        answer = await notifier.client.get("/")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await notifier.client.get("/", headers={"authorization": "Bearer secret"})).status_code == 200


async def test_a_caller_of_this_machine_is_admitted(tmp_path):
    """As a gateway is, which has asked for a password of its own; what it says of where its caller is, changes nothing."""
    async with site(tmp_path, token="secret") as notifier:
        assert (await notifier.client.get("/", headers={"x-forwarded-for": "203.0.113.9"})).status_code == 200
        assert (await notifier.client.get("/v1/messages")).status_code == 401


async def test_a_header_makes_nobody_a_caller_of_this_machine(tmp_path):
    """Only the connection counts."""
    async with site(tmp_path, caller=AWAY, token="secret") as notifier:
        for name in ("x-forwarded-for", "forwarded", "x-real-ip"):
            assert (await notifier.client.get("/", headers={name: "127.0.0.1"})).status_code == 401


async def test_without_token_and_password_everybody_may_look(tmp_path):
    """As everybody may post."""
    async with site(tmp_path, caller=AWAY) as notifier:
        assert (await notifier.client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:203.0.113.9", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_which_addresses_are_this_machines(host, expected):
    """Names are none."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://elsewhere", "host": "box"}, True),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://box", "host": "box"}, False),
        ({"origin": "http://box", "host": "box"}, True),
        ({"origin": "https://box", "host": "box"}, True),
        ({"origin": "https://box:443", "host": "box"}, True),
        ({"origin": "http://box:8060", "host": "box:8060"}, True),
        ({"origin": "http://[::1]:8060", "host": "[::1]:8060"}, True),
        ({"origin": "http://BOX", "host": "box"}, True),
        ({"origin": "http://box:8061", "host": "box:8060"}, False),
        ({"origin": "http://box.evil.example", "host": "box"}, False),
        ({"origin": "null", "host": "box"}, False),
        ({"origin": "null", "host": ""}, False),
        ({"origin": "file://box", "host": "box"}, False),
        ({"origin": "http://[", "host": "box"}, False),
        ({"origin": "http://box:x", "host": "box"}, False),
        ({"host": "box"}, False),
        ({}, False),
    ],
)
def test_which_forms_are_our_own(headers, expected):
    """By what only the browser can say."""
    assert is_own_form(headers) is expected


@given(st.dictionaries(st.sampled_from(["sec-fetch-site", "origin", "host"]), st.text(max_size=30)))
def test_headers_of_any_kind_are_judged(headers):
    """None raises."""
    assert is_own_form(headers) in {True, False}


@pytest.mark.parametrize(("path", "expected"), [("/", "./"), ("/messages", "./"), ("/messages/7", "../"), ("/messages/7/resend", "../../")])
def test_the_way_to_the_root_is_relative(path, expected):
    """Behind `/notifier/` it leads to `/notifier/`."""
    assert root(path) == expected
