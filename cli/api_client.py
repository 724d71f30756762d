"""The HTTP API of a running service, asked for JSON. No proxies, no redirects: the key goes to the host that was named."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.service_url import ServiceUrl

TIMEOUT = 10.0


class ServiceUnreachable(Exception):
    """Nothing answers there, or what answers is no such service; the message says which."""


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A status and the JSON object that came with it."""

    status: int
    body: dict[str, Any]  # JSON


class ApiClient:
    """Asks one service. A connection for each call.

    Args:
        timeout: seconds the service may take.
    """

    def __init__(self, url: ServiceUrl, *, api_key: str | None = None, timeout: float = TIMEOUT) -> None:
        self._url = url
        self._timeout = timeout
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})

    def get(self, path: str) -> JsonAnswer:
        """GET a path.

        Raises:
            ServiceUnreachable: no JSON object came back.
        """
        return self._ask("GET", path)

    def post(self, path: str, body: object) -> JsonAnswer:
        """POST JSON to a path.

        Raises:
            ServiceUnreachable: no JSON object came back.
        """
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> JsonAnswer:
        kind = http.client.HTTPSConnection if self._url.tls else http.client.HTTPConnection
        connection = kind(self._url.host, self._url.port, timeout=self._timeout)
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            connection.request(method, self._url.prefix + path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServiceUnreachable(f"nothing answers at {self._url} ({str(error) or type(error).__name__})") from error
        finally:
            connection.close()
        try:
            members = json.loads(content)
        except ValueError:
            members = None
        if not isinstance(members, dict):
            raise ServiceUnreachable(f"what answers at {self._url} is not mgeo (status {response.status}, no JSON)")
        return JsonAnswer(response.status, members)
