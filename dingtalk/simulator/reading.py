"""`GET /messages` and `GET /attempts`: what tests and drills read, at once or as soon as there is something."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from dingtalk.simulator.feed import Feed
    from dingtalk.simulator.history import Attempt, Message
    from dingtalk.simulator.robots import RobotServer

MOST_WAIT = 60.0
MOST_ENTRIES = 1000
_NO_STORE = {"Cache-Control": "no-store"}


class Query(BaseModel):
    """What may be asked: entries after an index, of one robot or group, waiting for the first of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    robot: str | None = None
    group: str | None = None
    since: int = Field(default=0, ge=0)
    limit: int = Field(default=MOST_ENTRIES, ge=1, le=MOST_ENTRIES)
    wait: float = Field(default=0.0, ge=0, le=MOST_WAIT, allow_inf_nan=False)


class ReadApi:
    """The two lists, oldest first.

    `next` is the `since` of the next question. `oldest` is the index of the oldest entry that is kept of any robot, so that who
    was away too long can see a gap; null when none is kept.
    """

    def __init__(self, robots: RobotServer, feed: Feed) -> None:
        self._robots = robots
        self._feed = feed

    def routes(self) -> Sequence[BaseRoute]:
        """The routes."""
        return [Route("/messages", self._messages), Route("/attempts", self._attempts)]

    async def _messages(self, request: Request) -> Response:
        history = self._robots.history
        query = _query(request)
        if isinstance(query, Response):
            return query

        def fits(message: Message) -> bool:
            return query.robot in {None, message.robot} and query.group in {None, message.group}

        found = await self._feed.first(lambda: list(islice(filter(fits, history.messages(query.since)), query.limit)), query.wait)
        return _list("messages", found, query, oldest=next(history.messages(), None))

    async def _attempts(self, request: Request) -> Response:
        history = self._robots.history
        query = _query(request)
        if isinstance(query, Response):
            return query
        robots = {fact.name for fact in self._robots.facts() if fact.group == query.group}

        def fits(attempt: Attempt) -> bool:
            return query.robot in {None, attempt.robot} and (query.group is None or attempt.robot in robots)

        def find() -> list[Attempt]:
            kept: Iterator[Attempt] = filter(fits, history.attempts(query.since))
            return list(islice(kept, query.limit))

        return _list("attempts", await self._feed.first(find, query.wait), query, oldest=next(history.attempts(), None))


def _query(request: Request) -> Query | Response:
    try:
        return Query.model_validate(dict(request.query_params))
    except ValidationError as error:
        return problem(422, error)


def _list(name: str, found: Sequence[Message | Attempt], query: Query, *, oldest: Message | Attempt | None) -> Response:
    document: dict[str, Any] = {
        name: [each.document() for each in found],
        "next": found[-1].index if found else query.since,
        "oldest": oldest.index if oldest is not None else None,
    }
    return JSONResponse(document, headers=_NO_STORE)


def problem(status: int, error: ValidationError | str) -> Response:
    """An error of the simulator's own API, in words."""
    if isinstance(error, str):
        text = error
    else:
        text = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors())
    return JSONResponse({"error": text}, status, _NO_STORE)
