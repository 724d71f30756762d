"""What a caller gets back: DingTalk's JSON, and the odd answers that are not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dingtalk.simulator.errcode import Refusal

_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"

PUNISH_PATH = "/punish"
PUNISH_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>访问被拦截</title></head>
<body><h1>亲，慢慢来</h1><p>访问太频繁，请稍后再试。</p></body></html>
"""


class Punishment(StrEnum):
    """How calls are turned away that are not even looked at."""

    REDIRECT = "redirect"
    PUNISH = "punish"
    HTML = "html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `errcode` and `errmsg` are those of its body, where it has any."""

    status: int
    media_type: str
    body: bytes
    location: str | None = None
    errcode: int | str | None = None
    errmsg: str | None = None


def ok() -> Answer:
    """Delivered."""
    return _business(0, "ok")


def ok_as_text() -> Answer:
    """Delivered, with the code as a string, as in DingTalk's own example."""
    return _business("0", "ok")


def refused(refusal: Refusal) -> Answer:
    """A business error, in HTTP 200."""
    return _business(int(refusal.code), refusal.text)


def punished(how: Punishment, uuid: str) -> Answer:
    """Turned away without an errcode."""
    if how is Punishment.REDIRECT:
        return Answer(status=302, media_type=_HTML, body=b"", location=PUNISH_PATH)
    if how is Punishment.HTML:
        return html()
    document = {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": uuid}
    return Answer(status=200, media_type=_JSON, body=json.dumps(document).encode())


def html() -> Answer:
    """HTML in HTTP 200."""
    return Answer(status=200, media_type=_HTML, body=PUNISH_PAGE.encode())


def bad_gateway() -> Answer:
    """502, as a gateway says it."""
    return Answer(status=502, media_type=_HTML, body=b"<html><body><h1>502 Bad Gateway</h1></body></html>\n")


def broken_json() -> Answer:
    """JSON that ends too early."""
    return Answer(status=200, media_type=_JSON, body=b'{"errcode":0,"errm')


def _business(errcode: int | str, errmsg: str) -> Answer:
    body = json.dumps({"errcode": errcode, "errmsg": errmsg}, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status=200, media_type=_JSON, body=body, errcode=errcode, errmsg=errmsg)
