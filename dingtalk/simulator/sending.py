"""`POST /robot/send` over HTTP: reads a call, asks the robots, and answers when, and if, the verdict says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from dingtalk.simulator.answer import PUNISH_PAGE, PUNISH_PATH
from dingtalk.simulator.call import Call, network_address
from dingtalk.simulator.hang_up import hang_up

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from dingtalk.simulator.feed import Feed
    from dingtalk.simulator.robots import RobotServer, Verdict

    Sleep = Callable[[float], Awaitable[object]]

_READ_LIMIT = 4_194_304
"""Bytes read of a body before its sender gets the answer that it is too big; counted, not kept."""


class SendApi:
    """The one route of DingTalk's.

    Args:
        robots: who decide.
        feed: told of every call.
        sleep: waits seconds, for slow answers.
    """

    def __init__(self, robots: RobotServer, feed: Feed, sleep: Sleep) -> None:
        self._robots = robots
        self._feed = feed
        self._sleep = sleep

    def routes(self) -> Sequence[BaseRoute]:
        """The route, and the page a redirect leads to."""
        return [
            Route("/robot/send", self._send, methods=["POST"]),
            Route(PUNISH_PATH, self._punish, methods=["GET", "POST"]),
        ]

    async def _send(self, request: Request) -> Response:
        try:
            body, size = await self._body(request)
        except ClientDisconnect:
            # What never arrived whole is no call, and there is nobody to answer.
            return Response(status_code=400)
        call = Call(
            token=request.query_params.get("access_token", ""),
            timestamp=request.query_params.get("timestamp"),
            sign=request.query_params.get("sign"),
            content_type=request.headers.get("content-type", ""),
            body=body,
            body_bytes=size,
            client=_client(request),
        )
        verdict = self._robots.receive(call)
        self._feed.announce()
        return _Held(verdict, self._feed, self._sleep)

    async def _body(self, request: Request) -> tuple[bytes, int]:
        limit = self._robots.settings.body_limit
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            if size > _READ_LIMIT:
                break
        return b"".join(chunks), size

    @staticmethod
    async def _punish(_request: Request) -> Response:
        return HTMLResponse(PUNISH_PAGE)


def _client(request: Request) -> str:
    host = request.client.host if request.client else ""
    return str(network_address(host) or host)


class _Held(Response):
    """The answer of a verdict, held back for its delay; none at all when the connection is to be closed."""

    def __init__(self, verdict: Verdict, feed: Feed, sleep: Sleep) -> None:
        self._verdict = verdict
        self._feed = feed
        self._sleep = sleep
        got = verdict.answer
        if got is None:
            super().__init__()
        else:
            headers = {"Location": got.location} if got.location else None
            super().__init__(got.body, got.status, headers, got.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._verdict.delay > 0 and not await self._wait(receive):
            return
        if self._verdict.answer is None:
            await hang_up(scope, receive)
        else:
            await super().__call__(scope, receive, send)

    async def _wait(self, receive: Receive) -> bool:
        """Wait the delay, or until the simulator ends; whether the caller is still there."""
        gone = asyncio.ensure_future(_disconnected(receive))
        over = [asyncio.ensure_future(self._sleep(self._verdict.delay)), asyncio.ensure_future(self._feed.closed())]
        try:
            await asyncio.wait([gone, *over], return_when=asyncio.FIRST_COMPLETED)
            return not gone.done()
        finally:
            for task in (gone, *over):
                task.cancel()
            await asyncio.gather(gone, *over, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
