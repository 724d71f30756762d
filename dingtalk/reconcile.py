"""Finds what was never told: compares what Prometheus says has fired with what this notifier has heard of, at start and each minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dingtalk.missed import labels_of, late_alert, missed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dingtalk.missed import Episode, Heard, Labels, LateAlert
    from dingtalk.prometheus import Rules

EVERY = 60.0
PATIENCE = 360.0
"""Seconds that an alert may take on its own way: it waits for its group, and Alertmanager tries again after its group interval."""
AHEAD = 300.0
"""Seconds until the end of an alert that is told late: long enough for Alertmanager to tell it, at its first try or the next."""
FARTHEST = 86_400.0
"""Seconds that are looked back at most; who was away longer is told of the last day."""
_OVERLAP = 120.0


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


class HeardStore(Protocol):
    """Keeps which alerts were heard of; survives the process."""

    def heard_since(self, since: float) -> Sequence[Heard]:
        """The alerts that ended after a moment, or fire as far as is known."""
        ...

    def hear(self, labels: Labels, *, since: float, at: float, until: float | None = None) -> None:
        """Note that an alert was heard of: that it began at `since`, and has ended at `until` or fires."""
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

    async def run_once(self) -> int:
        """Compare, and tell what was missed; how many that were.

        Raises:
            UpstreamFailed: Prometheus or Alertmanager does not answer; nothing is forgotten, the next time looks as far back.
            StoreUnavailable: what was heard cannot be read or noted.
        """
        now, scale = self._unix(), self._scale
        for labels in await self._alertmanager.suppressed():
            # Heard of for this moment only: whether it still fires when nothing keeps it back any more, the next round sees.
            self._heard.hear(labels_of(labels), since=now, at=now, until=now)
        until = self._heard.reconciled_until()
        since = max((now if until is None else until) - (_OVERLAP + PATIENCE) * scale, now - FARTHEST)
        rules = await self._prometheus.rules()
        fired = await self._prometheus.fired(since, now, step=rules.interval)
        heard = [one for one in self._heard.heard_since(since - PATIENCE * scale) if _name(one.labels) in rules.annotations]
        late = missed(fired, heard, now=now, patience=PATIENCE * scale)
        if until is None:
            # A notifier that never compared cannot have missed what was over before it was there.
            self._note([one for one in late if one.over], now)
            late = [one for one in late if not one.over]
        if late:
            await self._alertmanager.tell(
                [late_alert(one, rules.annotations.get(_name(one.labels), {}), now=now, ahead=AHEAD * scale) for one in late]
            )
        self._note(late, now)
        for kind, over in (("firing", False), ("resolved", True)):
            self._on_late(kind, sum(one.over is over for one in late))
        self._heard.reconciled(now)
        return len(late)

    def _note(self, known: Sequence[Episode], now: float) -> None:
        for one in known:
            self._heard.hear(one.labels, since=one.first, at=now, until=one.last if one.over else None)


def _name(labels: Labels) -> str:
    return dict(labels).get("alertname", "")
