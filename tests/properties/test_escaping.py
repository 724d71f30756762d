"""No text breaks out of its place in a message."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dingtalk.escape import escape, escape_lines, link, safe_url
from dingtalk.split import cut, encoded_bytes
from dingtalk.templates import GROUP, Templates
from tests.alerts import HOSTILE, LONG_TEXTS, TEXTS

# A reader that knows more of markdown than DingTalk does.
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
LIMITS = st.integers(1, 80)
URLS = TEXTS | st.builds("{}{}".format, st.sampled_from(["http://a.example/", "https://a.example:80/b?", "//a.example", "/"]), TEXTS)


def leaves(text: str):
    """What a reader of markdown makes of a text, but for the blocks around it."""
    for token in READER.parse(text):
        if token.type == "inline":
            yield from token.children or []
        elif token.nesting != -1:
            yield token


def kinds(text: str) -> set[str]:
    return {token.type for token in leaves(text)}


@given(LONG_TEXTS, LIMITS)
@example("a__b_", 80)
@example("&amp;amp;", 80)
def test_escaping_is_idempotent_and_keeps_its_limit(text, limit):
    """What was escaped passes unchanged, so nothing is hurt by being escaped twice."""
    once = escape(text, limit)
    assert len(once) <= limit
    assert escape(once, limit) == once


@given(TEXTS)
def test_what_comes_out_has_nothing_unseen_and_nothing_special(text):
    """One line, none of the characters that open something, no control, format or private character."""
    once = escape(text)
    assert not set(once) & set("\\`*[]<>@|\r\n\t\v\f\x85\u2028\u2029")
    assert not {unicodedata.category(character) for character in once} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not re.search(r":/|(?i:\bwww\.)|  |~~|&#?\w+;|^#|^[-+] ", once)
    assert once == once.strip()


@given(TEXTS)
@example("1. a")
@example("---")
@example("a_b c_d _e_")
@example("\u00a0 a")
def test_a_reader_of_markdown_sees_only_text(text):
    """Alone, in a heading, in a line below another; and the text it sees is the one that was written."""
    once = escape(text)
    if not once:
        return
    assert kinds(once) == {"paragraph_open", "text"}
    assert "".join(token.content for token in leaves(once)) == once
    assert kinds(f"### 🔴 严重：{once} · gpu（{once}）") == {"heading_open", "text"}
    assert kinds(f"当前 1\n{once}") == {"paragraph_open", "text", "softbreak"}
    assert kinds(f"当前 1  \n  {once}  \n  {once}") == {"paragraph_open", "text", "hardbreak"}


@given(TEXTS, URLS)
def test_a_title_cannot_end_its_link(text, address):
    """One link, to the address it was made for; text where the address is none."""
    url = safe_url(address, "https://box.example.com")
    made = link(text, url)
    links = [token for token in leaves(f"a {made} b") if token.type == "link_open"]
    if url and escape(text, 60):
        assert [token.attrs["href"] for token in links] == [READER.normalizeLink(url)]
    assert len(links) == (1 if url else 0)
    assert not [token for token in leaves(made) if token.type not in {"text", "link_open", "link_close", "paragraph_open"}]


@given(URLS)
def test_an_address_is_a_web_address_in_ascii(address):
    """And it stays the same when it is made safe again."""
    url = safe_url(address, "https://box.example.com")
    assert not url or re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d+)?([A-Za-z0-9/?#:&=+,$._~-]|%[0-9A-Fa-f]{2})*", url)
    assert safe_url(url) == url


@given(LONG_TEXTS)
def test_lines_are_escaped_each(text):
    """None is empty."""
    for line in escape_lines(text, lines=3, limit=40):
        assert line == escape(line, 40) != ""


@given(TEXTS)
@pytest.mark.parametrize(
    "expression", ["{{ a }}", "{{ a ~ '' }}", "{{ [a] | join }}", "{{ [a] }}", "{% for x in [a] %}{{ x }}{% endfor %}"]
)
def test_a_template_cannot_let_a_value_out(expression, text):
    """Whatever it does with it."""
    shown = Templates({GROUP: f"x {expression}"}).render(GROUP, {"a": text})
    assert shown is not None
    assert kinds(shown) == {"paragraph_open", "text"}
    assert "@" not in shown


@given(st.lists(TEXTS | st.sampled_from(["**", "[a](https://a.example/)", "`", "<font color=red>", "</font>"]), max_size=40).map("".join))
@example("👨‍👩‍👧" * 20)
@example("********[*](#@13800000000(![`*[*b_)b_b_b_b_b_b_b_")
@example("[a](b[c)" * 20)
@example("[" * 200)
def test_a_cut_keeps_its_limit_and_leaves_nothing_open(text):
    """Of any markdown, to any length."""
    for limit in (0, 10, 40, 100):
        short = cut(text, limit)
        assert short == "…" or encoded_bytes(short) <= limit
        if short != text:
            assert (short.count("**") % 2, short.count("`") % 2) == (0, 0)
            assert short.count("<font") <= short.count("</font>")
            assert not re.search(r"\[[^\]]*\]\([^)]*$", short)


@given(HOSTILE)
def test_a_cut_of_escaped_text_is_text(text):
    """So that an alert that is cut is as safe as a whole one."""
    short = cut(escape(text, 200), 60)
    assert kinds(f"### {short}") <= {"heading_open", "text"}
