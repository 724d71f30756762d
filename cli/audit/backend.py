"""One store of the stack, asked for JSON over HTTP. No proxies, no redirects; what passes is tried again, within a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

ATTEMPTS = 4
PAUSE = 0.5
"""Seconds before the second attempt; twice as long before each further one."""
TIMEOUT = 60.0
"""Seconds an answer may take; Loki gives up after as many itself."""


class BackendUnread(Exception):
    """A store cannot be read, or not completely; the message says which, and why."""


class Refused(BackendUnread):
    """It answered that the request is wrong, which another attempt does not mend; `detail` is its own text."""

    def __init__(self, name: str, status: int, detail: str) -> None:
        super().__init__(f"{name} answered {status}: {detail or 'no reason given'}")
        self.status = status
        self.detail = detail


class Backend:
    """Asks one store.

    Args:
        kind: what it is, such as `Loki`.
        url: where its API is; a path prefix and credentials may be part of it, and the latter never print.
        client: shared by all stores.
        pause: seconds before the second attempt.
    """

    def __init__(self, kind: str, url: str, client: httpx.AsyncClient, *, pause: float = PAUSE) -> None:
        parts = urlsplit(url)
        self.name = f"{kind} at {parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._url = url.rstrip("/")
        self._client = client
        self._pause = pause

    async def get(self, path: str, params: Mapping[str, str], read: Callable[[Any], T], *, nothing: Sequence[int] = ()) -> T | None:
        """GET a path and read its JSON; None for a status in `nothing`.

        Raises:
            Refused: the store does not take the request.
            BackendUnread: it does not answer, several times, or what it answers cannot be read.
        """
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._pause * 2 ** (attempt - 1))
            try:
                response = await self._client.get(self._url + path, params=dict(params))
            except httpx.HTTPError as error:
                reason = f"does not answer ({str(error) or type(error).__name__})"
                continue
            if response.status_code in nothing:
                return None
            if response.status_code < 300:
                return self._read(response, read)
            if response.status_code < 500 and response.status_code != 429:
                raise Refused(self.name, response.status_code, " ".join(response.text.split())[:200])
            reason = f"answered {response.status_code}"
        raise BackendUnread(f"{self.name} {reason}, {ATTEMPTS} times")

    def _read(self, response: httpx.Response, read: Callable[[Any], T]) -> T:
        try:
            return read(response.json())
        except (ValueError, LookupError, TypeError, AttributeError):
            raise BackendUnread(f"{self.name} does not answer as it should; is the address right?") from None


def open_client(timeout: float = TIMEOUT) -> httpx.AsyncClient:
    """The client for all stores. Close it."""
    return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=httpx.Timeout(timeout, connect=5.0))
