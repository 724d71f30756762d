"""The page that shows what a group would see: rendered on the server, without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse
from starlette.routing import Route

from dingtalk.markdown import render, target
from dingtalk.simulator.history import Outcome, in_shanghai
from dingtalk.simulator.mentions import Ignored, marked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dingtalk.clock import Clock
    from dingtalk.simulator.history import Message
    from dingtalk.simulator.robots import RobotFacts, RobotServer

MOST_SHOWN = 50
"""Messages of a group, and refused calls, on the page."""

_REFRESHES = {"5", "10", "30"}
_POLICY = "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_OUTCOMES: Mapping[Outcome, str] = {
    Outcome.DELIVERED: "已送达",
    Outcome.DUPLICATE: "重复",
    Outcome.REFUSED: "被拒绝",
    Outcome.OVER_QUOTA: "超出月配额",
    Outcome.THROTTLED: "限流",
    Outcome.BANNED: "限流期内",
    Outcome.BLOCKED: "IP 被封",
    Outcome.FAULT: "注入故障",
}
_IGNORED: Mapping[Ignored, str] = {
    Ignored.NOT_IN_TEXT: "正文里没有",
    Ignored.NOT_A_MEMBER: "不是群成员",
    Ignored.TOO_MANY: "超出人数上限",
    Ignored.NOT_POSSIBLE: "此类消息不能 @",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    robots: Sequence[RobotFacts]
    messages: Sequence[Message]
    more: int


class GroupPage:
    """`GET /`; `?group=` shows one group alone, `?refresh=` loads the page again every 5, 10 or 30 seconds."""

    def __init__(self, robots: RobotServer, clock: Clock) -> None:
        self._robots = robots
        self._clock = clock
        style = resources.files(__package__).joinpath("static", "style.css").read_bytes()
        digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
        self._headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(digest=digest)}
        self._templates = Environment(
            loader=PackageLoader("dingtalk.simulator"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.globals.update(
            style=Markup(style.decode()),  # noqa: S704 -- our own file, not a caller's text
            outcomes=_OUTCOMES,
            ignored=_IGNORED,
            target=target,
            content=content,
            refreshes=sorted(_REFRESHES, key=int),
        )
        self._templates.filters.update(clock=self._in_words)

    def routes(self) -> Sequence[BaseRoute]:
        """The route."""
        return [Route("/", self._page)]

    async def _page(self, request: Request) -> Response:
        refresh = request.query_params.get("refresh", "")
        facts: dict[str, Any] = {
            "groups": list(dict.fromkeys(fact.group for fact in self._robots.facts())),
            "chosen": request.query_params.get("group", ""),
            "refresh": refresh if refresh in _REFRESHES else "",
            "scale": self._robots.scale,
            "faults": self._robots.faults.all(),
            "journal_failed": self._robots.journal_failed,
        }
        facts["columns"] = self._columns(facts["chosen"])
        delivered = {Outcome.DELIVERED, Outcome.DUPLICATE}
        facts["refused"] = list(
            islice((each for each in self._robots.history.newest_attempts() if each.outcome not in delivered), MOST_SHOWN)
        )
        return HTMLResponse(self._templates.get_template("groups.html").render(facts), headers=self._headers)

    def _columns(self, chosen: str) -> Sequence[_Column]:
        robots = self._robots.facts()
        newest: dict[str, list[Message]] = {fact.group: [] for fact in robots if chosen in {"", fact.group}}
        more: Counter[str] = Counter()
        for message in self._robots.history.newest_messages():
            shown = newest.get(message.group)
            if shown is None:
                continue
            if len(shown) < MOST_SHOWN:
                shown.append(message)
            else:
                more[message.group] += 1
        return [
            _Column(name=group, robots=[fact for fact in robots if fact.group == group], messages=shown[::-1], more=more[group])
            for group, shown in newest.items()
        ]

    def _in_words(self, unix: float) -> str:
        moment, today = in_shanghai(unix), in_shanghai(self._clock.unix())
        return moment.strftime("%H:%M:%S" if moment.date() == today.date() else "%Y-%m-%d %H:%M:%S")


def content(message: Message) -> Markup:
    """The text of a message as the group sees it."""
    if message.msgtype in {"markdown", "actionCard"}:
        return render(message.text, partial(marked, found=message.mentions))
    return Markup("<p>{}</p>").format(marked(message.text, message.mentions))
