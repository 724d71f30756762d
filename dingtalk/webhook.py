"""Where Alertmanager posts: what it sends is on the disk before it is told so.

It tries again only after a 5xx, and forgets what ended meanwhile; so whatever could succeed later is a 503, and 4xx is for bytes that
never will.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from dingtalk.alert import AlertStatus
from dingtalk.errors import PayloadError, StoreUnavailable
from dingtalk.heartbeat import WATCHDOG
from dingtalk.log import Event
from dingtalk.metrics import Result
from dingtalk.notice import Notice
from dingtalk.payload import parse
from dingtalk.traces import NoTraces

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.log import Log
    from dingtalk.metrics import Metrics
    from dingtalk.outbox.rows import Accepted
    from dingtalk.outbox.store import Outbox
    from dingtalk.trace_ids import TraceIds
    from dingtalk.traces import Receiving, Traces
    from dingtalk.watch.pulse import Pulse
    from dingtalk.worker import Worker

MAX_BYTES = 64 * 1024 * 1024
"""Of one body."""
MAX_BYTES_AT_ONCE = 2 * MAX_BYTES
"""Of all bodies that are being read; more is a 503."""
TOO_LARGE_AGAIN = 3600.0
"""Seconds until a receiver is told again that something for it was too large; Alertmanager sends it again every few minutes."""
READ_DEADLINE = 60.0
"""Seconds in which a body must have come."""


class Guard:
    """Who may post: whoever has the token, or the name and password; everybody when neither is set.

    Args:
        config: has them.
    """

    def __init__(self, config: Config) -> None:
        self._token = config.token.get_secret_value().encode() if config.token is not None else None
        password = config.password.get_secret_value() if config.password is not None else None
        self._pair = f"{config.username}:{password}".encode() if password is not None else None

    def admits(self, authorization: str) -> bool:
        """Judge an Authorization header; the time it takes does not tell how much of a secret was right."""
        if self._token is None and self._pair is None:
            return True
        scheme, _, value = authorization.partition(" ")
        # Starlette reads headers as Latin-1; so the bytes are those that came.
        if scheme.lower() == "bearer" and self._token is not None:
            return hmac.compare_digest(value.strip().encode("latin-1"), self._token)
        if scheme.lower() == "basic" and self._pair is not None:
            try:
                given = base64.b64decode(value.strip(), validate=True)
            except (binascii.Error, ValueError):
                return False
            return hmac.compare_digest(given, self._pair)
        return False

    def refusal(self) -> Response:
        """The answer to whoever is not admitted."""
        challenge = "Bearer" if self._token is not None else 'Basic realm="mgeo notifier"'
        return JSONResponse({"error": "authentication is needed"}, status_code=401, headers={"WWW-Authenticate": challenge})


class Webhook:
    """`POST /v1/alertmanager/{receiver}`.

    Args:
        config: receivers and bounds.
        guard: who may post.
        outbox: where it is stored.
        worker: is woken.
        pulse: hears of Watchdog.
        metrics, log: how each call ended.
        clock: both clocks.
        traces: a span for each call of those who may post.
    """

    def __init__(
        self,
        config: Config,
        *,
        guard: Guard,
        outbox: Outbox,
        worker: Worker,
        pulse: Pulse,
        metrics: Metrics,
        log: Log,
        clock: Clock,
        traces: Traces | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._traces = traces or NoTraces()
        self._config = config
        self._guard = guard
        self._outbox = outbox
        self._worker = worker
        self._pulse = pulse
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._max_bytes = max_bytes
        self._known = {receiver.name for receiver in config.receivers}
        self._reading = 0
        self._degraded = False
        self._closing = False

    def close(self) -> None:
        """From now on nothing is stored any more; Alertmanager tries again until the next process listens."""
        self._closing = True

    @property
    def closing(self) -> bool:
        """Whether it stores nothing any more."""
        return self._closing

    async def post(self, request: Request) -> Response:
        """Store one notification."""
        name = request.path_params["receiver"]
        receiver = self._config.receiver(name).name
        if not self._guard.admits(request.headers.get("authorization", "")):
            return self._refused(Result.REFUSED, receiver, self._guard.refusal())
        with self._traces.receiving(request.headers.get("traceparent", ""), receiver) as receiving:
            response = await self._admitted(request, name, receiver, receiving)
            receiving.answered(response.status_code)
            return response

    async def _admitted(self, request: Request, name: str, receiver: str, receiving: Receiving) -> Response:
        if self._closing:
            return self._unavailable("the notifier is shutting down")
        try:
            body = await self._body(request)
        except _TooLarge as error:
            return await self._too_large(receiver, error.size)
        except (StoreUnavailable, TimeoutError, ClientDisconnect) as error:
            return self._unavailable(str(error) or "the body did not come")
        try:
            if name == self._config.heartbeat_receiver:
                return await self._alive(body, receiver)
            return await self._stored(body, receiver, receiving, known=name in self._known)
        finally:
            self._reading -= len(body)

    async def _stored(self, body: bytes, receiver: str, receiving: Receiving, *, known: bool) -> Response:
        try:
            accepted = await asyncio.to_thread(self._store, body, receiver, receiving.ids)
        except PayloadError as error:
            return self._refused(Result.REFUSED, receiver, JSONResponse({"error": str(error)}, status_code=400))
        except StoreUnavailable as error:
            return self._cannot_store(error)
        self._can_store()
        if accepted.duplicate:
            receiving.duplicate()
            self._metrics.received(Result.DUPLICATE)
            return JSONResponse({"stored": accepted.id, "duplicate": True})
        self._metrics.received(Result.STORED if known else Result.UNKNOWN_RECEIVER)
        self._worker.wake()
        return JSONResponse({"stored": accepted.id})

    def _store(self, body: bytes, receiver: str, trace: TraceIds | None) -> Accepted:
        notification = parse(body, receiver=receiver, now=self._clock.unix())
        return self._outbox.receive(notification, body, replica_window=self._config.replica_window * self._config.scale, trace=trace)

    async def _alive(self, body: bytes, receiver: str) -> Response:
        """Pass a sign of life on. An end is none, nor does a notifier live that could store no alert."""
        try:
            notification = await asyncio.to_thread(parse, body, receiver=receiver, now=self._clock.unix())
            await asyncio.to_thread(self._outbox.check)
        except PayloadError as error:
            return self._refused(Result.REFUSED, receiver, JSONResponse({"error": str(error)}, status_code=400))
        except StoreUnavailable as error:
            return self._cannot_store(error)
        self._can_store()
        alive = any(alert.name == WATCHDOG and alert.status is AlertStatus.FIRING for alert in notification.alerts)
        if alive:
            self._pulse.watchdog()
        self._metrics.received(Result.HEARTBEAT)
        return JSONResponse({"heartbeat": alive})

    def _cannot_store(self, error: StoreUnavailable) -> Response:
        if not self._degraded:
            self._degraded = True
            self._log.write(Event.STORE_DEGRADED)
        return self._unavailable(str(error))

    def _can_store(self) -> None:
        if self._degraded:
            self._degraded = False
            self._log.write(Event.STORE_RECOVERED)

    async def _body(self, request: Request) -> bytes:
        """The body; its length is counted in `_reading` when it is returned, and the caller takes it off again."""
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit():
            self._check(int(declared[:20]))
        body = bytearray()
        try:
            async with asyncio.timeout(READ_DEADLINE):
                async for chunk in request.stream():
                    body += chunk
                    self._reading += len(chunk)
                    self._check(len(body))
        except BaseException:
            self._reading -= len(body)
            raise
        return bytes(body)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise _TooLarge(size)
        if self._reading > MAX_BYTES_AT_ONCE:
            raise StoreUnavailable("too much is being received at once")

    async def _too_large(self, receiver: str, size: int) -> Response:
        try:
            await asyncio.to_thread(
                lambda: self._worker.notices.say_seldom(receiver, Notice.TOO_LARGE, pause=TOO_LARGE_AGAIN, receiver=receiver, bytes=size)
            )
        except StoreUnavailable as error:
            # Nobody could be told that it was refused, so it shall come again.
            return self._unavailable(str(error))
        self._worker.wake()
        words = {"error": f"a notification may have {self._max_bytes} bytes", "bytes": size}
        return self._refused(Result.TOO_LARGE, receiver, JSONResponse(words, status_code=413, headers={"Connection": "close"}))

    def _refused(self, result: Result, receiver: str, response: Response) -> Response:
        self._metrics.received(result)
        self._log.write(Event.REFUSED, subject=receiver, words=f"HTTP {response.status_code}")
        return response

    def _unavailable(self, reason: str) -> Response:
        self._metrics.received(Result.UNAVAILABLE)
        return JSONResponse({"error": "unavailable", "reason": reason}, status_code=503)


class _TooLarge(Exception):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size
