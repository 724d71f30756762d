"""Closing a connection without an answer, which ASGI by itself has no word for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

EXTENSION = "dingtalk.hang_up"


class HungUp(ConnectionError):
    """The connection was closed without an answer; in process, without a connection, the caller gets this."""


class HangUpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, whose applications can close the connection."""

    def on_message_begin(self) -> None:
        """Put the means into the scope of the request that begins."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"close": self.transport.abort}}


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection of a request that has not been answered.

    Raises:
        HungUp: the server has no such means.
    """
    extension = scope.get("extensions", {}).get(EXTENSION)
    if extension is None:
        message = "the simulator closes this connection without an answer"
        raise HungUp(message)
    extension["close"]()
    # Until the server has noticed: else it would say that the application gave no answer.
    while (await receive())["type"] != "http.disconnect":
        pass
