"""Pure: how long each step from a fault to its message took."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Of one alert, in seconds since 1970; None where it did not happen or nobody saw it.

    Attributes:
        fault_at: the fault was put in.
        true_at: Prometheus saw that the expression held.
        firing_at: it had held for long enough.
        told_at: the group saw the message.
        cleared_at: the fault was taken out.
        over_at: Prometheus saw it firing for the last time.
        ended_at: the group saw the message of its end.
    """

    fault_at: float
    true_at: float | None = None
    firing_at: float | None = None
    told_at: float | None = None
    cleared_at: float | None = None
    over_at: float | None = None
    ended_at: float | None = None

    def steps(self) -> dict[str, float | None]:
        """Seconds by the name that reports have; None where one of the two ends is not known."""
        return {
            "fault_to_true": _between(self.fault_at, self.true_at),
            "true_to_firing": _between(self.true_at, self.firing_at),
            "firing_to_delivered": _between(self.firing_at, self.told_at),
            "fault_to_delivered": _between(self.fault_at, self.told_at),
            "cleared_to_resolved": _between(self.cleared_at, self.ended_at),
        }

    def document(self) -> dict[str, float | None]:
        """For JSON."""
        return asdict(self)


def seen(series: Iterable[tuple[Mapping[str, str], Sequence[float]]], *, since: float) -> tuple[float | None, float | None, float | None]:
    """When an alert was first true, first firing and last firing, from the samples of `ALERTS`.

    Args:
        series: labels and moments.
        since: what was before does not count.
    """
    moments = [(labels.get("alertstate"), at) for labels, ats in series for at in ats if at >= since]
    firing = [at for state, at in moments if state == "firing"]
    everything = [at for _, at in moments]
    return min(everything, default=None), min(firing, default=None), max(firing, default=None)


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else round(end - begin, 3)
