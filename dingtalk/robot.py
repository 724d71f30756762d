"""One call of a robot: signed, with a deadline, and its answer as one of a closed set. The token stays in here."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

import httpx

from dingtalk import signature
from dingtalk.answer import Answer, classify, unanswered

if TYPE_CHECKING:
    from dingtalk.clock import Clock
    from dingtalk.config import Robot
    from dingtalk.part import Part

TIMEOUT = 15.0
"""Seconds for the whole call; a message with a slow image may be in the group before DingTalk answers."""
CONNECT_TIMEOUT = 5.0
MAX_ANSWER = 65_536
"""Bytes of an answer that are read."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class Sends(Protocol):
    """Sends one message."""

    async def send(self, robot: Robot, part: Part, msg_uuid: str) -> Answer:
        """Make one attempt; whatever happens is an answer."""


def robot_http_client(*, timeout: float = TIMEOUT) -> httpx.AsyncClient:
    """A client as robots need it: certificates are verified, and the redirect that answers for a silenced robot is not followed."""
    # One for all transports: reading the certificates takes longer than all else of a start.
    context = httpx.create_ssl_context()
    return httpx.AsyncClient(
        verify=context,
        follow_redirects=False,
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        # A simulator on this machine is not reached through the proxy that leads out of it.
        mounts={f"all://{host}": httpx.AsyncHTTPTransport(verify=context) for host in ("localhost", "127.0.0.1")},
    )


class RobotClient:
    """Sends to DingTalk.

    Args:
        http: from `robot_http_client`; whoever made it closes it.
        clock: both clocks.
        timeout: seconds for a whole call.
    """

    def __init__(self, http: httpx.AsyncClient, *, clock: Clock, timeout: float = TIMEOUT) -> None:
        self._http = http
        self._clock = clock
        self._timeout = timeout
        # It writes the address of each call at INFO, and the token is in the address.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    async def send(self, robot: Robot, part: Part, msg_uuid: str) -> Answer:
        """Make one attempt. No failure is raised, since each is one of the answers; a cancelled call is."""
        parameters = {"access_token": robot.token.get_secret_value()}
        if robot.secret is not None:
            parameters |= signature.signed(robot.secret.get_secret_value(), now=self._clock.unix())
        try:
            async with asyncio.timeout(self._timeout):
                return await self._call(robot.url, parameters, part.body(msg_uuid))
        except TimeoutError:
            return unanswered("no answer in time", sent=True)
        except _NEVER_SENT as error:
            return unanswered(f"not connected ({type(error).__name__})", sent=False)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return unanswered(f"no answer ({type(error).__name__})", sent=True)

    async def _call(self, url: str, parameters: dict[str, str], body: bytes) -> Answer:
        headers = {"content-type": "application/json; charset=utf-8"}
        began = self._clock.unix()
        # The library encodes the parameters; encoded here too, the signature would be wrong.
        async with self._http.stream("POST", url, params=parameters, content=body, headers=headers) as response:
            ended = self._clock.unix()
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) >= MAX_ANSWER:
                    break
            classified = classify(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=bytes(answer[:MAX_ANSWER]),
            )
            return replace(classified, clock_skew=_skew(response.headers.get("date"), began, ended))


def _skew(date: str | None, began: float, ended: float) -> float | None:
    """Seconds our clock is ahead of a Date header, which has whole seconds; 0 within what the call and the rounding leave open."""
    if not date:
        return None
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    if began > theirs + 1:
        return began - (theirs + 1)
    return min(0.0, ended - theirs)
