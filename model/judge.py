"""What two mentions of places mean to each other, by what they say and nothing else.

exact: the same entity and the same finest unit. partial: the same place, with the finer part missing in one or different.
not: another region, road, number or estate; or one side so coarse (a road alone) that it names no place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.place import CHAINS, INSTITUTIONS
from service.model.base import Label

if TYPE_CHECKING:
    from model.place import Place

_FINER = ("room", "floor", "unit", "building")
"""From the finest on."""


def judge(first: Place, second: Place) -> Label | None:
    """The label of a pair; None when what they say is not enough to tell (then no pair is made of them)."""
    if _contradict(first, second):
        return Label.NOT_MATCH
    if not _share_anchor(first, second):
        return Label.NOT_MATCH if _names_no_place(first) != _names_no_place(second) else None
    return Label.EXACT_MATCH if _same_detail(first, second) else Label.PARTIAL_MATCH


def _differ(first: str, second: str) -> bool:
    """Whether both are said, and not the same."""
    return bool(first and second and first != second)


def _equal(first: str, second: str) -> bool:
    """Whether both are said, and the same."""
    return bool(first) and first == second


def _contradict(first: Place, second: Place) -> bool:
    """Whether they cannot be the same place."""
    regions = ("province", "city", "county", "township", "village")
    if first.rural != second.rural or any(_differ(getattr(first, part), getattr(second, part)) for part in regions):
        return True
    if first.cross_road and second.cross_road:
        return {first.road, first.cross_road} != {second.road, second.cross_road}
    if _differ(first.road, second.road) and not _is_corner_of(first, second):
        return True
    same_number = _equal(first.number, second.number)
    if _differ(first.number, second.number) and not first.rural:
        return True
    if _differ(first.estate, second.estate) and not same_number:
        return True
    return _differ(first.poi, second.poi) and not same_number and not _equal(first.estate, second.estate)


def _is_corner_of(first: Place, second: Place) -> bool:
    """Whether one names a corner that lies on the other's road."""
    return _equal(first.cross_road, second.road) or _equal(first.road, second.cross_road)


def _share_anchor(first: Place, second: Place) -> bool:
    """Whether something they both say pins a place down."""
    if first.rural:
        return _equal(first.village, second.village)
    same_road = _equal(first.road, second.road)
    if first.cross_road and second.cross_road:
        return True
    if _equal(first.poi, second.poi):
        return same_road or _is_corner_of(first, second) or _equal(first.estate, second.estate) or _is_unique(first, second)
    return (same_road and _equal(first.number, second.number)) or _equal(first.estate, second.estate)


def _is_unique(first: Place, second: Place) -> bool:
    """Whether their common shop or office is the only one of its name, as far as they say where."""
    if first.poi in INSTITUTIONS:
        return _equal(first.county, second.county) or _equal(first.city, second.city)
    return first.poi not in CHAINS


def _names_no_place(place: Place) -> bool:
    """Whether it says no more than a region or a road."""
    return not (place.number or place.estate or place.poi or place.village or place.cross_road)


def _same_detail(first: Place, second: Place) -> bool:
    """Whether two mentions of one place also agree on its finest unit."""
    if (
        first.vicinity != second.vicinity
        or first.phase != second.phase
        or any(_differ(getattr(first, part), getattr(second, part)) for part in _FINER)
    ):
        return False
    if first.rural:
        return first.number == second.number and (bool(first.number) or first.building == second.building)
    if _equal(first.poi, second.poi):
        return True
    same_room = _equal(first.room, second.room) and first.building == second.building
    if _differ(first.estate, second.estate) and not same_room:
        return False
    if first.poi != second.poi and not same_room:
        return False
    return same_room or (_finest(first) == _finest(second) and first.building == second.building)


def _finest(place: Place) -> str:
    return next((part for part in _FINER if getattr(place, part)), "")
