"""Where stories of past requests come from: the HTTP API of a running service, or the store in a data folder."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from cli.api_client import ServiceUnreachable
from service.errors import InvalidInput, InvalidQuery, RequestNotFound, ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cli.api_client import ApiClient, JsonAnswer
    from service.api.story import StoryRenderer
    from service.requeststore.base import RequestStore
    from service.settings import Settings

Members = dict[str, Any]  # JSON

STORE_FILE = "telemetry.db"


class SourceUnavailable(Exception):
    """There is nothing to ask: no service answers, or there is no store. The message says which."""


class LookupRefused(ServiceError):
    """The service answered, but not with what was asked for; the message is its own."""


class LookupSource(Protocol):
    """Tells stories and finds requests by address, as the API's JSON."""

    name: str

    def story(self, request_id: str) -> Members:
        """The story of a request.

        Raises:
            RequestNotFound: nothing is known of it here.
            SourceUnavailable: there is nothing to ask.
        """
        ...

    def search(self, addresses: Sequence[str], limit: int, *, everywhere: bool) -> Members:
        """The newest requests that had every one of the addresses, on either side; `everywhere`: on all boxes that send to the stack.

        Raises:
            SourceUnavailable: there is nothing to ask.
        """
        ...


class ApiSource:
    """The API of a running service. Raises LookupRefused when it refuses, such as for want of an API key."""

    def __init__(self, client: ApiClient, url: str) -> None:
        self.name = f"the service at {url}"
        self._client = client

    def story(self, request_id: str) -> Members:
        """`GET /v1/requests/{request_id}`."""
        return self._members(self._client.get, f"/v1/requests/{quote(request_id, safe=':')}")

    def search(self, addresses: Sequence[str], limit: int, *, everywhere: bool) -> Members:
        """`POST /v1/requests/search`."""
        fields: dict[str, object] = {f"address{number}": address for number, address in enumerate(addresses, 1)}
        if everywhere:
            fields["everywhere"] = True
        return self._members(self._client.post, "/v1/requests/search", {**fields, "limit": limit})

    def _members(self, ask: Callable[..., JsonAnswer], *asked: object) -> Members:
        try:
            answer = ask(*asked)
        except ServiceUnreachable as error:
            raise SourceUnavailable(str(error)) from error
        if answer.status == 200:
            return answer.body
        if answer.body.get("error_type") == "request_not_found":
            raise RequestNotFound
        detail = answer.body.get("detail", "no reason given")
        hint = "; put the key into MGEO_API_KEY or --api-key-file" if answer.status == 401 else ""
        raise LookupRefused(f"{self.name} answered {answer.status}: {detail}{hint}")


class StoreSource:
    """The store in the data folder of the settings, and the stack they name, asked directly; no service need run.

    Raises StoreError when neither can be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.data_dir / STORE_FILE
        stack = settings.jaeger_url or settings.loki_url
        self.name = f"the store {self._path}" if self._path.is_file() or not stack else "the stack"
        self._settings = settings

    def story(self, request_id: str) -> Members:
        """Read and render as the API would."""

        async def tell() -> Members:
            async with self._store() as store:
                return self._renderer().story(await store.story(request_id))

        return asyncio.run(tell())

    def search(self, addresses: Sequence[str], limit: int, *, everywhere: bool) -> Members:
        """Hash the addresses as an inference does, and read."""
        from service.requeststore.base import Search

        async def find() -> Members:
            async with self._store() as store:
                search = Search(address_hashes=self._hashes(addresses), limit=limit, everywhere=everywhere)
                return self._renderer().page(await store.search(search))

        return asyncio.run(find())

    def _renderer(self) -> StoryRenderer:
        from service.api.links import StackLinks
        from service.api.story import StoryRenderer

        return StoryRenderer(self._settings.public_url, stack=StackLinks.of(self._settings))

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[RequestStore]:
        from service.requeststore.layered import LayeredRequestStore
        from service.requeststore.sqlite import SqliteRequestStore
        from service.requeststore.stack import StackRequestStore, stack_client, stack_wanted
        from service.telemetry.names import SERVICE_NAME

        async with stack_client() as client:
            stack = StackRequestStore.of(self._settings, client)
            store: RequestStore
            if self._path.is_file():
                embedded = SqliteRequestStore(self._path, service=SERVICE_NAME)
                store = LayeredRequestStore(embedded, stack) if stack_wanted(self._settings) else embedded
            elif stack.knows_requests:
                store = stack
            else:
                raise SourceUnavailable(f"there is no store {self._path}")
            try:
                yield store
            finally:
                store.close()

    def _hashes(self, addresses: Sequence[str]) -> list[str]:
        from service.hashing import KEY_FILE, AddressHasher, load_hash_key
        from service.preprocessing import clean

        folder = self._settings.data_dir
        if self._settings.hash_key_file is None and not (folder / KEY_FILE).is_file():
            # A new key would find nothing.
            raise SourceUnavailable(f"{folder} has no hash key to find addresses by; name the service's with MGEO_HASH_KEY_FILE")
        hasher = AddressHasher(load_hash_key(self._settings.data_dir, self._settings.hash_key_file))
        longest = self._settings.max_address_length
        try:
            cleaned = [clean(address, field="the address", max_length=longest, strict=False) for address in addresses]
        except InvalidInput as error:
            raise InvalidQuery("address", error.detail) from error
        return [hasher.hash(address.text) for address in cleaned]
