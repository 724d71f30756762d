"""What boxes and people ask: heartbeats, how the boxes are, and maintenance."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dingtalk.errors import HeartbeatRefused, MaintenanceRefused, StoreUnavailable, UpstreamFailed
from dingtalk.heartbeat import MAX_BYTES
from dingtalk.watch.maintenance import asked_for, whose_end
from dingtalk.watch.pulse import PATH, SIGNATURE_HEADER

if TYPE_CHECKING:
    from starlette.requests import Request

    from dingtalk.clock import Clock
    from dingtalk.errors import NotifierError
    from dingtalk.watch.lookout import Lookout
    from dingtalk.watch.maintenance import Maintenance
    from dingtalk.watch.upkeep import Arranged, Upkeep
    from dingtalk.webhook import Guard

READ_DEADLINE = 10.0
"""Seconds in which a body must have come."""


class WatchApi:
    """Routes of both sides; those of a watcher are there where boxes are watched.

    Args:
        guard: who may ask; heartbeats prove themselves.
        lookout: watches; None where nobody is watched.
        upkeep: keeps the maintenance; None where there is no Alertmanager.
        clock: its wall half is used.
    """

    def __init__(self, *, guard: Guard, lookout: Lookout | None, upkeep: Upkeep | None, clock: Clock) -> None:
        self._guard = guard
        self._lookout = lookout
        self._upkeep = upkeep
        self._clock = clock

    def routes(self) -> list[Route]:
        """All of them."""
        routes = []
        if self._upkeep is not None:
            routes += [
                Route("/v1/maintenance", self.maintenance, methods=["GET"]),
                Route("/v1/maintenance", self.arrange, methods=["POST"]),
            ]
        if self._lookout is not None:
            routes += [Route(PATH, self.heartbeat, methods=["POST"]), Route("/v1/boxes", self.boxes)]
        return routes

    async def heartbeat(self, request: Request) -> Response:
        """Take a heartbeat: 204, or 401 with the reason."""
        assert self._lookout is not None
        try:
            body = await _body(request)
            await self._lookout.hear(body, request.headers.get(SIGNATURE_HEADER, ""))
        except _BodyRefused as refused:
            return refused.response
        except HeartbeatRefused as refused:
            return JSONResponse({"error": str(refused)}, status_code=401)
        except StoreUnavailable as error:
            return _unavailable(error)
        return Response(status_code=204)

    async def boxes(self, request: Request) -> Response:
        """How each box is."""
        assert self._lookout is not None
        if not self._admits(request):
            return self._guard.refusal()
        return JSONResponse(
            {
                "boxes": [
                    {
                        "name": one.box.name,
                        "state": one.state.value,
                        "last_heartbeat": one.box.last_unix,
                        "silent": one.box.silent,
                        "quiet_from": one.box.quiet_from,
                        "quiet_until": one.box.quiet_until,
                        "clock_difference_seconds": one.clock_difference,
                    }
                    for one in self._lookout.boxes()
                ]
            }
        )

    async def maintenance(self, request: Request) -> Response:
        """What is going on or planned."""
        assert self._upkeep is not None
        if not self._admits(request):
            return self._guard.refusal()
        return JSONResponse({"maintenance": _shown(self._upkeep.current)})

    async def arrange(self, request: Request) -> Response:
        """Begin or plan one, or end it."""
        if not self._admits(request):
            return self._guard.refusal()
        # A page that somebody looks at on this machine can post texts and forms, but no JSON.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return JSONResponse({"error": "the body is JSON, with Content-Type: application/json"}, status_code=415)
        try:
            return await self._arrange(await _body(request))
        except _BodyRefused as refused:
            return refused.response
        except MaintenanceRefused as refused:
            return JSONResponse({"error": str(refused)}, status_code=422)
        except (UpstreamFailed, StoreUnavailable) as error:
            return _unavailable(error)

    async def _arrange(self, body: bytes) -> Response:
        assert self._upkeep is not None
        try:
            members = json.loads(body)
        except (ValueError, RecursionError):
            raise _BodyRefused(400, "the body is no JSON") from None
        one = asked_for(members, now=self._clock.unix())
        arranged = await (self._upkeep.end(whose_end(members)) if one is None else self._upkeep.begin(one))
        return JSONResponse(_arranged(self._upkeep.current, arranged))

    def _admits(self, request: Request) -> bool:
        return self._guard.admits(request.headers.get("authorization", ""))


def _shown(one: Maintenance | None) -> dict[str, object] | None:
    return None if one is None else {"from": one.starts_at, "until": one.ends_at, "by": one.by, "reason": one.reason}


def _arranged(one: Maintenance | None, arranged: Arranged) -> dict[str, object]:
    return {
        "maintenance": _shown(one),
        "alertmanager": arranged.silence or "ok",
        "watchers": {name: reason or "ok" for name, reason in arranged.watchers.items()},
    }


def _unavailable(error: NotifierError) -> Response:
    return JSONResponse({"error": "unavailable", "reason": str(error)}, status_code=503)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(READ_DEADLINE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _BodyRefused(413, f"a body may have {MAX_BYTES} bytes")
    except (TimeoutError, ClientDisconnect):
        raise _BodyRefused(408, "the body did not come") from None
    return bytes(body)


class _BodyRefused(Exception):
    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.response = JSONResponse({"error": words}, status_code=status, headers={"Connection": "close"})
