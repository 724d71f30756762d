"""What two mentions of places mean to each other, in the training of the embedded model."""

from __future__ import annotations

import pytest

from model.judge import judge
from model.place import Place
from service.model.base import Label

NOT, PARTIAL, EXACT = Label.NOT_MATCH, Label.PARTIAL_MATCH, Label.EXACT_MATCH


def flat(**changes: str) -> Place:
    parts = {"city": "杭州市", "road": "文一路", "number": "23号", "estate": "嘉绿苑", "building": "3", "unit": "2", "room": "501"}
    return Place(**{**parts, **changes})


def shop(**changes: str) -> Place:
    return Place(**{"road": "紫萱路", "number": "363号", "poi": "人力资源和社会保障局", **changes})


def house(**changes: str) -> Place:
    return Place(**{"township": "龙湖镇", "village": "小乔村", "building": "3", "number": "12号", **changes}, rural=True)


def corner(**changes: str) -> Place:
    return Place(**{"road": "南京路", "cross_road": "滨江道", **changes})


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        (flat(), flat(), EXACT),
        (flat(), flat(city=""), EXACT),
        (flat(), flat(estate=""), EXACT),
        (flat(), flat(number="", road=""), EXACT),
        (flat(), flat(unit=""), EXACT),
        (flat(), flat(building=""), PARTIAL),
        (flat(), flat(room=""), PARTIAL),
        (flat(), flat(room="502"), PARTIAL),
        (flat(), flat(building="4"), PARTIAL),
        (flat(phase="东区"), flat(phase="西区"), PARTIAL),
        (flat(), flat(vicinity="对面"), PARTIAL),
        (flat(), flat(estate="翠苑"), EXACT),
        (flat(room=""), flat(room="", estate="翠苑"), PARTIAL),
        (flat(), flat(estate="翠苑", number=""), NOT),
        (flat(), flat(city="宁波市"), NOT),
        (flat(), flat(road="文二路"), NOT),
        (flat(), flat(number="25号"), NOT),
        (flat(), Place(road="文一路"), NOT),
        (Place(road="文一路"), Place(road="文一路"), None),
        (flat(estate=""), flat(number=""), None),
        (shop(), shop(), EXACT),
        (shop(), shop(number=""), EXACT),
        (shop(), shop(floor="4"), EXACT),
        (shop(), shop(poi=""), PARTIAL),
        (shop(), shop(poi="书店"), PARTIAL),
        (shop(), shop(poi="书店", number=""), NOT),
        (shop(road="", number="", city="杭州市"), shop(city="杭州市"), EXACT),
        (shop(road="", number=""), shop(), None),
        (shop(poi="肯德基", road="", number="", city="杭州市"), shop(poi="肯德基", city="杭州市"), None),
        (shop(poi="童盛面馆", road="", number=""), shop(poi="童盛面馆"), EXACT),
        (house(), house(), EXACT),
        (house(), house(building=""), EXACT),
        (house(), house(number="13号"), PARTIAL),
        (house(), house(number=""), PARTIAL),
        (house(number=""), house(number="", building="5"), PARTIAL),
        (house(), house(village="大乔村"), NOT),
        (house(), house(township="西陵镇"), NOT),
        (house(), flat(), NOT),
        (corner(), corner(road="滨江道", cross_road="南京路"), EXACT),
        (corner(), corner(cross_road="和平路"), NOT),
        (corner(), Place(road="南京路"), NOT),
        (corner(), Place(road="滨江道", number="5号"), None),
        (corner(poi="童盛面馆"), Place(road="滨江道", poi="童盛面馆"), EXACT),
    ],
)
def test_the_label_follows_from_what_is_said(first: Place, second: Place, label: Label | None) -> None:
    """Either way round; None when nobody could tell."""
    assert judge(first, second) is label
    assert judge(second, first) is label
