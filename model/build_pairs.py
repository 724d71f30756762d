"""Invent labelled address pairs: a place and a near miss of it, each written down in its own way.

Run as ``python -m model.build_pairs --pairs 20`` to look at some.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from model.gazetteer import Gazetteer, load_gazetteers
from model.judge import judge
from model.mention import NOTES, Speaker
from model.place import CHAINS, INSTITUTIONS, PHASES, TRADES, Place, PlaceMaker
from service.model.base import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET_SHARES = {Label.NOT_MATCH: 0.42, Label.PARTIAL_MATCH: 0.33, Label.EXACT_MATCH: 0.25}
"""How many pairs of each label are made. Real data sets hold fewer exact pairs; the rest is a margin for learning their many spellings."""

LONG_SHARE = 0.03
"""Pairs with delivery notes up to 100 characters each, so that the late positions of the model are trained too."""

EQUAL_SHARE = 0.003
"""Tries that give a fragment twice; about one exact pair in fifty."""

LONGEST = 100
"""Characters of an address, as the service cuts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPair:
    """Two written addresses and what they mean to each other."""

    address1: str
    address2: str
    label: Label


def homophones(gazetteer: Gazetteer, *, common: int = 2000) -> dict[str, str]:
    """For each of the common characters of names, the others of the same sound."""
    from pypinyin import lazy_pinyin

    counts = Counter("".join(gazetteer.estates))
    characters = [character for character, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:common]]
    by_sound: dict[str, str] = {}
    for character, sound in zip(characters, lazy_pinyin(characters), strict=True):
        by_sound[sound] = by_sound.get(sound, "") + character
    return {character: same.replace(character, "") for same in by_sound.values() for character in same}


