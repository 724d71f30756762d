"""A runbook as HTML: code blocks and tables as they are, links to other runbooks as links between the pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from markdown_it.token import Token

_OTHER = re.compile(r"(?:\./)?([A-Za-z0-9_]{1,80})\.md(?:#.*)?")


def runbook_html(text: str, *, known: Callable[[str], bool]) -> Markup:
    """Show a runbook.

    Args:
        text: as Markdown; HTML in it is text.
        known: whether there is a runbook of a name.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        _lead(token.children or [], known)
    # The parser escapes all that is not an element of its own.
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 -- see above


def _lead(tokens: Iterable[Token], known: Callable[[str], bool]) -> None:
    """Let links lead to pages: what is no address of the web and no runbook is shown as text."""
    for token in tokens:
        if token.type == "link_open":
            address = str(token.attrs.get("href", ""))
            found = _OTHER.fullmatch(address)
            if found is not None and known(found[1]):
                token.attrs = {"href": found[1]}
            elif address.startswith(("http://", "https://")):
                token.attrs = {"href": address, "rel": "noreferrer noopener"}
            else:
                token.attrs = {}
