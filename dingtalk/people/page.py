"""Renders the pages that links lead to: on the server, without scripts and without anything from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dingtalk.people.wording import SILENCE_CHOICES, USUAL_SILENCE
from dingtalk.received import read
from dingtalk.told import merge
from dingtalk.view import Viewer
from dingtalk.web.look import Look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from starlette.responses import Response

    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.outbox.rows import StoredReceipt
    from dingtalk.people.desk import Silenced, Taken
    from dingtalk.people.standing import Standing
    from dingtalk.told import Told
    from dingtalk.view import AlertView

MOST_ALERTS = 200
"""Alerts of one notification on a page."""
_HEADERS = {
    # The address of a page is what lets somebody act.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class Page:
    """Every page of the package.

    Args:
        config: its public address and time zone.
        clock: its wall half is used.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._clock = clock
        self._viewer = Viewer(config, {})
        self._look = Look("dingtalk.people", zone=ZoneInfo(config.time_zone), clock=clock, headers=_HEADERS)

    def acknowledge(
        self, found: Standing, *, show: str, taken: Taken | None = None, fault: str = "", by: str = "", status: int = 200
    ) -> Response:
        """A group that can be taken over, or has been.

        Args:
            found: the group.
            show: relative address of all that was received of it.
            taken: what became of a form that was sent.
            fault: what was wrong with it, in words.
            by: the name that stood in it.
            status: of the answer.
        """
        case = found.case
        if taken is None and case is not None and case.taken_by is not None and case.taken_at is not None:
            taken_by, taken_at = case.taken_by, case.taken_at
        else:
            taken_by, taken_at = (taken.by, taken.at) if taken is not None else ("", 0.0)
        return self._look.page(
            "ack.html",
            status=status,
            **self._group(found),
            show=show,
            taken_by=taken_by,
            taken_at=taken_at,
            first=taken is not None and taken.first,
            waits_since=case.opened_at if case is not None else None,
            fault=fault,
            by=by,
        )

    def silence(
        self,
        found: Standing,
        matchers: Mapping[str, str],
        *,
        show: str,
        fault: str = "",
        given: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        """What would be silenced, and the form for it; `given` as it was sent, when there was a fault."""
        given = given or {}
        choice = given.get("seconds", "")
        matching = found.matching(matchers)
        return self._look.page(
            "silence.html",
            status=status,
            **self._group(found, matching),
            show=show,
            others=len(found.alerts) - len(matching),
            matchers=sorted(matchers.items()),
            choices=SILENCE_CHOICES,
            chosen=int(choice) if choice in map(str, SILENCE_CHOICES) else USUAL_SILENCE,
            fault=fault,
            by=given.get("by", ""),
            reason=given.get("reason", ""),
        )

    def silenced(self, found: Standing, done: Silenced, *, show: str) -> Response:
        """A silence that was made."""
        return self._look.page(
            "silenced.html",
            **self._group(found),
            show=show,
            matchers=sorted(done.matchers.items()),
            until=done.until,
            told=done.told,
            number=done.id,
            by=done.by,
            reason=done.reason,
        )

    def show(self, found: Standing, receipts: Sequence[StoredReceipt], *, earlier: int | None) -> Response:
        """What was received of a group, the newest first; `earlier` is where it goes on."""
        return self._look.page("show.html", **self._group(found), receipts=[self._receipt(one) for one in receipts], earlier=earlier)

    def refusal(self, words: str, status: int) -> Response:
        """Why a link does not count, or nothing could be done."""
        return self._look.page("refusal.html", status=status, words=words)

    def _group(self, found: Standing, alerts: Sequence[Told] | None = None) -> dict[str, Any]:
        alerts = found.alerts if alerts is None else alerts
        return {
            "digest": found.digest,
            "what": found.what,
            "firing": found.firing,
            "alerts": self._views(alerts),
            "total": len(alerts),
            "truncated": found.group.newest.truncated,
            "received_at": found.received_at,
        }

    def _receipt(self, receipt: StoredReceipt) -> dict[str, Any]:
        group = merge([read(receipt)])
        return {
            "received_at": receipt.received_at,
            "repeat": receipt.repeat,
            "alerts": self._views(group.told),
            "total": len(group.told),
            "truncated": group.newest.truncated,
        }

    def _views(self, told: Sequence[Told]) -> list[AlertView]:
        now = self._clock.unix()
        return [self._viewer.view(one, now=now) for one in told[:MOST_ALERTS]]
