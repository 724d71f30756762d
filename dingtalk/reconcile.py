"""Finds what was never told: compares what Prometheus says has fired with what this notifier has heard of, at start and each minute."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

from dingtalk.alert import Severity
from dingtalk.inhibition import spoken_for
from dingtalk.missed import LATE, Heard, joined, labels_of, late_alert, missed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dingtalk.inhibition import Inhibition
    from dingtalk.missed import Episode, Labels, LateAlert
    from dingtalk.prometheus import Rules

EVERY = 60.0
PATIENCE = 360.0
"""Seconds that an alert may take on its own way: it waits for its group, and Alertmanager tries again after its group interval."""
AHEAD = 300.0
"""Seconds until the end of an alert that is told late: long enough for Alertmanager to tell it, at its first try or the next."""
SETTLE = 90.0
"""Seconds that one may still be on its way after its end: Alertmanager goes on trying to tell it for as long as its group interval."""
SETTLE_LEAST = 12.0
"""Alertmanager tries for ten seconds, however short its group interval is."""
TRIES = 3
"""How often Alertmanager is told of one that does not come from there; where nothing is routed here, nothing ever comes."""
FARTHEST = 86_400.0
"""Seconds that are looked back at most; who was away longer is told of the last day."""
_OVERLAP = 120.0
GRACE = 90.0
"""Seconds at either end of an alert in which none is told yet: Alertmanager waits for the group, and the cause takes as long to fire."""


class RemembersAlerts(Protocol):
    """The part of `Prometheus` that is needed."""

    async def rules(self) -> Rules:
        """The intervals and fixed annotations of its rules."""
        ...

    async def fired(self, since: float, until: float, *, step: float) -> Sequence[Episode]:
        """The episodes of every alert that fired."""
        ...


class TakesAlerts(Protocol):
    """The part of `Alertmanager` that is needed."""

    async def tell(self, alerts: Sequence[LateAlert]) -> None:
        """Post alerts."""
        ...

    async def suppressed(self) -> Sequence[Mapping[str, str]]:
        """The labels of the alerts that it keeps back."""
        ...

    async def inhibitions(self) -> Sequence[Inhibition]:
        """Its rules of which alert speaks for which."""
        ...


class HeardStore(Protocol):
    """Keeps which alerts were heard of; survives the process. Blocking."""

    def heard_since(self, since: float) -> Sequence[Heard]:
        """The alerts that ended after a moment, or fire as far as is known."""
        ...

    def kept_back(self, heard: Sequence[Heard]) -> None:
        """Note alerts that Alertmanager keeps back, for the time that it does; each has an end."""
        ...

    def note(self, episodes: Sequence[Episode], *, at: float, posted: bool) -> None:
        """Note times that alerts fired as known, and whether they have yet to come from Alertmanager."""
        ...

    def posted(self, *, before: float, tries: int) -> Sequence[Episode]:
        """What Alertmanager was told before a moment, fewer times than `tries`, and has not come from there."""
        ...

    def arrived(self, labels: Sequence[Labels]) -> None:
        """What was posted of these alerts need not come any more."""
        ...

    def reconciled_until(self) -> float | None:
        """Up to when all was compared; None before the first time."""
        ...

    def reconciled(self, until: float) -> None:
        """Note up to when all was compared."""
        ...


class Reconciler:
    """One comparison at a time.

    Args:
        prometheus: what fired.
        alertmanager: told of what was missed, so that its silences and routes hold.
        heard: what came here.
        unix: the wall clock.
        on_late: told how many are told late, by kind: `firing` or `resolved`.
        scale: shortens every duration, for drills.
    """

    def __init__(
        self,
        *,
        prometheus: RemembersAlerts,
        alertmanager: TakesAlerts,
        heard: HeardStore,
        unix: Callable[[], float],
        on_late: Callable[[str, int], object] = lambda _kind, _count: None,
        scale: float = 1.0,
    ) -> None:
        self._prometheus = prometheus
        self._alertmanager = alertmanager
        self._heard = heard
        self._unix = unix
        self._on_late = on_late
        self._scale = scale
        self._kept_since: dict[Labels, float] = {}
        self._began = unix()

    async def run_once(self) -> int:
        """Compare, and tell what was missed; how many that were.

        Raises:
            UpstreamFailed: Prometheus or Alertmanager does not answer; nothing is forgotten, the next time looks as far back.
            StoreUnavailable: what was heard cannot be read or noted.
        """
        now, scale = self._unix(), self._scale
        settle = max(SETTLE * scale, SETTLE_LEAST)
        await self._note_kept_back(now)
        until = await asyncio.to_thread(self._heard.reconciled_until)
        since = max((now if until is None else until) - (_OVERLAP + PATIENCE) * scale - settle, now - FARTHEST)
        rules = await self._prometheus.rules()
        fired = await self._prometheus.fired(since, now, step=rules.interval)
        heard = [one for one in await asyncio.to_thread(self._heard.heard_since, since - PATIENCE * scale) if _is_ours(one.labels, rules)]
        # Who was away for longer than is looked back has compared nothing of what reaches over that border.
        compared = since + 2 * rules.interval if until is not None and since > now - FARTHEST else -math.inf
        late = missed(fired, heard, now=now, patience=PATIENCE * scale, compared=compared)
        if until is None:
            # A notifier that never compared cannot have missed what was over before it was there.
            await asyncio.to_thread(self._heard.note, [one for one in late if one.over], at=now, posted=False)
            late = [one for one in late if not one.over]
        believed = {one.labels for one in heard if one.until is None}
        # Of what it told once, Alertmanager goes on telling the end by itself, and has only just found somebody to tell it to.
        awaited = believed if now - self._began <= settle else set()
        young = [one for one in late if one.over and (now - one.last <= settle or one.labels in awaited)]
        late = [one for one in late if one not in young]
        spoken = await self._spoken_for([one for one in late if one.over and one.labels not in believed], fired)
        await asyncio.to_thread(self._heard.note, spoken, at=now, posted=False)
        late = joined(one for one in late if one not in spoken)
        again = await asyncio.to_thread(self._heard.posted, before=now - (AHEAD + PATIENCE) * scale, tries=TRIES)
        await self._tell(joined([*late, *again]), rules, now)
        for kind, over in (("firing", False), ("resolved", True)):
            self._on_late(kind, sum(one.over is over for one in late))
        ended = [one for one in fired if one.over and one.labels in believed and now - one.last <= 2 * PATIENCE * scale]
        # What is left for a later round, and what is over but for the word of it, is then seen from its beginning; yet never farther back.
        left = min([now, *(one.first for one in [*young, *ended])])
        await asyncio.to_thread(self._heard.reconciled, max(since if until is None else until, left))
        return len(late)

    async def _note_kept_back(self, now: float) -> None:
        kept: list[Labels] = []
        copies: list[Labels] = []
        for labels in await self._alertmanager.suppressed():
            (copies if labels.get(LATE) == "true" else kept).append(labels_of(labels))
        self._kept_since = {labels: self._kept_since.get(labels, now) for labels in kept}
        if kept:
            # For this time only: whether it still fires when nothing keeps it back any more, a later round sees.
            heard = [Heard(labels=labels, since=since, at=now, until=now) for labels, since in self._kept_since.items()]
            await asyncio.to_thread(self._heard.kept_back, heard)
        if copies:
            await asyncio.to_thread(self._heard.arrived, copies)

    async def _spoken_for(self, late: Sequence[Episode], fired: Sequence[Episode]) -> list[Episode]:
        """Those that Alertmanager would not have told, had it told anything: it may never have known them, or only between two rounds."""
        rules = await self._alertmanager.inhibitions() if late else ()
        return [one for one in late if spoken_for(one, fired, rules, grace=GRACE * self._scale)]

    async def _tell(self, late: Sequence[Episode], rules: Rules, now: float) -> None:
        if late:
            await self._alertmanager.tell(
                [late_alert(one, rules.annotations.get(_name(one.labels), {}), now=now, ahead=AHEAD * self._scale) for one in late]
            )
            await asyncio.to_thread(self._heard.note, late, at=now, posted=True)


def _is_ours(labels: Labels, rules: Rules) -> bool:
    """Whether Prometheus is asked for it; of others it cannot say that they are over."""
    return _name(labels) in rules.annotations and dict(labels).get("severity") != Severity.NONE.value


def _name(labels: Labels) -> str:
    return dict(labels).get("alertname", "")