class PairMaker:
    """An endless supply of labelled pairs, the same for the same gazetteer and seed."""

    def __init__(self, gazetteer: Gazetteer, seed: int, sounds: dict[str, str]) -> None:
        self._random = Random(seed)
        self._maker = PlaceMaker(gazetteer, self._random)
        self._speaker = Speaker(self._random, sounds)
        maker = self._maker
        self._changes: list[tuple[int, Callable[[Place], Place]]] = [
            (25, lambda place: place),
            (6, maker.elsewhere),
            (5, maker.sibling),
            (1, lambda _: maker.invent()),
            (9, self._change_road),
            (4, lambda place: self._change_road(replace(place, number="", estate="")) if place.poi else place),
            (9, lambda place: replace(place, number=maker.other_number(place.number)) if place.number else place),
            (5, lambda place: replace(place, estate=maker.other_estate(place.estate)) if place.estate else place),
            (6, lambda place: replace(place, poi=self._other_poi(place.poi)) if place.poi else place),
            (3, lambda place: replace(place, poi="" if place.poi else maker.poi(), building="", unit="", floor="", room="")),
            (6, lambda place: self._change_finer(place, "building")),
            (3, lambda place: self._change_finer(place, "unit")),
            (4, lambda place: self._change_finer(place, "floor")),
            (6, lambda place: self._change_finer(place, "room")),
            (2, self._swap_building_and_unit),
            (3, lambda place: replace(place, village=maker.other_village()) if place.village else place),
            (3, lambda place: maker.other_township(place) if place.rural else place),
            (2, lambda place: replace(place, cross_road=maker.other_road(place.cross_road)) if place.cross_road else place),
            (3, lambda place: replace(place, phase=self._random.choice(PHASES)) if place.estate else place),
            (3, lambda place: replace(maker.sibling(place), poi=place.poi) if place.poi else place),
            (3, lambda place: replace(maker.sibling(place), road=place.road) if place.road and not place.rural else place),
        ]

    def pairs(self, count: int) -> Iterator[LabelledPair]:
        """Yield that many pairs, with the labels in the shares of `TARGET_SHARES`."""
        labels, shares = list(TARGET_SHARES), list(TARGET_SHARES.values())
        for _ in range(count):
            wanted = self._random.choices(labels, shares)[0]
            pair = self._draw()
            while pair is None or pair.label is not wanted:
                pair = self._draw()
            yield pair

    def _draw(self) -> LabelledPair | None:
        if self._random.random() < EQUAL_SHARE:
            return self._equal_fragments()
        place = self._maker.invent()
        other = self._change(place)
        if self._random.random() < 0.12:
            other = self._change(other)
        first = self._speaker.leave_out(place)
        second = first if other is place and self._random.random() < 0.15 else self._speaker.leave_out(other)
        if self._random.random() < 0.03:
            second = self._speaker.road_alone(other)
        label = judge(first, second)
        if label is None or (label is not Label.NOT_MATCH and _hides_the_difference(place, other, first, second)):
            return None
        if self._random.random() < 0.5:
            first, second = second, first
        address1 = self._speaker.write(first)
        address2 = address1 if first == second and self._random.random() < 0.1 else self._speaker.write(second)
        if self._random.random() < LONG_SHARE:
            address1, address2 = self._lengthen(address1), self._lengthen(address2)
        if not address1 or not address2:
            return None
        if address1 == address2:
            label = Label.EXACT_MATCH
        return LabelledPair(address1=address1[:LONGEST], address2=address2[:LONGEST], label=label)

    def _equal_fragments(self) -> LabelledPair:
        """Any piece of an address and the same piece again: equal texts match, whether or not they name a place."""
        text = self._speaker.write(self._speaker.leave_out(self._maker.invent()))
        start = self._random.randrange(len(text))
        piece = text[start : start + self._random.randint(1, 12)].strip() or text
        return LabelledPair(address1=piece, address2=piece, label=Label.EXACT_MATCH)

    def _change(self, place: Place) -> Place:
        weights = [weight for weight, _ in self._changes]
        return self._random.choices([change for _, change in self._changes], weights)[0](place)

    def _change_road(self, place: Place) -> Place:
        return replace(place, road=self._maker.other_road(place.road)) if place.road else place

    def _swap_building_and_unit(self, place: Place) -> Place:
        return replace(place, building=place.unit, unit=place.building) if place.unit and place.building.isdecimal() else place

    def _change_finer(self, place: Place, part: str) -> Place:
        value = getattr(place, part)
        if not value:
            return place
        changed: dict[str, Any] = {part: self._maker.other_finer(value)}  # Any: the fields of a place have two types
        return replace(place, **changed)

    def _other_poi(self, poi: str) -> str:
        """A different shop, often with the same name or the same trade."""
        choice = self._random.random()
        for kinds in (TRADES, INSTITUTIONS):
            tail = next((kind for kind in kinds if poi.endswith(kind)), None)
            if tail and choice < 0.35:
                return poi.removesuffix(tail) + self._random.choice(kinds)
        if poi in CHAINS and choice < 0.5:
            return self._random.choice([chain for chain in CHAINS if chain[-2:] == poi[-2:] and chain != poi] or CHAINS)
        if choice < 0.6:
            return self._maker.other_estate(poi)[:2] + poi[2:]
        return self._maker.poi()

    def _lengthen(self, address: str) -> str:
        while len(address) < LONGEST:
            address += self._random.choice(NOTES)
        return address[: self._random.randint(LONGEST // 2, LONGEST)]


def _hides_the_difference(place: Place, other: Place, first: Place, second: Place) -> bool:
    """Whether the two lie in different regions, both say where, and only knowledge of the map would tell them apart."""
    apart = (place.province, place.city, place.county) != (other.province, other.city, other.county)
    return apart and bool(first.city or first.county or first.township) and bool(second.city or second.county or second.township)


def main() -> None:
    """Print pairs as CSV."""
    parser = argparse.ArgumentParser(description="Print invented, labelled address pairs as CSV.")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    training, _ = load_gazetteers()
    writer = csv.writer(sys.stdout)
    writer.writerow(("address1", "address2", "label"))
    for pair in PairMaker(training, arguments.seed, homophones(training)).pairs(arguments.pairs):
        writer.writerow((pair.address1, pair.address2, pair.label))


if __name__ == "__main__":
    main()
