"""Which kinds of request a load is made of, and how often each comes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class Kind(StrEnum):
    """The kinds of request."""

    VALID = "valid"
    INVALID = "invalid"
    OVERSIZED = "oversized"
    CANCELLED = "cancelled"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Kinds with their weights, which need not add up to 1. At least one is positive, none is negative."""

    weights: tuple[tuple[Kind, float], ...]

    def __post_init__(self) -> None:
        """Refuse weights that cannot be drawn from; raises ValueError."""
        if any(weight < 0 for _, weight in self.weights) or not sum(weight for _, weight in self.weights) > 0:
            raise ValueError("a mix needs at least one weight over 0, and none below it")

    def draw(self, random: Random) -> Kind:
        """One kind, as often as its share of the weights."""
        kinds, weights = zip(*self.weights, strict=True)
        return Kind(random.choices(kinds, weights)[0])

    @classmethod
    def parse(cls, text: str) -> Mix:
        """Read `valid=0.9,invalid=0.1`; kinds that are left out do not come.

        Raises:
            ValueError: a kind is unknown or stands twice, or a weight is no number.
        """
        weights: dict[Kind, float] = {}
        for part in text.split(","):
            name, equals, weight = (piece.strip() for piece in part.partition("="))
            if name not in list(Kind) or not equals:
                raise ValueError(f"{part.strip()!r} is not a part of a mix; write KIND=WEIGHT with a kind of {', '.join(Kind)}")
            if Kind(name) in weights:
                raise ValueError(f"{name} stands twice in the mix")
            try:
                weights[Kind(name)] = float(weight)
            except ValueError:
                raise ValueError(f"{weight!r} is not a weight of {name}; write a number such as 0.9") from None
        return cls(weights=tuple(weights.items()))


ONLY_VALID = Mix(weights=((Kind.VALID, 1.0),))
