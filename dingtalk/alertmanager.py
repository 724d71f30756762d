"""Alertmanager, as far as it is told something: alerts that were missed, and silences that people ask for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from dingtalk.errors import UpstreamFailed
from dingtalk.inhibition import inhibitions
from dingtalk.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dingtalk.inhibition import Inhibition
    from dingtalk.missed import LateAlert

TIMEOUT = 10.0
_IN_FORCE = frozenset({"active", "pending"})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSilence(Silence):
    """One that was made, whatever became of it.

    Attributes:
        matchers: the labels that it names, by their values.
        starts_at, ends_at: seconds since 1970.
        over: it is not in force any more.
    """

    matchers: Mapping[str, str]
    starts_at: float
    ends_at: float
    over: bool


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
        self._upstream = Upstream("Alertmanager", url, client, setting="alertmanager_url", timeout=TIMEOUT)

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
        await self._upstream.ask("POST", "/api/v2/alerts", json=body)

    async def suppressed(self) -> list[Mapping[str, str]]:
        """The labels of the alerts that it keeps back now, by a silence or by an inhibition.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        return await self._upstream.get(
            "/api/v2/alerts",
            {"active": "false", "silenced": "true", "inhibited": "true"},
            lambda alerts: [dict(alert["labels"]) for alert in alerts if alert["status"]["state"] == "suppressed"],
        )

    async def inhibitions(self) -> tuple[Inhibition, ...]:
        """Its rules of which alert speaks for which.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        return await self._upstream.get("/api/v2/status", {}, lambda status: inhibitions(str(status["config"]["original"])))

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
        answer = await self._upstream.ask("POST", "/api/v2/silences", json=body)
        try:
            return str(answer.json()["silenceID"])
        except (ValueError, TypeError, KeyError):
            raise UpstreamFailed(f"{self._upstream.where} made no silence that it names") from None

    async def silences(self) -> list[Silence]:
        """The silences that are in force or will be.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        return await self._upstream.get("/api/v2/silences", {}, _standing)

    async def silences_marked(self, mark: str) -> list[MadeSilence]:
        """The silences whose comment ends with `mark`; also those that are over, as long as Alertmanager keeps them, which is for days.

        Raises:
            UpstreamFailed: it does not answer as it should.
        """
        return await self._upstream.get("/api/v2/silences", {}, lambda silences: [_made(one) for one in silences if _is_marked(one, mark)])

    async def expire(self, silence: str) -> None:
        """End a silence.

        Raises:
            UpstreamFailed: it does not answer, or knows no such silence.
        """
        await self._upstream.ask("DELETE", f"/api/v2/silence/{quote(silence, safe='')}")


def rfc3339(unix: float) -> str:
    """A moment, to the millisecond."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_marked(silence: Any, mark: str) -> bool:  # JSON
    return str(silence["comment"]).endswith(mark)


def _made(silence: Any) -> MadeSilence:  # JSON
    return MadeSilence(
        id=str(silence["id"]),
        by=str(silence["createdBy"]),
        comment=str(silence["comment"]),
        matchers={str(one["name"]): str(one["value"]) for one in silence["matchers"]},
        starts_at=datetime.fromisoformat(silence["startsAt"]).timestamp(),
        ends_at=datetime.fromisoformat(silence["endsAt"]).timestamp(),
        over=silence["status"]["state"] not in _IN_FORCE,
    )


def _standing(silences: Any) -> list[Silence]:  # JSON
    return [
        Silence(id=str(one["id"]), by=str(one["createdBy"]), comment=str(one["comment"]))
        for one in silences
        if one["status"]["state"] in _IN_FORCE
    ]
