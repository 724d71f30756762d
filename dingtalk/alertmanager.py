"""Alertmanager, as far as it is told something: alerts that were missed, and silences that people ask for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx

from dingtalk.errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dingtalk.missed import LateAlert

TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """One condition of a silence: a label and the value it must have.

    Attributes:
        is_regex: the whole value must match `value`.
        is_equal: False turns it round.
    """

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One that is in force or will be."""

    id: str
    by: str
    comment: str


def stack_http_client() -> httpx.AsyncClient:
    """A client for what stands in the same stack: a proxy is for what is outside of it, as DingTalk is."""
    return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=TIMEOUT)


class Alertmanager:
    """Speaks its API, version 2.

    Args:
        url: where it is; a path prefix may be part of it.
        client: shared, without redirects.
    """

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._where = f"Alertmanager at {urlsplit(url).netloc.rpartition('@')[2]}"
        self._client = client

    async def tell(self, alerts: Sequence[LateAlert]) -> None:
        """Post alerts, as Prometheus does; its own silences and routes then hold for them.

        Raises:
            UpstreamFailed: it does not answer, or does not take them.
        """
        body = [
            {
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": rfc3339(alert.starts_at),
                "endsAt": rfc3339(alert.ends_at),
                "generatorURL": alert.generator_url,
            }
            for alert in alerts
        ]
        await self._post("/api/v2/alerts", body)

    async def suppressed(self) -> list[Mapping[str, str]]:
        """The labels of the alerts that it keeps back now, by a silence or by an inhibition.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        alerts = await self._get("/api/v2/alerts", {"active": "false", "silenced": "true", "inhibited": "true"})
        try:
            return [dict(alert["labels"]) for alert in alerts if alert["status"]["state"] == "suppressed"]
        except (TypeError, KeyError):
            raise UpstreamFailed(f"{self._where} does not answer as it should; is alertmanager_url right?") from None

    async def silence(self, matchers: Sequence[Matcher], *, starts_at: float, ends_at: float, by: str, comment: str) -> str:
        """Make a silence; its id.

        Raises:
            UpstreamFailed: it does not answer, or refuses it.
        """
        body = {
            "matchers": [{"name": one.name, "value": one.value, "isRegex": one.is_regex, "isEqual": one.is_equal} for one in matchers],
            "startsAt": rfc3339(starts_at),
            "endsAt": rfc3339(ends_at),
            "createdBy": by,
            "comment": comment,
        }
        answer = await self._post("/api/v2/silences", body)
        try:
            return str(answer.json()["silenceID"])
        except (ValueError, TypeError, KeyError):
            raise UpstreamFailed(f"{self._where} made no silence that it names") from None

    async def silences(self) -> list[Silence]:
        """The silences that are in force or will be.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        found = await self._get("/api/v2/silences", {})
        try:
            return [
                Silence(id=str(one["id"]), by=str(one["createdBy"]), comment=str(one["comment"]))
                for one in found
                if one["status"]["state"] in {"active", "pending"}
            ]
        except (TypeError, KeyError):
            raise UpstreamFailed(f"{self._where} does not answer as it should; is alertmanager_url right?") from None

    async def expire(self, silence: str) -> None:
        """End a silence.

        Raises:
            UpstreamFailed: it does not answer, or knows no such silence.
        """
        await self._ask("DELETE", f"/api/v2/silence/{quote(silence, safe='')}")

    async def _get(self, path: str, params: Mapping[str, str]) -> Any:  # JSON
        response = await self._ask("GET", path, params=params)
        try:
            return response.json()
        except ValueError:
            raise UpstreamFailed(f"{self._where} does not answer as it should; is alertmanager_url right?") from None

    async def _post(self, path: str, body: object) -> httpx.Response:
        return await self._ask("POST", path, json=body)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # httpx's own keywords
        try:
            response = await self._client.request(method, self._url + path, timeout=TIMEOUT, follow_redirects=False, **more)
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"{self._where} does not answer ({str(error) or type(error).__name__})") from error
        if response.status_code >= 300:
            raise UpstreamFailed(f"{self._where} answered {response.status_code}: {' '.join(response.text.split())[:200]}")
        return response


def rfc3339(unix: float) -> str:
    """A moment, to the millisecond."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
