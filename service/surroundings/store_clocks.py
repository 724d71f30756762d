"""How far our wall clock is from those of the stores, by the `Date` header of their answers.

Samples that a store takes for too old or too new, and alerts that resolve by a clock of their own, are the price of clocks
that disagree; nothing else tells of it.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Self

import httpx

from service.telemetry.names import STORES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.settings import LookupSettings
    from service.telemetry.event import Clock

TIMEOUT: Final = 5.0
HALF_A_SECOND: Final = 0.5
LEAST: Final = 1.0
"""Seconds of skew below which there is none to be seen: the header has whole seconds."""

# Small answers that cost a store nothing; any other answer of it, such as that it wants a password, has a date too.
_PATHS: Final[Mapping[str, str]] = {
    "prometheus": "/api/v1/status/buildinfo",
    "loki": "/loki/api/v1/status/buildinfo",
    "jaeger": "/",
}


class StoreClocks:
    """Asks the stores what time it is, one after another.

    Args:
        urls: where the stores' APIs are, by name.
        clock: both clocks.
        open_client: makes the client, on the thread that asks.
    """

    def __init__(self, urls: Mapping[str, str], *, clock: Clock, open_client: Callable[[], httpx.Client] | None = None) -> None:
        self._urls = urls
        self._clock = clock
        self._open_client = open_client or _client
        self._client: httpx.Client | None = None

    @classmethod
    def of(cls, settings: LookupSettings, clock: Clock) -> Self:
        """Those of the stores that the settings name."""
        urls = {name: getattr(settings, f"{name}_url") for name in STORES}
        return cls({name: url for name, url in urls.items() if url}, clock=clock)

    def __bool__(self) -> bool:
        """Whether there is any store to ask."""
        return bool(self._urls)

    def read(self) -> dict[str, float]:
        """Seconds that our clock is ahead of each store's; one that does not answer within 5 s is left out.

        The answer is taken to have been dated in the middle of the round trip and of its second; what is then below 1 s is 0.
        """
        if self._client is None:
            self._client = self._open_client()
        read = ((name, self._skew(self._client, url.rstrip("/") + _PATHS[name])) for name, url in self._urls.items())
        return {name: skew for name, skew in read if skew is not None}

    def _skew(self, client: httpx.Client, url: str) -> float | None:
        begun = self._clock.monotonic()
        try:
            with client.stream("GET", url) as response:
                now, round_trip = self._clock.unix_ns() / 1e9, self._clock.monotonic() - begun
                if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or round_trip > TIMEOUT:
                    return None  # a proxy that speaks for a dead store has a clock of its own
                date = parsedate_to_datetime(response.headers["Date"])
        except (httpx.HTTPError, httpx.InvalidURL, OSError, LookupError, ValueError, ArithmeticError):
            return None
        if date.tzinfo is None:
            return None
        skew = now - round_trip / 2 - (date.timestamp() + HALF_A_SECOND)
        return skew if abs(skew) >= LEAST else 0.0


def _client() -> httpx.Client:
    """By no proxy, to no other address, and by a new connection each time: at one a minute none would be kept anyway."""
    return httpx.Client(trust_env=False, timeout=TIMEOUT, limits=httpx.Limits(max_keepalive_connections=0))
