"""`/control/`: faults, bans, blocks, the scale and the reset, for whoever sits on the same machine."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address  # noqa: TC003 -- pydantic reads annotations when it runs
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from dingtalk.simulator.call import network_address
from dingtalk.simulator.errcode import Refusal
from dingtalk.simulator.fault import Fault, FaultKind
from dingtalk.simulator.reading import problem
from dingtalk.simulator.robots import UnknownRobot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from dingtalk.simulator.feed import Feed
    from dingtalk.simulator.robots import RobotServer

_BODY_LIMIT = 10_000
_HANG = 30.0
"""Seconds an ambiguous timeout holds the connection when nothing else is asked for."""

_NO_STORE = {"Cache-Control": "no-store"}


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FaultQuestion(_Question):
    """A fault to set; seconds for the delay, None for all robots, until cleared, and what the kind does by itself."""

    kind: FaultKind
    robot: str | None = None
    times: int | None = Field(default=None, ge=1, le=1_000_000)
    delay_seconds: float | None = Field(default=None, ge=0, le=3600, allow_inf_nan=False)
    delivers: bool | None = None
    errcode: int | None = Field(default=None, ge=-(2**31), le=2**31)
    errmsg: str = Field(default="系统繁忙", max_length=1000)

    def fault(self) -> Fault:
        """The fault.

        Raises:
            ValueError: an errcode without its kind, or the kind without it, or a slow fault without a delay.
        """
        if (self.kind is FaultKind.ERRCODE) != (self.errcode is not None):
            message = "errcode: goes with the kind `errcode`, which needs it"
            raise ValueError(message)
        if self.kind is FaultKind.SLOW and not self.delay_seconds:
            message = "delay_seconds: the kind `slow` needs it"
            raise ValueError(message)
        delay = self.delay_seconds
        if delay is None:
            delay = _HANG if self.kind is FaultKind.AMBIGUOUS_TIMEOUT else 0.0
        return Fault(
            kind=self.kind,
            robot=self.robot,
            times=self.times,
            delay=delay,
            delivers=self.kind.delivers if self.delivers is None else self.delivers,
            refusal=Refusal(self.errcode or 0, self.errmsg),
        )


class ClearQuestion(_Question):
    """Which faults to clear: one by its number, those of a robot alone, or all."""

    number: int | None = None
    robot: str | None = None


class ScaleQuestion(_Question):
    """The factor of all durations."""

    scale: float = Field(gt=0, le=1000, allow_inf_nan=False)


class RobotQuestion(_Question):
    """Which robot."""

    robot: str


class AddressQuestion(_Question):
    """Which network address."""

    address: IPv4Address | IPv6Address


class NoQuestion(_Question):
    """Nothing to say."""


Q = TypeVar("Q", bound=_Question)


class ControlApi:
    """Steers the robots.

    Questions come as `application/json`, which no page of another site can send unasked; only `control_from` may ask.
    """

    def __init__(self, robots: RobotServer, feed: Feed) -> None:
        self._robots = robots
        self._feed = feed

    def routes(self) -> Sequence[BaseRoute]:
        """The routes, behind the gate."""
        routes = [
            Route("/state", self._state_of_all, methods=["GET"]),
            Route("/faults", self._asked(FaultQuestion, self._set_fault), methods=["POST"]),
            Route("/faults", self._delete_faults, methods=["DELETE"]),
            Route("/clear", self._asked(ClearQuestion, self._clear), methods=["POST"]),
            Route("/reset", self._asked(NoQuestion, self._reset), methods=["POST"]),
            Route("/scale", self._asked(ScaleQuestion, self._set_scale), methods=["POST"]),
            Route("/ban", self._asked(RobotQuestion, self._ban), methods=["POST"]),
            Route("/unban", self._asked(RobotQuestion, self._unban), methods=["POST"]),
            Route("/block", self._asked(AddressQuestion, self._block), methods=["POST"]),
        ]
        return [Mount("/control", app=self._gate(Router(routes)))]

    def _gate(self, inner: ASGIApp) -> ASGIApp:
        networks = self._robots.settings.control_from

        async def gate(scope: Scope, receive: Receive, send: Send) -> None:
            client = scope.get("client")
            address = network_address(client[0]) if client else None
            if address is None or not any(address in network for network in networks):
                await problem(403, "the control API is for the simulator's own machine; the setting control_from names others")(
                    scope, receive, send
                )
                return
            await inner(scope, receive, send)

        return gate

    def _asked(self, form: type[Q], act: Callable[[Q], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return problem(415, "send application/json")
            raw = b""
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > _BODY_LIMIT:
                    return problem(413, f"send at most {_BODY_LIMIT} bytes")
            try:
                return act(form.model_validate_json(raw or b"{}"))
            except (ValueError, LookupError, OverflowError) as error:
                return _explained(error)

        return endpoint

    async def _state_of_all(self, _request: Request) -> Response:
        return self._state()

    async def _delete_faults(self, _request: Request) -> Response:
        return self._clear(ClearQuestion())

    def _set_fault(self, question: FaultQuestion) -> Response:
        return JSONResponse(_fault(self._robots.set_fault(question.fault())), 201, _NO_STORE)

    def _clear(self, question: ClearQuestion) -> Response:
        cleared = self._robots.faults.clear(number=question.number, robot=question.robot)
        return JSONResponse({"cleared": cleared}, headers=_NO_STORE)

    def _reset(self, _question: NoQuestion) -> Response:
        self._robots.reset()
        self._feed.announce()
        return self._state()

    def _set_scale(self, question: ScaleQuestion) -> Response:
        self._robots.scale = question.scale
        return self._state()

    def _ban(self, question: RobotQuestion) -> Response:
        self._robots.ban(question.robot)
        return self._state()

    def _unban(self, question: RobotQuestion) -> Response:
        self._robots.lift_ban(question.robot)
        return self._state()

    def _block(self, question: AddressQuestion) -> Response:
        self._robots.block(str(question.address))
        return self._state()

    def _state(self) -> Response:
        history = self._robots.history
        robots = [
            {
                "name": fact.name,
                "group": fact.group,
                "organisation": fact.organisation,
                "banned_seconds": math.ceil(fact.banned_seconds * 1000) / 1000,
                "window_used": fact.window_used,
                "window_limit": fact.window_limit,
                "quota_used": fact.quota_used,
                "quota_limit": fact.quota_limit,
            }
            for fact in self._robots.facts()
        ]
        document = {
            "scale": self._robots.scale,
            "robots": robots,
            "faults": [_fault(fault) for fault in self._robots.faults.all()],
            "last_message": history.next_message - 1,
            "last_attempt": history.next_attempt - 1,
            "waiting": self._feed.waiting,
            "journal_failed": self._robots.journal_failed,
        }
        return JSONResponse(document, headers=_NO_STORE)


def _explained(error: ValueError | LookupError | OverflowError) -> Response:
    if isinstance(error, UnknownRobot):
        return problem(404, f"robot: there is none with the name {error}")
    if isinstance(error, OverflowError):
        return problem(409, str(error))
    return problem(422, error if isinstance(error, ValidationError) else str(error))


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "number": fault.number,
        "kind": fault.kind,
        "robot": fault.robot,
        "times": fault.times,
        "delay_seconds": fault.delay,
        "delivers": fault.delivers,
        "errcode": fault.refusal.code if fault.kind is FaultKind.ERRCODE else None,
    }
