"""Gives up work whose caller has closed the connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from service.errors import ClientDisconnected, ErrorType

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import Receive

T = TypeVar("T")


async def unless_disconnected(work: Awaitable[T], receive: Receive) -> T:
    """Await `work` in the current task, and cancel it there when the caller goes away.

    The body of the request must have been read to its end, since this takes every further message. The work begins before
    the watch does, so it always runs far enough to handle its own cancellation.

    Raises:
        ClientDisconnected: the caller has gone; the work has seen its cancellation and ended.
        asyncio.CancelledError: someone else cancelled the task.
    """
    task = asyncio.current_task()
    assert task is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch(), name="disconnect watch")
    try:
        return await work
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:
            raise ClientDisconnected(ErrorType.CLIENT_DISCONNECTED) from None
        raise
    finally:
        watcher.cancel()
