"""The pages and their addresses: overview, messages with resend, runbooks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from starlette.responses import RedirectResponse
from starlette.routing import Route

from dingtalk.errors import StoreUnavailable
from dingtalk.message_number import message_number, nearest
from dingtalk.outbox.rows import MessageState
from dingtalk.pages import words
from dingtalk.pages.bubble import Bubbles
from dingtalk.pages.runbook import runbook_html
from dingtalk.pages.visitor import Visitors, is_own_form
from dingtalk.web.look import Look, root

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.outbox.store import Outbox
    from dingtalk.runbooks import Runbooks
    from dingtalk.watch.lookout import Lookout
    from dingtalk.webhook import Guard
    from dingtalk.worker import Worker

LAST = 10
"""Messages on the overview."""
PER_PAGE = 50


class Pages:
    """All of them. They show what the JSON of `/v1/status` and `/v1/messages` says, and change nothing but a dead letter.

    Args:
        config: people, time zone, and whether there is a password.
        guard: who may look.
        outbox, worker: what is shown.
        runbooks: shown too.
        clock: both clocks.
        lookout: its boxes are shown first; None where nobody is watched.
    """

    def __init__(
        self,
        config: Config,
        *,
        guard: Guard,
        outbox: Outbox,
        worker: Worker,
        runbooks: Runbooks,
        clock: Clock,
        lookout: Lookout | None = None,
    ) -> None:
        self._outbox = outbox
        self._worker = worker
        self._runbooks = runbooks
        self._lookout = lookout
        self._visitors = Visitors(config, guard)
        self._bubbles = Bubbles(config.people)
        self._look = Look("dingtalk.pages", zone=ZoneInfo(config.time_zone), clock=clock, filters=words.FILTERS, names=words.NAMES)

    def routes(self) -> Sequence[BaseRoute]:
        """Their addresses."""
        return [
            Route("/", self._guarded(self._overview)),
            Route("/messages", self._guarded(self._messages)),
            Route("/messages/{id}", self._guarded(self._message)),
            Route("/messages/{id}/resend", self._guarded(self._resend), methods=["POST"]),
            Route("/runbooks", self._guarded(self._all_runbooks)),
            Route("/runbooks/{name}", self._guarded(self._runbook)),
        ]

    def _guarded(self, show: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not self._visitors.admits(request):
                challenge = {"WWW-Authenticate": self._visitors.challenge}
                return self._problem(request, 401, "需要登录", "这些页面需要名称和密码，或本机网关的登录。", headers=challenge)
            try:
                return await show(request)
            except StoreUnavailable as error:
                return self._problem(request, 503, "现在读不到", f"消息存储暂时不可用：{error}")

        return answer

    async def _overview(self, request: Request) -> Response:
        status = await asyncio.to_thread(self._worker.planner.status)
        last = await asyncio.to_thread(self._outbox.messages, limit=LAST)
        boxes = [] if self._lookout is None else self._lookout.boxes()
        return self._page(request, "overview.html", facts=status, messages=last, boxes=boxes)

    async def _messages(self, request: Request) -> Response:
        asked = request.query_params
        try:
            state = MessageState(asked["state"]) if asked.get("state") else None
            before = nearest(int(asked["before"])) if asked.get("before") else None
        except ValueError:
            return self._problem(request, 400, "看不懂这个地址", "state 是消息的状态之一，before 是消息的编号。")
        found = await asyncio.to_thread(self._outbox.messages, state=state, before=before, limit=PER_PAGE + 1)
        older = found[PER_PAGE - 1].id if len(found) > PER_PAGE else None
        return self._page(request, "messages.html", messages=found[:PER_PAGE], chosen=state, before=before, older=older)

    async def _message(self, request: Request) -> Response:
        number = message_number(request.path_params["id"])
        message = None if number is None else await asyncio.to_thread(self._outbox.message, number)
        if message is None:
            return self._problem(request, 404, "没有这条消息", "编号不对，或者它已过保留期。")
        attempts = await asyncio.to_thread(self._outbox.attempts_of, message.id)
        receipts = await asyncio.to_thread(self._outbox.receipts_behind, message.bundle)
        parts = await asyncio.to_thread(self._outbox.messages_of, message.bundle)
        return self._page(
            request,
            "message.html",
            message=message,
            text=self._bubbles.html(message.part),
            buttons=self._bubbles.buttons(message.part),
            attempts=attempts,
            receipts=receipts,
            parts_of=parts,
        )

    async def _resend(self, request: Request) -> Response:
        if not is_own_form(request.headers):
            return self._problem(request, 403, "不是本页的表单", "只有这里的页面可以重发消息；程序请用 /v1/messages/<编号>/resend。")
        number = message_number(request.path_params["id"])
        if number is None or not await asyncio.to_thread(self._outbox.resend, number):
            return self._problem(request, 409, "没有可重发的", "这条消息不存在，或者已经不是未送达。")
        self._worker.wake()
        return RedirectResponse(f"../{number}", 303)

    async def _all_runbooks(self, request: Request) -> Response:
        return self._page(request, "runbooks.html", titles=self._runbooks.titles)

    async def _runbook(self, request: Request) -> Response:
        name = request.path_params["name"]
        text = self._runbooks.text(name)
        if text is None:
            return self._problem(request, 404, "没有这个处理手册", "名称不对，或者通知器的 runbooks 没有指向放手册的文件夹。")
        html = runbook_html(text, known=lambda other: self._runbooks.text(other) is not None)
        return self._page(request, "runbook.html", name=name, text=html)

    def _problem(self, request: Request, status: int, title: str, said: str, *, headers: dict[str, str] | None = None) -> Response:
        return self._page(request, "problem.html", status=status, headers=headers, title=title, words=said)

    def _page(
        self, request: Request, template: str, *, status: int = 200, headers: dict[str, str] | None = None, **facts: object
    ) -> Response:
        return self._look.page(template, status=status, headers=headers, root=root(request.url.path), **facts)
