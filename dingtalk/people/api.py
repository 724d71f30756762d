"""Groups for programs: how one stands, taking it over, silencing it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

from dingtalk.errors import GroupOver, GroupUnknown, NothingNamed, NotifierError, StoreUnavailable, UpstreamFailed, WishMalformed
from dingtalk.people.wish import silence_wish, taker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dingtalk.people.desk import Desk
    from dingtalk.webhook import Guard

MAX_BYTES = 8_192
DEADLINE = 10.0
"""Seconds in which a body must have come."""
STATUSES: Mapping[type[NotifierError], int] = {
    WishMalformed: 400,
    GroupUnknown: 404,
    GroupOver: 409,
    NothingNamed: 409,
    UpstreamFailed: 502,
    StoreUnavailable: 503,
}


class GroupsApi:
    """`/v1/groups/{digest}`.

    Args:
        guard: who may ask.
        desk: where it is done.
    """

    def __init__(self, *, guard: Guard, desk: Desk) -> None:
        self._guard = guard
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """The routes."""
        return [
            Route("/v1/groups/{digest}", self._answering(self._group), methods=["GET"]),
            Route("/v1/groups/{digest}/ack", self._answering(self._acknowledge), methods=["POST"]),
            Route("/v1/groups/{digest}/silence", self._answering(self._silence), methods=["POST"]),
        ]

    def _answering(self, act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not self._guard.admits(request.headers.get("authorization", "")):
                return self._guard.refusal()
            try:
                return await act(request)
            except NotifierError as error:
                return JSONResponse({"error": str(error)}, status_code=STATUSES[type(error)])

        return endpoint

    async def _group(self, request: Request) -> Response:
        found = await self._desk.standing(request.path_params["digest"])
        case = found.case
        return JSONResponse(
            {
                "group": found.digest,
                "receiver": found.receiver,
                "firing": found.firing,
                "received_at": found.received_at,
                "alerts": [
                    {"labels": dict(told.alert.labels), "over": told.over, "starts_at": told.alert.starts_at, "ends_at": told.ended_at}
                    for told in found.group.told
                ],
                "waits_since": case.opened_at if case is not None else None,
                "asked": case.asked if case is not None else 0,
                "taken_by": case.taken_by if case is not None else None,
                "taken_at": case.taken_at if case is not None else None,
            }
        )

    async def _acknowledge(self, request: Request) -> Response:
        by = taker(await _members(request))
        taken = await self._desk.take(request.path_params["digest"], by)
        return JSONResponse({"group": request.path_params["digest"], "taken_by": taken.by, "taken_at": taken.at, "first": taken.first})

    async def _silence(self, request: Request) -> Response:
        wish = silence_wish(await _members(request))
        done = await self._desk.silence(request.path_params["digest"], wish)
        return JSONResponse(
            {
                "group": request.path_params["digest"],
                "silence": done.id,
                "matchers": dict(done.matchers),
                "until": done.until,
                "told": done.told,
            }
        )


async def _members(request: Request) -> dict[str, object]:
    body = b""
    try:
        async with asyncio.timeout(DEADLINE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise WishMalformed(f"the body may have {MAX_BYTES} bytes")
        members = json.loads(body)
    except (TimeoutError, ClientDisconnect, ValueError, RecursionError):
        raise WishMalformed("the body is no JSON, or did not come") from None
    if not isinstance(members, dict):
        raise WishMalformed("the body is no JSON object")
    return members
