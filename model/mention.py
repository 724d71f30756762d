"""How people write a place down: which parts they leave out, and the many spellings of the rest."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from model.place import Place

VICINITIES = ("附近", "对面", "斜对面", "旁", "旁边", "北侧", "南侧", "东侧", "西侧", "附近50米", "后面", "隔壁")
"""Near the place is not the place."""

NOTES = (
    *("放门卫", "送货上门", "请打电话", "放快递柜", "门口", "收件人王先生", "到了联系"),
    *("白天不在家放驿站", "从北门进", "进大门左转第二栋楼下", "勿放楼道"),
)
"""What is no part of the address and changes nothing."""

_ALIASES = (
    ("人力资源和社会保障局", ("人社局", "人力社保局", "人力资源社会保障局")),
    ("市场监督管理局", ("市场监管局", "市监局")),
    ("自然资源和规划局", ("规划局", "自然资源局")),
    ("住房和城乡建设局", ("住建局", "建设局")),
    ("第一人民医院", ("第一医院", "一医院")),
    ("第二人民医院", ("第二医院", "二医院")),
    ("社区卫生服务中心", ("卫生服务中心",)),
    ("实验小学", ("实小",)),
    ("第一小学", ("一小",)),
    ("第二小学", ("二小",)),
    ("第一中学", ("一中",)),
    ("第二中学", ("二中",)),
    ("第三中学", ("三中",)),
    ("人民检察院", ("检察院",)),
    ("人民法院", ("法院",)),
    ("政务服务中心", ("政务中心", "办事大厅")),
    ("中国工商银行", ("工商银行", "工行")),
    ("中国农业银行", ("农业银行", "农行")),
    ("中国建设银行", ("建设银行", "建行")),
    ("中国移动营业厅", ("移动营业厅", "中国移动")),
    ("中国石化加油站", ("中石化加油站", "石化加油站")),
    ("连锁酒店", ("酒店",)),
    ("大酒店", ("酒店",)),
    ("有限公司", ("公司", "")),
    ("大药房", ("药店",)),
    ("超市", ("",)),
    ("便利店", ("",)),
    ("小区", ("",)),
    ("花园", ("花园小区",)),
    ("公寓", ("公寓楼",)),
    ("大厦", ("大楼",)),
)
_PEOPLES = (
    "土家|朝鲜|布依|哈尼|傈僳|景颇|蒙古|哈萨克|柯尔克孜|仡佬|仫佬|毛南|拉祜|达斡尔|鄂温克|鄂伦春|东乡|保安|撒拉|裕固|塔吉克|锡伯|纳西|普米|独龙|布朗|各|"
    "壮|回|藏|苗|侗|彝|傣|白|羌|满|瑶|黎|畲|水|土|佤|怒"
)
_REGION_TAIL = re.compile(f"(?:(?:(?:{_PEOPLES})族|维吾尔|蒙古|哈萨克|柯尔克孜)*自治[区州县]|特别行政区|地区|省|市|区|县|镇|乡|街道)$")
_NUMERALS = "零一二三四五六七八九"


def chinese_numeral(number: int) -> str:
    """1 to 99 in Chinese characters."""
    tens, ones = divmod(number, 10)
    if not tens:
        return _NUMERALS[ones]
    return (_NUMERALS[tens] if tens > 1 else "") + "十" + (_NUMERALS[ones] if ones else "")


def short_region(name: str) -> str:
    """A region's everyday name: without its kind, unless one character would be left."""
    short = "内蒙古" if name == "内蒙古自治区" else _REGION_TAIL.sub("", name)
    return short if len(short) > 1 else name


