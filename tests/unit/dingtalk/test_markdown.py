"""The subset of Markdown, and that nothing else becomes markup."""

from __future__ import annotations

import re
from functools import partial
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.markdown import allowed_link, render, target
from dingtalk.simulator.bodies import AtRequest, Body
from dingtalk.simulator.mentions import Mentions, marked, mentions

TAGS = {"h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "blockquote", "strong", "em", "a", "span", "ul", "ol", "li"}
ATTRIBUTES = {("a", "href"), ("a", "rel"), ("span", "class"), ("ol", "start")}


class Elements(HTMLParser):
    """The elements and attributes of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def html(text: str, who: Mentions | None = None) -> str:
    return str(render(text, partial(marked, found=who or Mentions()))).strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# 一", "<h1>一</h1>"),
        ("###### 六", "<h6>六</h6>"),
        ("> 引用", "<blockquote>\n<p>引用</p>\n</blockquote>"),
        ("**粗** *斜*", "<p><strong>粗</strong> <em>斜</em></p>"),
        ("- 一\n- 二", "<ul>\n<li>一</li>\n<li>二</li>\n</ul>"),
        ("1. 一\n2. 二", "<ol>\n<li>一</li>\n<li>二</li>\n</ol>"),
        ("[图](https://example.com/a?b=1&c=2)", '<p><a href="https://example.com/a?b=1&amp;c=2" rel="noreferrer noopener">图</a></p>'),
        ("![CPU](https://example.com/c.png)", '<p><span class="image">CPU</span></p>'),
        ("![](https://example.com/c.png)", '<p><span class="image">图片</span></p>'),
        ("一&nbsp;二", "<p>一\xa0二</p>"),
    ],
)
def test_what_dingtalk_shows(text, expected):
    """Headings, quotes, bold, italic, lists, links; images by their names."""
    assert html(text) == expected


@pytest.mark.parametrize("text", ["一  \n  二", "一  \n二"])
def test_a_line_ends_where_two_blanks_stand_before_its_end(text):
    """As the documentation says."""
    assert re.sub(r"\s", "", html(text)) == "<p>一<br>二</p>"


def test_a_mere_newline_ends_no_line():
    """That is the classic surprise."""
    assert "<br" not in html("一\n二")


@pytest.mark.parametrize(
    "text",
    ["| a | b |\n|---|---|\n| 1 | 2 |", "```\ncode\n```", "`code`", "~~gone~~", "---", "标题\n===", "https://example.com", "    code"],
)
def test_what_dingtalk_does_not_show_stays_text(text):
    """Tables, code, strikethrough, rules and bare addresses are not in its list."""
    assert {tag for tag, _ in Elements(html(text)).found} <= {"p"}


def test_escaped_characters_are_only_themselves():
    """How a careful sender writes label values."""
    assert html(r"\*a\* \[b\](c) \<d\> \# \@e") == r"<p>*a* [b](c) &lt;d&gt; # \@e</p>".replace(r"\@", "@")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<font color="#FF0000">红</font>',
        "<img src=x onerror=alert(1)>",
        "&lt;script&gt;",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)",
        "![x](javascript:alert(1))",
        '[x](https://example.com/"onmouseover=alert(1))',
        '[x](https://example.com "title\\" onclick=alert(1)")',
        "[<script>](https://example.com)",
        '![" onerror="x](https://example.com)',
        "<https://example.com>",
        "<!-- x -->",
        "\x00<b>",
    ],
)
def test_hostile_text_becomes_no_element(text):
    """No script, no handler, no address that runs anything."""
    elements = Elements(html(text)).found
    assert {tag for tag, _ in elements} <= {"p", "a", "span"}
    assert {(tag, name) for tag, attributes in elements for name in attributes} <= ATTRIBUTES
    assert all(attributes["href"].startswith(("https://", "#")) for tag, attributes in elements if tag == "a")


PIECES = st.one_of(
    st.sampled_from(list("<>&\"'`*_[]()!#\n\\@x")),
    st.sampled_from(["- ", "1. ", "> ", "  \n", "&lt;", "&#60;", "<script>", "</p>", "javascript:", "https://example.com"]),
    st.sampled_from(["dingtalk://x/page/link?url=", "告警", "@138", " onclick=x "]),
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_less_than_sign_but_those_of_the_known_elements(text):
    """Take the known tags away, and none is left; every attribute is a known one."""
    who = mentions(Body(msgtype="markdown", text=text, at=AtRequest(mobiles=("138",), user_ids=("<script>",))), (), 50)
    rendered = html(text, who)
    rest = re.sub(rf"</?(?:{'|'.join(sorted(TAGS))})(?: [a-z]+=\"[^\"<>]*\")*(?: /)?>", "", rendered)
    assert "<" not in rest
    elements = Elements(rendered).found
    assert {tag for tag, _ in elements} <= TAGS
    assert {(tag, name) for tag, attributes in elements for name in attributes} <= ATTRIBUTES
    assert all(attributes["href"] == "#" or allowed_link(attributes["href"]) for tag, attributes in elements if tag == "a")


def test_mentions_are_marked_inside_markdown():
    """Also in bold."""
    who = mentions(Body(msgtype="markdown", text="**@13800138000**", at=AtRequest(mobiles=("13800138000",))), (), 50)
    assert html("**@13800138000**", who) == '<p><strong><span class="at">@138****8000</span></strong></p>'


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a", "https://example.com/a"),
        ("dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fexample.com%2Fa%3Fb%3D1&pc_slide=false", "https://example.com/a?b=1"),
        ("dingtalk://dingtalkclient/page/link?url=javascript%3Aalert(1)", "#"),
        ("dingtalk://dingtalkclient/action", "#"),
        ("javascript:alert(1)", "#"),
        ("JaVaScRiPt:alert(1)", "#"),
        ("/relative", "#"),
        ("http://[", "#"),
        ("", "#"),
    ],
)
def test_where_a_link_leads(url, expected):
    """DingTalk's own scheme is opened up; what could run something leads nowhere."""
    assert target(url) == expected
