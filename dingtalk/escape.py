"""Pure: text and addresses from outside, made safe to stand in a message.

What has a meaning in DingTalk's markdown is replaced by a character that looks alike and has none. A backslash before it would do by
the book, but DingTalk documents no backslash, and a reader of markdown that does not know it would follow the link all the same.
The same form is safe in plain text, where an @ and an address with `://` still mean something.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import quote, urlsplit

MAX_URL_CHARACTERS = 1_000
ELLIPSIS = "…"

_LOOKALIKES = str.maketrans("\\`*[]<>@|", "＼｀＊［］＜＞＠｜")
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Letters and symbols by their category, but nobody sees them.
_UNSEEN_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
_MARK_CATEGORIES = frozenset({"Mn", "Me"})
_MAX_MARKS = 3
"""Marks on one character; more of them reach over the lines above and below."""
# One inside a word is left: markdown sees nothing in it, and names of metrics stay as they are.
_LOOSE_UNDERSCORES = re.compile(r"(?<!\w)_+|_+(?!\w)")
_TILDES = re.compile(r"~{2,}")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_ADDRESS = re.compile(r":(?=/)")
_WWW = re.compile(r"(?i)\b(www)\.")
_START = re.compile(r"^(?:[-+=](?=[-+=\s]|$)|#+|//)")
_START_LIST = re.compile(r"^(\d+)([.)])(?=\s|$)")
_FULL_WIDTH_OFFSET = 0xFEE0

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
# No semicolon: with it, an entity would be one in an address too.
_URL_SAFE = "%/?:&=+,$-._~"


def escape(text: str, limit: int = 500) -> str:
    """One line in which nothing has a meaning: no markdown, no @, no link, nothing that cannot be seen.

    Escaping what was escaped changes nothing.

    Args:
        text: anything.
        limit: most characters of the result; what is longer ends with an ellipsis.
    """
    # Nobody pays for what is cut anyway; unseen characters may make up a part of it.
    line = shorten(_visible(text[: 4 * limit + 4]), limit)
    if len(text) > 4 * limit + 4 and not line.endswith(ELLIPSIS):
        line = shorten(line + ELLIPSIS, limit)
    line = _TILDES.sub(lambda match: "～" * len(match[0]), line.translate(_LOOKALIKES))
    line = _LOOSE_UNDERSCORES.sub(lambda match: "＿" * len(match[0]), line)
    line = _ENTITY.sub("＆", line)
    line = _WWW.sub(r"\1．", _ADDRESS.sub("：", line))
    line = _START.sub(lambda match: "".join(chr(ord(character) + _FULL_WIDTH_OFFSET) for character in match[0]), line)
    return _START_LIST.sub(lambda match: match[1] + chr(ord(match[2]) + _FULL_WIDTH_OFFSET), line)


def escape_lines(text: str, *, lines: int, limit: int = 500) -> list[str]:
    """The first lines that have something to see, each escaped."""
    found: list[str] = []
    for line in text[: 8 * lines * limit].splitlines():
        if len(found) == lines:
            break
        if escaped := escape(line, limit):
            found.append(escaped)
    return found


def shorten(text: str, limit: int) -> str:
    """At most so many characters; the end is an ellipsis where something was cut, and no mark is parted from its character."""
    if len(text) <= limit:
        return text
    end = max(limit - 1, 0)
    while end and is_mark(text[end]):
        end -= 1
    return (text[:end].rstrip() + ELLIPSIS)[:limit]


def is_mark(character: str) -> bool:
    """Whether it belongs to the character before it."""
    return unicodedata.category(character) in _MARK_CATEGORIES or "\U0001f3fb" <= character <= "\U0001f3ff"


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept: list[str] = []
    marks = 0
    for character in text:
        if character.isspace():
            marks = 0
            kept.append(" ")
            continue
        category = unicodedata.category(character)
        if category in _UNSEEN_CATEGORIES or character in _UNSEEN_LETTERS:
            continue
        marks = marks + 1 if category in _MARK_CATEGORIES else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return " ".join("".join(kept).split())


def safe_url(text: str, base: str = "") -> str:
    """An address that may stand in a link, percent-encoded; empty for what may not.

    Only http and https, no user name in it, and a host written in ASCII, so that it is the one it looks like.

    Args:
        text: an address, or a path.
        base: what a path is put behind; empty: paths lead nowhere.
    """
    text = text.strip()
    if text.startswith("/") and not text.startswith("//"):
        text = base.rstrip("/") + text if base else ""
    if not text or len(text) > MAX_URL_CHARACTERS or any(character.isspace() or _is_unseen(character) for character in text):
        return ""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not _HOST.fullmatch(host):
        return ""
    rest = quote(_STRAY_PERCENT.sub("%25", parts.path), safe=_URL_SAFE)
    if parts.query:
        rest += "?" + quote(_STRAY_PERCENT.sub("%25", parts.query), safe=_URL_SAFE)
    if parts.fragment:
        rest += "#" + quote(_STRAY_PERCENT.sub("%25", parts.fragment), safe=_URL_SAFE)
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{rest}"


def is_reachable(url: str) -> bool:
    """Whether a phone may reach an address from `safe_url`: not loopback, and no name that only this box or its containers know."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))
    return not (address.is_loopback or address.is_unspecified or address.is_link_local)


def link(title: str, url: str) -> str:
    """A markdown link; only its title when the address is none."""
    title = escape(title, 60)
    return f"[{title}]({url})" if url else title


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN_CATEGORIES
