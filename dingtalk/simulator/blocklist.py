"""DingTalk's check of contents, by pieces of text that a test or drill has put on a list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dingtalk.simulator import errcode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dingtalk.simulator.bodies import Body
    from dingtalk.simulator.errcode import Refusal
    from dingtalk.simulator.settings import Blocklist

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s)\]>\"']+")
_IMAGE = re.compile(r"!\[[^\]]*\]\(\s*([^\s)]+)")


def blocked(body: Body, blocklist: Blocklist) -> Refusal | None:
    """The answer when something in the body is on a list; None when nothing is."""
    words = body.words
    links = [*_URL.findall(words), *(link.url for link in body.links)]
    images = [*_IMAGE.findall(body.text), *(link.picture for link in body.links)]
    for pieces, texts, refusal in (
        (blocklist.images, images, errcode.UNSUITABLE_IMAGE),
        (blocklist.links, links, errcode.UNSAFE_LINK),
        (blocklist.texts, [words], errcode.UNSUITABLE_TEXT),
        (blocklist.contents, [words, *links, *images], errcode.UNSUITABLE_CONTENT),
    ):
        if _any_in(pieces, texts):
            return refusal
    return None


def _any_in(pieces: Iterable[str], texts: list[str]) -> bool:
    return any(piece in text for piece in pieces for text in texts)
