"""The signed links of messages as pages: GET shows and changes nothing, so that a preview of a link does nothing; POST acts."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.routing import Route

from dingtalk.errors import (
    GroupOver,
    GroupUnknown,
    LinkRefused,
    NothingNamed,
    NotifierError,
    StoreUnavailable,
    UpstreamFailed,
    WishMalformed,
)
from dingtalk.links import Claim, Purpose, Refusal
from dingtalk.outbox.rows import UsedLink
from dingtalk.people import wording
from dingtalk.people.wish import silence_wish, taker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dingtalk.clock import Clock
    from dingtalk.links import SignedLinks
    from dingtalk.people.desk import Desk
    from dingtalk.people.page import Page
    from dingtalk.people.standing import Standing

MAX_FORM_BYTES = 8_192
FORM_DEADLINE = 10.0
"""Seconds in which a form must have come."""
MAX_FIELDS = 20


class LinkPages:
    """`/ack/{token}`, `/silence/{token}` and `/show/{token}`. Addresses in the pages are relative: a gateway may put a prefix before them.

    Args:
        links: what a token allows.
        desk: where it is done.
        page: how it looks.
        clock: its wall half is used.
    """

    def __init__(self, *, links: SignedLinks, desk: Desk, page: Page, clock: Clock) -> None:
        self._links = links
        self._desk = desk
        self._page = page
        self._clock = clock

    def routes(self) -> Sequence[BaseRoute]:
        """The routes."""
        return [
            Route("/ack/{token}", self._answering(self._acknowledge), methods=["GET"]),
            Route("/ack/{token}", self._answering(self._take), methods=["POST"]),
            Route("/silence/{token}", self._answering(self._silence), methods=["GET"]),
            Route("/silence/{token}", self._answering(self._make_silence), methods=["POST"]),
            Route("/show/{token}", self._answering(self._show), methods=["GET"]),
        ]

    def _answering(self, act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return await act(request)
            except NotifierError as error:
                return self._page.refusal(*_in_words(error))

        return endpoint

    # Taking over.

    async def _acknowledge(self, request: Request) -> Response:
        claim = self._claim(request, Purpose.ACKNOWLEDGE)
        found = await self._desk.standing(claim.group)
        if (found.case is None or found.case.taken_by is None) and found.firing and await self._desk.link_used(_hash(request)):
            raise LinkRefused(Refusal.USED)
        return self._page.acknowledge(found, show=self._show_address(claim))

    async def _take(self, request: Request) -> Response:
        claim = self._claim(request, Purpose.ACKNOWLEDGE)
        form = await _form(request)
        found = await self._desk.standing(claim.group)
        show = self._show_address(claim)
        try:
            by = taker(form)
            taken = await self._desk.take(claim.group, by, link=_used(request, claim, by))
        except WishMalformed as error:
            return self._page.acknowledge(found, show=show, fault=_fault(error), by=form.get("by", ""), status=400)
        except GroupOver:
            return self._page.acknowledge(await self._desk.standing(claim.group), show=show, status=409)
        return self._page.acknowledge(found, show=show, taken=taken)

    # Silencing.

    async def _silence(self, request: Request) -> Response:
        claim = self._claim(request, Purpose.SILENCE)
        found = await self._desk.standing(claim.group)
        if await self._desk.link_used(_hash(request)):
            raise LinkRefused(Refusal.USED)
        return self._page.silence(found, _matchers(claim, found), show=self._show_address(claim))

    async def _make_silence(self, request: Request) -> Response:
        claim = self._claim(request, Purpose.SILENCE)
        form = await _form(request)
        found = await self._desk.standing(claim.group)
        show, matchers = self._show_address(claim), _matchers(claim, found)
        try:
            wish = silence_wish(form)
            done = await self._desk.silence(claim.group, wish, matchers=matchers, link=_used(request, claim, wish.by))
        except WishMalformed as error:
            return self._page.silence(found, matchers, show=show, fault=_fault(error), given=form, status=400)
        except UpstreamFailed:
            return self._page.silence(found, matchers, show=show, fault=wording.NOT_SILENCED, given=form, status=502)
        except LinkRefused as error:
            if Refusal(str(error)) is not Refusal.UNDER_WAY:
                raise
            words, status = _in_words(error)
            return self._page.silence(found, matchers, show=show, fault=words, given=form, status=status)
        return self._page.silenced(found, done, show=show)

    # Looking.

    async def _show(self, request: Request) -> Response:
        claim = self._claim(request, Purpose.SHOW)
        given = request.query_params.get("before", "")
        before = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
        found = await self._desk.standing(claim.group)
        receipts, more = await self._desk.receipts(claim.group, before=before)
        return await asyncio.to_thread(self._page.show, found, receipts, earlier=receipts[-1].id if more and receipts else None)

    def _claim(self, request: Request, purpose: Purpose) -> Claim:
        return self._links.verify(request.path_params["token"], purpose, now=self._clock.unix())

    def _show_address(self, claim: Claim) -> str:
        show = Claim(purpose=Purpose.SHOW, receiver=claim.receiver, group=claim.group, expires_at=claim.expires_at)
        return f"../{Purpose.SHOW}/{self._links.token(show)}"


def _matchers(claim: Claim, found: Standing) -> dict[str, str]:
    matchers = dict(claim.matchers) or found.group.matchers
    if not matchers:
        raise NothingNamed("the alerts of this group have no label in common")
    return matchers


def _hash(request: Request) -> str:
    return hashlib.sha256(request.path_params["token"].encode()).hexdigest()


def _used(request: Request, claim: Claim, by: str) -> UsedLink:
    return UsedLink(hash=_hash(request), who=by, expires_at=claim.expires_at)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    try:
        async with asyncio.timeout(FORM_DEADLINE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM_BYTES:
                    raise WishMalformed("form: too long")
        return dict(parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS))
    except (TimeoutError, ClientDisconnect, ValueError):
        raise WishMalformed("form: did not come, or is none") from None


def _fault(error: WishMalformed) -> str:
    return wording.WISHES[str(error).partition(":")[0]]


def _in_words(error: NotifierError) -> tuple[str, int]:
    """What a page says of an error, and the status of the answer."""
    match error:
        case LinkRefused():
            refusal = Refusal(str(error))
            return wording.REFUSALS[refusal], wording.REFUSAL_STATUS[refusal]
        case GroupUnknown():
            return wording.UNKNOWN_GROUP, 404
        case NothingNamed():
            return wording.NOTHING_NAMED, 409
        case WishMalformed():
            return wording.TOO_LONG, 400
        case StoreUnavailable():
            return wording.NOT_STORED, 503
    raise error
