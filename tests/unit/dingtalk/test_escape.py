"""Text and addresses from outside, made safe to stand in a message."""

from __future__ import annotations

import pytest

from dingtalk.escape import escape, escape_lines, is_reachable, link, safe_url, shorten


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpu-01", "gpu-01"),
        ("mgeo_requests_total", "mgeo_requests_total"),
        ("_private_", "＿private＿"),
        ("a__b", "a__b"),
        ("**bold** `code`", "＊＊bold＊＊ ｀code｀"),
        ("[link](https://evil.example)", "［link］(https：//evil.example)"),
        ("![](http://evil.example/a.png)", "!［］(http：//evil.example/a.png)"),
        ("www.evil.example", "www．evil.example"),
        ("@所有人 @13800000000", "＠所有人 ＠13800000000"),
        ("<font color=red>x</font>", "＜font color=red＞x＜/font＞"),
        ("&lt;b&gt; a & b", "＆lt;b＆gt; a & b"),
        ("# title", "＃ title"),
        ("C#", "C#"),
        ("- item", "－ item"),
        ("-3.5 %", "-3.5 %"),
        ("1. item", "1． item"),
        ("1.5 s", "1.5 s"),
        ("> quote", "＞ quote"),
        ("a|b", "a｜b"),
        ("~~gone~~ ~5", "～～gone～～ ~5"),
        ("C:\\x", "C:＼x"),
        ("one\n\n  two\tthree\u2028four", "one two three four"),
        ("a\u202eb\u200bc\ufeffd\x00e\x1b[31m", "abcde［31m"),
        ("\u3164\u2800", ""),
        ("a" + "\u0301" * 50, "a" + "\u0301" * 3),
        ("\ud800x", "x"),
        ("延迟 0.8 s，超过阈值", "延迟 0.8 s，超过阈值"),
        ("🔴", "🔴"),
        ("", ""),
    ],
)
def test_what_has_a_meaning_loses_it_and_stays_readable(text, shown):
    """Names of metrics, numbers and Chinese stay as they are."""
    assert escape(text) == shown


def test_what_is_long_is_cut():
    """Between characters: a mark stays with its own."""
    assert escape("延迟过高了", 4) == "延迟过…"
    assert shorten("abe\u0301x", 4) == "ab…"
    assert shorten("abcd", 4) == "abcd"
    assert len(escape("x" * 10_000_000, 100)) == 100


def test_the_lines_of_a_text_are_escaped_each():
    """Those with nothing to see do not count."""
    assert escape_lines("# one\n\n\u200b\n- two\r\nthree", lines=2) == ["＃ one", "－ two"]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://box.example/a?b=c&d=e#f", "https://box.example/a?b=c&d=e#f"),
        ("http://box.example:3000/d/mgeo", "http://box.example:3000/d/mgeo"),
        ("https://box.example/文档 1", ""),
        ("https://box.example/文档", "https://box.example/%E6%96%87%E6%A1%A3"),
        ("https://box.example/a(b)[c]*_d_", "https://box.example/a%28b%29%5Bc%5D%2A_d_"),
        ("https://box.example/100%25%zz", "https://box.example/100%25%25zz"),
        ("https://box.example/?a=1&lt;b", "https://box.example/?a=1&lt%3Bb"),
        ("https://box.example/@x", "https://box.example/%40x"),
        ("HTTPS://Box.Example/", "https://box.example/"),
        ("javascript:alert(1)", ""),
        ("dingtalk://dingtalkclient/page/link?url=x", ""),
        ("file:///etc/passwd", ""),
        ("https://box.example@evil.example/", ""),
        ("https://bоx.example/", ""),
        ("https://a\nb.example/", ""),
        ("https://box.example:99999/", ""),
        ("https://[::1", ""),
        ("https://", ""),
        ("//evil.example/", ""),
        ("/runbooks/HighLatency", ""),
        ("", ""),
        ("https://box.example/" + "a" * 1_000, ""),
    ],
)
def test_only_web_addresses_are_addresses(text, url):
    """Percent-encoded, without a user's name, at a host that is the one it looks like."""
    assert safe_url(text) == url


def test_a_path_is_put_behind_the_public_address():
    """Nothing else is."""
    assert safe_url("/v1/requests?status=error", "https://box.example/") == "https://box.example/v1/requests?status=error"
    assert safe_url("https://other.example/", "https://box.example") == "https://other.example/"
    assert safe_url("v1/requests", "https://box.example") == ""


@pytest.mark.parametrize(
    ("url", "reachable"),
    [
        ("https://box.example/", True),
        ("http://10.0.0.3:9090/", True),
        ("http://127.0.0.1:9090/", False),
        ("http://0.0.0.0/", False),
        ("http://169.254.1.1/", False),
        ("http://localhost/", False),
        ("http://a.localhost/", False),
        ("http://prometheus:9090/", False),
    ],
)
def test_what_only_this_box_knows_is_no_address_for_a_phone(url, reachable):
    """Loopback, and names without a domain."""
    assert is_reachable(url) is reachable


def test_a_link_without_an_address_is_its_title():
    """A title cannot end the link."""
    assert link("手册", "https://a.example/") == "[手册](https://a.example/)"
    assert link("手册](https://evil.example)", "https://a.example/") == "[手册］(https：//evil.example)](https://a.example/)"
    assert link("手册", "") == "手册"
