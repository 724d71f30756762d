"""Exact percentiles of samples that are all kept."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """What the samples look like, in their own unit."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Percentiles | None:
        """Sum up the samples; None when there are none."""
        ordered = sorted(samples)
        if not ordered:
            return None
        return cls(
            count=len(ordered),
            mean=math.fsum(ordered) / len(ordered),
            p50=percentile(ordered, 50),
            p90=percentile(ordered, 90),
            p95=percentile(ordered, 95),
            p99=percentile(ordered, 99),
            max=ordered[-1],
        )

    def to_json(self) -> dict[str, float]:
        """The fields by name, rounded to a microsecond when the unit is seconds."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest sample that at least `percent` per cent of the samples do not exceed (nearest rank).

    Always one of the samples: nothing is invented between two of them.
    """
    rank = -(-percent * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]
