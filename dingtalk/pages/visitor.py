"""Who may look at the pages, and from which page a form may come."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from dingtalk.config import Config
    from dingtalk.webhook import Guard

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Visitors:
    """Admits whoever the guard admits, and callers of this machine.

    Args:
        config: whether there is a password, which a browser can ask for.
        guard: who may post.
    """

    def __init__(self, config: Config, guard: Guard) -> None:
        self._guard = guard
        # A browser can ask for a name and a password, but for no token.
        self._challenge = 'Basic realm="mgeo notifier", charset="UTF-8"' if config.password is not None else "Bearer"

    def admits(self, request: Request) -> bool:
        """Whether a caller may look.

        A caller of this machine is either somebody who works on it or its gateway, which has a login of its own and keeps that password
        to itself. What a gateway says of its caller's address is not asked: the connection counts.
        """
        return self._guard.admits(request.headers.get("authorization", "")) or (
            request.client is not None and is_loopback(request.client.host)
        )

    @property
    def challenge(self) -> str:
        """The `WWW-Authenticate` of a refusal."""
        return self._challenge


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_own_form(headers: Mapping[str, str]) -> bool:
    """Whether a form was sent by a page of this server: by what the browser says of it, which another page cannot change.

    A caller that says nothing is no browser of today; programs use `/v1/messages/{id}/resend`.

    Args:
        headers: of the call, found by lower-case names.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin, host = headers.get("origin", ""), headers.get("host", "")
    try:
        parts = urlsplit(origin)
        given, own = (parts.hostname, parts.port), urlsplit(f"//{host}")
        # Which scheme the browser used the server does not know where a gateway ends TLS.
        default = _DEFAULT_PORTS.get(parts.scheme)
        return default is not None and bool(host) and (given[0], given[1] or default) == (own.hostname, own.port or default)
    except ValueError:
        return False
