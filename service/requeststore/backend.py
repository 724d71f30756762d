"""One store of the stack, asked over HTTP for JSON: in bounded time, with its failures in words."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from service.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

R = TypeVar("R")

# An answer is read whole; what is larger than any that was asked for is not read on.
MAX_ANSWER_BYTES = 16_777_216
_LARGE = 131_072


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A status and the JSON that came with it."""

    status: int
    body: Any  # JSON


class Backend:
    """Asks one store.

    Args:
        client: shared with others; not closed here.
        name: what messages call the store.
        url: where its API is, perhaps with user and password, which no message repeats.
        timeout: seconds one answer may take, from the wish to ask until it is read.
    """

    def __init__(self, client: httpx.AsyncClient, *, name: str, url: str, timeout: float) -> None:
        self._client = client
        self.name = name
        self._url = url.rstrip("/")
        self.timeout = timeout

    async def ask(
        self,
        path: str,
        read: Callable[[JsonAnswer], R],
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> R:
        """GET a path; what `read` makes of the answer, which has status 200 or 404.

        Raises:
            BackendFailed: there is no answer in time, none at all, one of another status, or one that `read` cannot understand.
        """
        try:
            async with asyncio.timeout(self.timeout):
                status, content = await self._get(path, params, headers or {})
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self.failed(f"did not answer within {self.timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self.failed(f"cannot be reached ({_reason(error)})") from error
        if status not in {200, 404}:
            raise self.failed(f"answered with status {status}")
        if len(content) > _LARGE:
            # Beside the event loop, where requests are answered meanwhile.
            return await asyncio.to_thread(self._understood, status, content, read)
        return self._understood(status, content, read)

    def _understood(self, status: int, content: bytes, read: Callable[[JsonAnswer], R]) -> R:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.failed("answered with something that is not JSON") from error
        try:
            return read(JsonAnswer(status, body))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise self.failed("gave an answer that cannot be understood") from error

    def failed(self, how: str) -> BackendFailed:
        """The error that says so."""
        return BackendFailed(f"{self.name} {how}")

    async def _get(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        async with self._client.stream("GET", self._url + path, params=params, headers=headers) as response:
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise self.failed("gave an answer that is too long")
            return response.status_code, bytes(content)


def _reason(error: Exception) -> str:
    """Why, without the address, which may hold a password."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            # By its number: asyncio puts the address into the text. Only those of name look-ups are below nought.
            return (os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)).lower()
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