class Speaker:
    """Leaves parts out and writes the rest down, reproducibly for a given random state.

    Args:
        random: the source of every choice.
        homophones: characters of the same sound, for typing slips in names.
    """

    def __init__(self, random: random.Random, homophones: Mapping[str, str]) -> None:
        self._random = random
        self._homophones = homophones

    def leave_out(self, place: Place) -> Place:
        """Drop parts as people do; something that names the place nearly always stays."""
        place = self._drop_regions(place)
        if place.rural or place.cross_road:
            pass
        elif place.estate or place.poi:
            if self._happens(0.3):
                place = replace(place, number="", road=place.road if self._happens(0.5) else "")
            elif place.estate and self._happens(0.35):
                place = replace(place, estate="", phase="")
        if place.poi and self._happens(0.15):
            place = replace(place, poi="")
        place = self._drop_detail(place)
        return replace(place, vicinity=self._random.choice(VICINITIES)) if self._happens(0.05) else place

    def road_alone(self, place: Place) -> Place:
        """What is left when only region and road are said."""
        bare = replace(self._drop_regions(place), cross_road="", number="", estate="", phase="", poi="", village="")
        return replace(bare, building="", unit="", floor="", room="")

    def write(self, place: Place) -> str:
        """One of the ways to write down what the place says."""
        region = "".join(self._region(name) for name in (place.province, place.city, place.county, place.township) if name)
        road = self._slip(place.road, 0.01)
        if place.cross_road:
            roads = [place.road, place.cross_road]
            self._random.shuffle(roads)
            road = self._pick("与", "和", "", "-").join(roads) + self._pick("交叉口", "路口", "交汇处", "交叉路口")
        street = road + self._number(place.number)
        estate = self._alias(self._slip(place.estate, 0.03)) + place.phase
        name = self._alias(self._slip(place.poi, 0.03))
        detail = self._detail(place)
        separator = self._random.choices(("", " ", ",", "-"), (88, 7, 3, 2))[0]
        house = self._number(place.number)
        parts = [region, place.village + detail + house, name] if place.rural else [region, *self._ordered(street, estate, name, detail)]
        text = separator.join(part for part in parts if part)
        text += place.vicinity
        if self._happens(0.04):
            note = self._random.choice(NOTES)
            text += self._pick(f"({note})", f" {note}", note)
        return text

    def _ordered(self, street: str, estate: str, name: str, detail: str) -> list[str]:
        if name and street and self._happens(0.1):
            return [street, estate + detail, f"({name})"]
        if estate and street and detail and self._happens(0.12):
            return [f"{estate}({street})", name, detail]
        if name and street and not detail and self._happens(0.08):
            return [name, f"({street})"]
        if name and detail and self._happens(0.7):
            return [street, estate, detail, name]
        return [street, estate, name, detail]

    def _drop_regions(self, place: Place) -> Place:
        if self._happens(0.6):
            place = replace(place, province="")
        if self._happens(0.35):
            place = replace(place, city="")
        if self._happens(0.35):
            place = replace(place, county="")
        if self._happens(0.15 if place.rural else 0.8):
            place = replace(place, township="")
        return place

    def _drop_detail(self, place: Place) -> Place:
        if self._happens(0.15):
            return replace(place, building="", unit="", floor="", room="", number="" if place.rural else place.number)
        if self._happens(0.12):
            place = replace(place, room="", floor="")
        if self._happens(0.15):
            place = replace(place, unit="")
        if place.room and self._happens(0.7):
            place = replace(place, floor="")
        return replace(place, phase="") if self._happens(0.15) else place

    def _region(self, name: str) -> str:
        return short_region(name) if self._happens(0.3) else name

    def _number(self, number: str) -> str:
        digits = number.removesuffix("号")
        if digits != number and digits.isdecimal():
            if int(digits) < 100 and self._happens(0.04):
                return chinese_numeral(int(digits)) + "号"
            if self._happens(0.05):
                return digits
        return number

    def _detail(self, place: Place) -> str:
        building, unit, floor, room = place.building, place.unit, place.floor, place.room
        if place.rural:
            return f"{self._numeral(building)}{self._pick('组', '组', '队', '社')}" if building else ""
        if building.isdecimal() and room and not floor and self._happens(0.12):
            return self._pick("-", "-", "/", "号-").join(part for part in (building, unit, room) if part)
        text = ""
        if building:
            text += self._building(building, place)
        if unit:
            text += f"{self._numeral(unit)}单元"
        if floor:
            text += self._numeral(floor) + self._pick("楼", "层", "F")
        if room:
            text += room + self._pick("室", "室", "", "房", "号")
        return text

    def _building(self, building: str, place: Place) -> str:
        if place.number.endswith("弄"):
            return f"{building}号"
        if building.isalpha():
            return building + self._pick("座", "座", "栋", "幢")
        return self._numeral(building) + self._pick("栋", "幢", "号楼", "号楼", "#", "座", "#楼")

    def _numeral(self, digits: str) -> str:
        return chinese_numeral(int(digits)) if digits.isdecimal() and int(digits) < 100 and self._happens(0.08) else digits

    def _alias(self, name: str) -> str:
        if self._happens(0.3):
            for long, short_forms in _ALIASES:
                if name.endswith(long) and len(name) - len(long) + len(short_forms[0]) > 1:
                    return name.removesuffix(long) + self._random.choice(short_forms)
        return name

    def _slip(self, name: str, probability: float) -> str:
        """With this probability, one character of the name becomes one of the same sound."""
        if not name or not self._happens(probability):
            return name
        position = self._random.randrange(len(name))
        others = self._homophones.get(name[position], "")
        return name[:position] + self._random.choice(others) + name[position + 1 :] if others else name

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability
