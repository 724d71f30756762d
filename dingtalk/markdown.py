"""The subset of Markdown that DingTalk shows, as HTML in which nothing else can become an element."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_RULES = ("heading", "blockquote", "list", "emphasis", "link", "image", "newline", "escape", "entity")
_SCHEMES = {"http", "https", "dingtalk", "mailto", "tel"}


def render(text: str, mark: Callable[[str], Markup] = escape) -> Markup:
    """Headings, quotes, bold, italic, links, images by their names, lists; a line ends where two blanks precede its end.

    Args:
        text: as it is sent.
        mark: makes HTML of a piece of plain text; it escapes, and may mark the @s.
    """
    parser = MarkdownIt("zero").enable(list(_RULES))
    parser.validateLink = allowed_link  # type: ignore[method-assign]  # the library's own way to choose the links
    parser.add_render_rule("text", _text)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_open", _link_open)
    return Markup(parser.render(text, {"mark": mark}))  # noqa: S704 -- every rule that prints text escapes it


def allowed_link(url: str) -> bool:
    """Whether a link may be one: web, mail, telephone, and DingTalk's own scheme."""
    try:
        return urlsplit(url).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def target(url: str) -> str:
    """Where a link leads in a browser: DingTalk's own scheme hides the address in its query. `#` when it leads nowhere allowed."""
    if not allowed_link(url):
        return "#"
    parts = urlsplit(url)
    if parts.scheme.lower() != "dingtalk":
        return url
    inner = parse_qs(parts.query).get("url", [""])[0]
    return inner if inner.startswith(("http://", "https://")) else "#"


def _text(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType) -> str:
    return str(env["mark"](tokens[index].content))


def _image(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    # Shown by name: the page loads nothing from elsewhere.
    return f'<span class="image">{escape(tokens[index].content or "图片")}</span>'


def _link_open(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    href = tokens[index].attrs.get("href", "")
    return f'<a href="{escape(target(str(href)))}" rel="noreferrer noopener">'
