"""`/v1/requests`: the story of one request, the search over recent ones, and the search by address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from service.api.accept import prefers_html
from service.api.body import parse_json, read_body, require_json
from service.api.openapi import STORY_OPERATION, address_search_operation, search_operation
from service.api.problem import json_bytes
from service.api.query import parse_everywhere, parse_limit, parse_search
from service.errors import ErrorType, InvalidInput, InvalidQuery, RequestNotFound
from service.preprocessing import ADDRESS_FIELDS, clean
from service.requeststore.base import RequestPage, Search
from service.telemetry.ids import is_inference_id

if TYPE_CHECKING:
    from service.api.pages import Pages
    from service.api.story import StoryRenderer
    from service.requeststore.base import RequestStore

_FORM = "application/x-www-form-urlencoded"
_NEGOTIATED = {"Vary": "Accept", "Cache-Control": "no-store"}


class Hasher(Protocol):
    """Makes the keyed hash under which an address is found again."""

    def hash(self, cleaned_text: str) -> str:
        """The hash of an address as the model sees it."""
        ...


class RequestsApi:
    """The three routes over past requests; JSON, or a page when a browser asks.

    Args:
        store: where they are kept.
        hasher: the one whose hashes are kept there.
        max_address_length: characters an address is cut to before it is hashed, as in an inference.
        body_limit: bytes of a body.
        renderer: makes the JSON members.
        pages: makes the pages of them.
    """

    def __init__(
        self, *, store: RequestStore, hasher: Hasher, max_address_length: int, body_limit: int, renderer: StoryRenderer, pages: Pages
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._max_address_length = max_address_length
        self._body_limit = body_limit
        self._renderer = renderer
        self._pages = pages

    def router(self) -> APIRouter:
        """The routes, with their part of the OpenAPI document."""
        router = APIRouter(tags=["requests"])
        by_facts, by_address = (make(everywhere=self._store.searches_everywhere) for make in (search_operation, address_search_operation))
        router.add_api_route("/v1/requests", self._search, operation_id="search_requests", **by_facts)
        router.add_api_route("/v1/requests/search", self._search_addresses, methods=["POST"], operation_id="search_addresses", **by_address)
        router.add_api_route("/lookup", self._lookup, include_in_schema=False)
        router.add_api_route("/v1/requests/{request_id}", self._story, operation_id="request_story", **STORY_OPERATION)
        return router

    async def _story(self, request: Request) -> Response:
        """What happened to it: timeline, log lines, outcome in words, batch, and what else ran then."""
        request_id = request.path_params["request_id"]
        if not is_inference_id(request_id):
            raise RequestNotFound
        story = self._renderer.story(await self._store.story(request_id))
        if prefers_html(request.headers.get("accept", "")):
            return self._pages.story(story)
        return _json(story)

    async def _lookup(self, request: Request) -> Response:
        """Where the forms of the pages send an id, since a form cannot write into a path."""
        request_id = request.query_params.get("request_id", "").strip()
        if not is_inference_id(request_id):
            raise RequestNotFound
        return RedirectResponse(f"/v1/requests/{request_id}", status_code=303)

    async def _search(self, request: Request) -> Response:
        """By outcome, time, latency and label."""
        search = parse_search(request.query_params.multi_items())
        page = self._renderer.page(await self._store.search(search))
        if prefers_html(request.headers.get("accept", "")):
            return self._pages.search(page, dict(request.query_params))
        return _json(page)

    async def _search_addresses(self, request: Request) -> Response:
        body = await self._address_body(request)
        hashes = [self._hash(field, body[field]) for field in ADDRESS_FIELDS if body.get(field) is not None]
        if not hashes:
            raise InvalidInput(ErrorType.MISSING_FIELD, "Give address1, address2 or both.", field="address1")
        cursor = body.get("cursor")
        if not (cursor is None or isinstance(cursor, str)):
            raise InvalidQuery("cursor", "cursor is the text of next_cursor.")
        everywhere = parse_everywhere(body.get("everywhere", False))
        found: RequestPage = await self._store.search(
            Search(address_hashes=hashes, limit=parse_limit(body.get("limit", 50)), cursor=cursor or None, everywhere=everywhere)
        )
        page = self._renderer.page(found)
        if prefers_html(request.headers.get("accept", "")):
            return self._pages.address_search(page, everywhere=everywhere)
        return _json(page)

    async def _address_body(self, request: Request) -> dict[str, object]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            raw = await read_body(request.receive, request.headers, limit=self._body_limit)
            return {name: value for name, value in parse_qsl(raw.decode("utf-8", "replace")) if value.strip()}
        require_json(request.headers)
        body = parse_json(await read_body(request.receive, request.headers, limit=self._body_limit))
        if not isinstance(body, dict):
            raise InvalidInput(ErrorType.WRONG_TYPE, 'The body must be a JSON object: {"address1": "…"}.')
        return body

    def _hash(self, field: str, value: object) -> str:
        return self._hasher.hash(clean(value, field=field, max_length=self._max_address_length, strict=False).text)


def _json(members: object) -> Response:
    return Response(json_bytes(members), headers=_NEGOTIATED, media_type="application/json")
