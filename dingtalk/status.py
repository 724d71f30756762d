"""What people and programs ask the notifier: whether it lives and stores, its numbers, its messages, and to send a dead letter again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response

from dingtalk.errors import StoreUnavailable
from dingtalk.message_number import message_number, nearest
from dingtalk.outbox.rows import MessageState

if TYPE_CHECKING:
    from starlette.requests import Request

    from dingtalk.metrics import Metrics, Status
    from dingtalk.outbox.rows import StoredMessage
    from dingtalk.outbox.store import Outbox
    from dingtalk.watch.lookout import BoxStatus, Lookout
    from dingtalk.webhook import Guard, Webhook
    from dingtalk.worker import Worker

MAX_MESSAGES = 500
_PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class StatusApi:
    """All that is not the webhook.

    Args:
        guard: who may look at messages and send again.
        outbox, worker, webhook, metrics: what is asked.
        lookout: watches; None where nobody is watched.
    """

    def __init__(
        self, *, guard: Guard, outbox: Outbox, worker: Worker, webhook: Webhook, metrics: Metrics, lookout: Lookout | None = None
    ) -> None:
        self._guard = guard
        self._outbox = outbox
        self._worker = worker
        self._webhook = webhook
        self._metrics = metrics
        self._lookout = lookout

    async def livez(self, request: Request) -> Response:  # noqa: ARG002 -- a route
        """The process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002 -- a route
        """Something can be stored: a small thing was."""
        if self._webhook.closing:
            return JSONResponse({"ready": False, "reason": "the notifier is shutting down"}, status_code=503)
        try:
            await asyncio.to_thread(self._outbox.check)
        except StoreUnavailable as error:
            return JSONResponse({"ready": False, "reason": str(error)}, status_code=503)
        return JSONResponse({"ready": True})

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002 -- a route
        """The metrics in Prometheus' text format."""
        try:
            status = await asyncio.to_thread(self._worker.planner.status)
        except StoreUnavailable as error:
            return _unavailable(error)
        return Response(self._metrics.render(status, boxes=[one.box for one in self._boxes()]), media_type=_PROMETHEUS_TEXT)

    async def status(self, request: Request) -> Response:
        """Queue, robots, quota and degradation; the boxes where any are watched."""
        if not self._admits(request):
            return self._guard.refusal()
        try:
            status = _status(await asyncio.to_thread(self._worker.planner.status))
        except StoreUnavailable as error:
            return _unavailable(error)
        return JSONResponse(status if self._lookout is None else {**status, "boxes": {one.box.name: _box(one) for one in self._boxes()}})

    async def messages(self, request: Request) -> Response:
        """Messages, newest first; `state` chooses, `before` goes on, `limit` bounds."""
        if not self._admits(request):
            return self._guard.refusal()
        try:
            state = MessageState(request.query_params["state"]) if "state" in request.query_params else None
            before = nearest(int(request.query_params["before"])) if "before" in request.query_params else None
            limit = min(MAX_MESSAGES, max(1, int(request.query_params.get("limit", "100"))))
        except ValueError:
            states = ", ".join(state.value for state in MessageState)
            return JSONResponse({"error": f"state is one of {states}; before and limit are numbers"}, status_code=400)
        try:
            found = await asyncio.to_thread(self._outbox.messages, state=state, before=before, limit=limit)
        except StoreUnavailable as error:
            return _unavailable(error)
        return JSONResponse({"messages": [_message(message) for message in found]})

    async def resend(self, request: Request) -> Response:
        """Let a dead letter wait again."""
        if not self._admits(request):
            return self._guard.refusal()
        given = request.path_params["id"]
        message = message_number(given)
        try:
            done = message is not None and await asyncio.to_thread(self._outbox.resend, message)
        except StoreUnavailable as error:
            return _unavailable(error)
        if not done:
            return JSONResponse({"error": f"there is no dead letter {given}"}, status_code=404)
        self._worker.wake()
        return JSONResponse({"waiting": message})

    def _boxes(self) -> list[BoxStatus]:
        return [] if self._lookout is None else self._lookout.boxes()

    def _admits(self, request: Request) -> bool:
        return self._guard.admits(request.headers.get("authorization", ""))


def _unavailable(error: StoreUnavailable) -> Response:
    return JSONResponse({"error": "unavailable", "reason": str(error)}, status_code=503)


def _status(status: Status) -> dict[str, object]:
    return {
        "queue": {
            "critical": status.depth.critical,
            "normal": status.depth.normal,
            "oldest_seconds": round(status.queue_age, 3),
            "dead_letters": status.depth.dead,
        },
        "store_writable": status.writable,
        "robots": {
            name: {
                "state": robot.state.value,
                "until": robot.until or None,
                "detail": robot.detail,
                "rate_headroom": robot.headroom,
                "unreachable": robot.unreachable,
            }
            for name, robot in status.robots.items()
        },
        "organisations": {
            name: {"used": usage.used, "limit": usage.limit, "forecast": round(usage.forecast, 1), "degradation": int(usage.step)}
            for name, usage in status.organisations.items()
        },
    }


def _box(one: BoxStatus) -> dict[str, object]:
    return {"state": one.state.value, "since": one.since, "last_heartbeat": one.box.last_unix, "quiet_until": one.box.quiet_until}


def _message(message: StoredMessage) -> dict[str, object]:
    return {
        "id": message.id,
        "bundle": message.bundle,
        "part": message.number,
        "parts": message.total,
        "form": message.form.value,
        "receiver": message.receiver,
        "group_key": message.group_key,
        "lane": message.lane.value,
        "title": message.part.title,
        "text": message.part.text,
        "msg_uuid": message.msg_uuid,
        "state": message.state.value,
        "robot": message.robot,
        "attempts": message.attempts,
        "next_attempt_at": message.next_attempt_at or None,
        "outcome": message.outcome,
        "detail": message.detail,
        "received_at": message.received_at,
        "created_at": message.created_at,
        "changed_at": message.changed_at,
    }
