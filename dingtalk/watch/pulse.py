"""The box's side: tells each watcher that the whole path of alerts works, and until when it may be silent."""

from __future__ import annotations

import asyncio
import json
import secrets
from functools import partial
from typing import TYPE_CHECKING

import httpx

from dingtalk.heartbeat import Heartbeat, signature
from dingtalk.log import Event
from dingtalk.metrics import HeartbeatResult

if TYPE_CHECKING:
    from dingtalk.clock import Clock
    from dingtalk.config import Config, Watcher
    from dingtalk.log import Log
    from dingtalk.metrics import Metrics
    from dingtalk.watch.maintenance import Maintenance

PATH = "/v1/heartbeat"
SIGNATURE_HEADER = "X-Mgeo-Signature"
TIMEOUT = 10.0
"""Seconds for a whole call."""
_MAX_ANSWER = 4096
_MAX_REASON = 200


class Pulse:
    """Sends heartbeats, as well as it can: the next one comes in a minute.

    Args:
        config: the watchers.
        http: without redirects; whoever made it closes it.
        metrics, log: how they ended; an outage is one line.
        clock: its wall half is used.
    """

    def __init__(self, config: Config, *, http: httpx.AsyncClient, metrics: Metrics, log: Log, clock: Clock) -> None:
        self._watchers = config.watchers
        self._http = http
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._quiet: Maintenance | None = None
        self._one_at_a_time = {watcher.name: asyncio.Lock() for watcher in config.watchers}
        self._failing: set[str] = set()
        self._tasks: dict[str, asyncio.Task[str]] = {}

    def keep_quiet(self, maintenance: Maintenance | None) -> None:
        """Every heartbeat from now on speaks of a maintenance, or of none."""
        self._quiet = maintenance

    def watchdog(self) -> None:
        """Watchdog came."""
        self._metrics.watchdog(self._clock.unix())
        self.beat()

    def beat(self) -> None:
        """Tell every watcher, later; one that has not answered the last time is not told twice at once."""
        for watcher in self._watchers:
            if watcher.name not in self._tasks:
                task = asyncio.create_task(self._send(watcher))
                self._tasks[watcher.name] = task
                task.add_done_callback(partial(self._forget, watcher.name))

    async def tell(self) -> dict[str, str]:
        """Tell every watcher now; by watcher why it was not told, empty where it was."""
        reasons = await asyncio.gather(*(self._send(watcher) for watcher in self._watchers))
        return {watcher.name: reason for watcher, reason in zip(self._watchers, reasons, strict=True)}

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, name: str, _: asyncio.Task[str]) -> None:
        self._tasks.pop(name, None)

    async def _send(self, watcher: Watcher) -> str:
        # One after the other, and each written when it is its turn: so none speaks of a maintenance that another one ended.
        async with self._one_at_a_time[watcher.name]:
            result, reason = await self._call(watcher)
        self._metrics.heartbeat(watcher.name, result)
        if result is HeartbeatResult.TAKEN:
            if watcher.name in self._failing:
                self._failing.discard(watcher.name)
                self._log.write(Event.WATCHER_RECOVERED, subject=watcher.name)
        elif watcher.name not in self._failing:
            self._failing.add(watcher.name)
            self._log.write(Event.WATCHER_FAILED, subject=watcher.name, words=reason)
        return reason

    async def _call(self, watcher: Watcher) -> tuple[HeartbeatResult, str]:
        body = self._heartbeat(watcher.box).body()
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature(body, watcher.key.get_secret_value())}
        answer = bytearray()
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._http.stream("POST", watcher.url.rstrip("/") + PATH, content=body, headers=headers) as response,
            ):
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) >= _MAX_ANSWER:
                        break
        except TimeoutError:
            return HeartbeatResult.FAILED, "it does not answer in time"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            return HeartbeatResult.FAILED, f"it does not answer ({type(error).__name__})"
        # Only what a watcher says: any page of a proxy has 200.
        if response.status_code == 204:
            return HeartbeatResult.TAKEN, ""
        refused = 400 <= response.status_code < 500
        return HeartbeatResult.REFUSED if refused else HeartbeatResult.FAILED, f"it answers {response.status_code}{_said(bytes(answer))}"

    def _heartbeat(self, box: str) -> Heartbeat:
        quiet = self._quiet
        return Heartbeat(
            box=box,
            sent_at=self._clock.unix(),
            nonce=secrets.token_hex(16),
            quiet_until=None if quiet is None else quiet.ends_at,
            quiet_from=None if quiet is None else quiet.starts_at,
        )


def _said(answer: bytes) -> str:
    try:
        error = json.loads(answer)["error"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    text = "".join(c for c in error if c.isprintable())[:_MAX_REASON] if isinstance(error, str) else ""
    return text and f": {text}"
