"""One program of the stack, asked over HTTP; what fails says which program and why. No proxies for it, and no redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx

from dingtalk.errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class Upstream:
    """Asks one program.

    Args:
        kind: what it is, such as `Prometheus`.
        url: where it is; a path prefix and a login may be part of it, and the latter never prints.
        client: shared.
        setting: the entry of the configuration that has the URL.
        timeout: seconds an answer may take.
    """

    def __init__(self, kind: str, url: str, client: httpx.AsyncClient, *, setting: str, timeout: float) -> None:
        self.where = f"{kind} at {urlsplit(url).netloc.rpartition('@')[2]}"
        self._url = url.rstrip("/")
        self._client = client
        self._setting = setting
        self._timeout = timeout

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # httpx's own keywords
        """Ask, and have it answered well.

        Raises:
            UpstreamFailed: it does not answer, or refuses.
        """
        try:
            response = await self._client.request(method, self._url + path, timeout=self._timeout, follow_redirects=False, **more)
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"{self.where} does not answer ({str(error) or type(error).__name__})") from error
        if response.status_code >= 300:
            raise UpstreamFailed(f"{self.where} answered {response.status_code}: {' '.join(response.text.split())[:200]}")
        return response

    async def get(self, path: str, params: Mapping[str, str], read: Callable[[Any], T]) -> T:
        """Read the JSON of a path.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        response = await self.ask("GET", path, params=dict(params))
        try:
            return read(response.json())
        except (ValueError, LookupError, TypeError, AttributeError):
            raise UpstreamFailed(f"{self.where} does not answer as it should; is {self._setting} right?") from None
