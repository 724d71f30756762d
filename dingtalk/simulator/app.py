"""The composition root of the simulator: every object built, every route listed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dingtalk.clock import Clock
from dingtalk.simulator.control import ControlApi
from dingtalk.simulator.feed import Feed
from dingtalk.simulator.journal import FileJournal
from dingtalk.simulator.page import GroupPage
from dingtalk.simulator.reading import ReadApi
from dingtalk.simulator.robots import RobotServer
from dingtalk.simulator.sending import SendApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from dingtalk.simulator.sending import Sleep
    from dingtalk.simulator.settings import Settings

# Lines added to the journal for each entry that is kept, before all are summed up: seldom, for that writes the whole file.
_LINES_FOR_ONE = 2


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    sleep: Sleep = asyncio.sleep,
    feed: Feed | None = None,
    announce: Callable[[], None] = lambda: None,
) -> Starlette:
    """A DingTalk with these robots.

    Args:
        settings: robots and rules. With a journal, what it holds is there again.
        clock: both clocks; the machine's when none is given.
        sleep: waits seconds, for slow answers.
        feed: closed by who ends the server, so that nobody waits any more.
        announce: called when calls are about to be served.
    """
    clock, feed = clock or Clock(), feed or Feed()
    journal = FileJournal(settings.journal, settings.keep * _LINES_FOR_ONE) if settings.journal is not None else None
    robots = RobotServer(settings, clock=clock, journal=journal)
    if journal is not None:
        robots.restore(journal.entries())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        announce()
        yield
        feed.close()

    return Starlette(
        routes=[
            *SendApi(robots, feed, sleep).routes(),
            *ReadApi(robots, feed).routes(),
            *ControlApi(robots, feed).routes(),
            *GroupPage(robots, clock).routes(),
            Route("/livez", _alive),
        ],
        lifespan=lifespan,
    )


async def _alive(_request: Request) -> Response:
    return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})
