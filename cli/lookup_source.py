"""Where stories of past requests come from: the HTTP API of a running service, or the store in a data folder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from service.errors import InvalidInput, InvalidQuery, RequestNotFound, ServiceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cli.api_client import ApiClient, JsonAnswer
    from service.settings import Settings

Members = dict[str, Any]  # JSON

STORE_FILE = "telemetry.db"


class LookupRefused(ServiceError):
    """The service answered, but not with what was asked for; the message is its own."""


class LookupSource(Protocol):
    """Tells stories and finds requests by address, as the API's JSON."""

    name: str

    def story(self, request_id: str) -> Members:
        """The story of a request.

        Raises:
            RequestNotFound: nothing is known of it here.
        """
        ...

    def search(self, addresses: Sequence[str], limit: int) -> Members:
        """The newest requests that had every one of the addresses, on either side."""
        ...


class ApiSource:
    """The API of a running service.

    Raises:
        ServiceUnreachable: no service answers.
        LookupRefused: it refuses, such as for want of an API key.
    """

    def __init__(self, client: ApiClient, url: str) -> None:
        self.name = f"the service at {url}"
        self._client = client

    def story(self, request_id: str) -> Members:
        """`GET /v1/requests/{request_id}`."""
        return self._members(self._client.get(f"/v1/requests/{quote(request_id, safe=':')}"))

    def search(self, addresses: Sequence[str], limit: int) -> Members:
        """`POST /v1/requests/search`."""
        fields = {f"address{number}": address for number, address in enumerate(addresses, 1)}
        return self._members(self._client.post("/v1/requests/search", {**fields, "limit": limit}))

    def _members(self, answer: JsonAnswer) -> Members:
        if answer.status == 200:
            return answer.body
        if answer.body.get("error_type") == "request_not_found":
            raise RequestNotFound
        detail = answer.body.get("detail", "no reason given")
        hint = "; put the key into MGEO_API_KEY or --api-key-file" if answer.status == 401 else ""
        raise LookupRefused(f"{self.name} answered {answer.status}: {detail}{hint}")


class StoreSource:
    """The store in the data folder of the settings, read directly; no service need run.

    Raises:
        StoreError: it cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self.name = f"the store {settings.data_dir / STORE_FILE}"
        self._settings = settings

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is a store in a data folder."""
        return (folder / STORE_FILE).is_file()

    def story(self, request_id: str) -> Members:
        """Read and render as the API would."""
        from service.api.story import StoryRenderer
        from service.requeststore.sqlite import SqliteRequestStore
        from service.telemetry.names import SERVICE_NAME

        if not self.exists(self._settings.data_dir):
            raise RequestNotFound
        store = SqliteRequestStore(self._settings.data_dir / STORE_FILE, service=SERVICE_NAME)
        return StoryRenderer(self._settings.public_url).story(asyncio.run(store.story(request_id)))

    def search(self, addresses: Sequence[str], limit: int) -> Members:
        """Hash the addresses as an inference does, and read."""
        from service.api.story import StoryRenderer
        from service.hashing import AddressHasher, load_hash_key
        from service.preprocessing import clean
        from service.requeststore.base import Search
        from service.requeststore.sqlite import SqliteRequestStore
        from service.telemetry.names import SERVICE_NAME

        settings = self._settings
        if not self.exists(settings.data_dir):
            return {"requests": [], "next_cursor": None}
        hasher = AddressHasher(load_hash_key(settings.data_dir, settings.hash_key_file))
        try:
            cleaned = [clean(address, field="the address", max_length=settings.max_address_length, strict=False) for address in addresses]
        except InvalidInput as error:
            raise InvalidQuery("address", error.detail) from error
        store = SqliteRequestStore(settings.data_dir / STORE_FILE, service=SERVICE_NAME)
        hashes = [hasher.hash(address.text) for address in cleaned]
        page = asyncio.run(store.search(Search(address_hashes=hashes, limit=limit)))
        return StoryRenderer(settings.public_url).page(page)
