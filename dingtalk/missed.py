"""Pure: which alerts fired without this notifier having heard of them, by what Prometheus remembers of its own alerts.

Alertmanager forgets an alert that resolves before it could be delivered, and one that it is told of as resolved only it never
mentions. So what was missed is told to it as if it fired now, with the label `late`, its true beginning and its true end in
the annotations, and an end some minutes ahead: silences, routes and inhibitions hold for it as for any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

LATE = "late"
STARTED_AT = "started_at"
ENDED_AT = "ended_at"
"""Annotations of a late alert: when it truly began, and ended, in seconds since 1970 or as RFC 3339."""
_OWN = frozenset({"__name__", "alertstate", LATE})

Labels = frozenset[tuple[str, str]]
"""The labels of one alert, without those that Prometheus adds to `ALERTS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One time an alert fired, as Prometheus remembers it.

    Attributes:
        first, last: seconds since 1970 of the first and the last evaluation at which it fired.
        over: whether it has ended since.
    """

    labels: Labels
    first: float
    last: float
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LateAlert:
    """What Alertmanager is told of a missed one."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: float
    ends_at: float
    generator_url: str = ""


def labels_of(metric: Mapping[str, str]) -> Labels:
    """The labels of the alert behind a series of `ALERTS`, or behind an alert of a notification."""
    return frozenset((name, value) for name, value in metric.items() if name not in _OWN)


def episodes(metric: Mapping[str, str], samples: Iterable[float], *, step: float, now: float) -> list[Episode]:
    """Cut the moments at which an alert fired into episodes.

    Args:
        metric: the labels of its series.
        samples: seconds since 1970, the oldest first.
        step: seconds between two evaluations; after two without it, it was over.
        now: the present.
    """
    found: list[Episode] = []
    first = last = None
    for at in samples:
        if first is None or last is None:
            first = at
        elif at - last > 2 * step:
            found.append(Episode(labels=labels_of(metric), first=first, last=last, over=True))
            first = at
        last = at
    if first is not None and last is not None:
        found.append(Episode(labels=labels_of(metric), first=first, last=last, over=now - last > 2 * step))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One time an alert was heard of.

    Attributes:
        since: seconds since 1970 at which it began.
        at: when it was last heard of.
        until: when it ended; None as far as is known here it still fires.
    """

    labels: Labels
    since: float
    at: float
    until: float | None = None


def missed(
    fired: Collection[Episode], heard: Iterable[Heard], *, now: float, patience: float, compared: float = -math.inf
) -> list[Episode]:
    """What nobody was told of: alerts that fired, and ends of alerts that were told as firing.

    Args:
        fired: by Prometheus, in the part of the past that is compared; what fires now is among them.
        heard: by this notifier, in the same part, and all that it believes to fire. One that is kept back by a silence or an
            inhibition counts as heard.
        now: the present.
        patience: seconds that an alert and its end may take on their own way.
        compared: what began before this moment and is over was compared when all of it could be seen; what can be seen now may be
            its end alone, later than the last that was heard of it.
    """
    by_labels: dict[Labels, list[Heard]] = {}
    for one in heard:
        by_labels.setdefault(one.labels, []).append(one)
    unheard = [
        episode
        for episode in fired
        if (episode.first > compared if episode.over else now - episode.first > patience)
        and not any(_covers(one, episode) for one in by_labels.get(episode.labels, ()))
    ]
    firing = {episode.labels for episode in fired if not episode.over or now - episode.last <= patience}
    # One that was told late in this round is told with its end.
    firing |= {episode.labels for episode in unheard}
    last = {episode.labels: episode.last for episode in sorted(fired, key=lambda episode: episode.last)}
    endless = [
        Episode(labels=labels, first=one.since, last=max(last.get(labels, one.at), one.since), over=True)
        for labels, all_heard in by_labels.items()
        for one in all_heard
        if one.until is None and labels not in firing and now - one.at > patience
    ]
    return unheard + endless


def _covers(heard: Heard, episode: Episode) -> bool:
    return heard.since <= episode.last and (heard.until is None or heard.until >= episode.first)


def late_alert(episode: Episode, annotations: Mapping[str, str], *, now: float, ahead: float) -> LateAlert:
    """What Alertmanager is told: it begins when it did, and ends in `ahead` seconds, since what it knows as over it never tells."""
    times = {STARTED_AT: f"{episode.first:.0f}", **({ENDED_AT: f"{episode.last:.0f}"} if episode.over else {})}
    return LateAlert(
        labels={**dict(episode.labels), LATE: "true"},
        annotations={**annotations, **times},
        starts_at=episode.first,
        ends_at=now + ahead,
    )


def joined(episodes: Iterable[Episode]) -> list[Episode]:
    """One for each alert, from its first beginning to its newest state: Alertmanager keeps one of each, and would choose."""
    by_labels: dict[Labels, Episode] = {}
    for one in sorted(episodes, key=lambda episode: episode.last):
        known = by_labels.get(one.labels)
        by_labels[one.labels] = one if known is None else replace(one, first=min(known.first, one.first), over=known.over and one.over)
    return list(by_labels.values())


def moment(text: str) -> float | None:
    """Seconds since 1970 that an annotation names; None for what is no time, and for a time without a zone."""
    try:
        unix = float(text)
    except ValueError:
        pass
    else:
        return unix if math.isfinite(unix) else None
    try:
        read = datetime.fromisoformat(text.strip())
        return read.timestamp() if read.tzinfo else None
    except (ValueError, OverflowError):
        return None
