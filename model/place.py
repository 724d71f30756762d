"""A place as its parts, invented from a gazetteer; and changed in one part, which makes the hard negatives."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from model.gazetteer import Gazetteer, Region

CHAINS = (
    *("肯德基", "麦当劳", "星巴克", "必胜客", "瑞幸咖啡", "蜜雪冰城", "华莱士", "海底捞火锅", "中国银行"),
    *("中国工商银行", "中国农业银行", "中国建设银行", "交通银行", "招商银行", "中国邮政", "中国移动营业厅"),
    *("中国电信营业厅", "中国石化加油站", "中国石油加油站", "顺丰速运", "菜鸟驿站", "中通快递", "圆通速递", "京东快递"),
    *("全家便利店", "罗森便利店", "如家酒店", "汉庭酒店", "七天连锁酒店", "老百姓大药房", "海王星辰药店", "沃尔玛超市"),
    *("永辉超市", "大润发超市", "华润万家超市", "新华书店", "中国福利彩票", "兰州拉面", "沙县小吃"),
)
"""Names that stand in every town: equal names alone prove nothing."""

INSTITUTIONS = (
    *("人力资源和社会保障局", "市场监督管理局", "公安局", "税务局", "教育局", "自然资源和规划局", "住房和城乡建设局"),
    *("人民法院", "人民检察院", "人民政府", "政务服务中心", "派出所", "交警大队", "消防救援大队", "图书馆", "文化馆"),
    *("体育馆", "博物馆", "汽车站", "客运中心", "人民医院", "第一人民医院", "第二人民医院", "中医院", "妇幼保健院"),
    *("社区卫生服务中心", "实验小学", "第一小学", "第二小学", "中心小学", "第一中学", "第二中学", "第三中学"),
    *("实验中学", "幼儿园", "中心幼儿园", "农贸市场", "敬老院", "殡仪馆", "党校"),
)
"""What most towns have one of."""

TRADES = (
    *("科技有限公司", "贸易有限公司", "电子有限公司", "建材有限公司", "装饰工程有限公司", "物流有限公司"),
    *("食品有限公司", "律师事务所", "超市", "便利店", "药店", "饭店", "火锅店", "面馆", "烧烤店", "理发店", "美容院"),
    *("服装店", "五金店", "水果店", "烟酒店", "汽修厂", "洗车行", "宾馆", "大酒店", "网吧", "书店", "诊所"),
    *("口腔门诊部", "培训学校", "幼儿园", "房产中介", "手机维修店", "仓库", "商住楼"),
)
"""What follows a made-up name."""

ORDINALS = "一二三四五六七八九十"
DIRECTIONS = "东西南北中"
PHASES = ("一期", "二期", "三期", "东区", "西区", "南区", "北区")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The parts of an address; an empty part is unknown or not said.

    `building` is a group of houses in a village (`rural`), and a house of the lane when `number` ends with ``弄``.
    """

    province: str = ""
    city: str = ""
    county: str = ""
    township: str = ""
    village: str = ""
    road: str = ""
    cross_road: str = ""
    number: str = ""
    estate: str = ""
    phase: str = ""
    poi: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    room: str = ""
    vicinity: str = ""
    rural: bool = False


class PlaceMaker:
    """Invents places from a gazetteer, reproducibly for a given random state."""

    def __init__(self, gazetteer: Gazetteer, random: random.Random) -> None:
        self._gazetteer = gazetteer
        self._random = random
        self._by_city: dict[tuple[str, str], list[Region]] = defaultdict(list)
        for region in gazetteer.regions:
            self._by_city[region.province, region.city].append(region)
        self._by_county: dict[tuple[str, str, str], list[Region]] = defaultdict(list)
        for region in gazetteer.regions:
            self._by_county[region.province, region.city, region.county].append(region)
        self._cities = sorted(self._by_city)
        self._estates_by_start: dict[str, list[str]] = defaultdict(list)
        for name in gazetteer.estates:
            self._estates_by_start[name[:2]].append(name)
        self._roads_by_start: dict[str, list[str]] = defaultdict(list)
        for name in gazetteer.roads:
            self._roads_by_start[name[0]].append(name)

    def invent(self) -> Place:
        """A place of one of five kinds: flat in an estate, office, shop, house in a village, street corner."""
        kinds: tuple[Callable[[Place], Place], ...] = (self._flat, self._office, self._shop, self._house, self._corner)
        return self._random.choices(kinds, (34, 12, 34, 13, 7))[0](self._somewhere())

    def sibling(self, place: Place) -> Place:
        """Another place invented in the same county."""
        other = self.invent()
        township = other.township if other.rural else place.township
        return replace(other, province=place.province, city=place.city, county=place.county, township=township)

    def elsewhere(self, place: Place) -> Place:
        """The same names in another county, half the time of the same city."""
        near = self._by_city[place.province, place.city]
        region = self._random.choice(near) if self._random.random() < 0.5 else self._random.choice(self._gazetteer.regions)
        return replace(place, province=region.province, city=region.city, county=region.county, township=region.township)

    def other_township(self, place: Place) -> Place:
        """The same names in a township of the same county."""
        near = self._by_county[place.province, place.city, place.county]
        return replace(place, township=self._random.choice(near).township)

    def other_road(self, road: str) -> str:
        """A road easily taken for this one: another ordinal, direction or kind, or a name with the same beginning."""
        choice = self._random.random()
        stem, kind = (road[:-2], road[-2:]) if road.endswith(("大道", "大街", "胡同")) else (road[:-1], road[-1:])
        if road.endswith("段"):
            return self._swap_ordinal(road[:-1]) + "段"
        if choice < 0.3:
            return self._other_direction(stem) + kind
        if choice < 0.5:
            return self._swap_ordinal(stem) + kind
        if choice < 0.6:
            return stem + self._random.choice([other for other in ("路", "街", "大道", "巷", "大街") if other != kind])
        if choice < 0.8:
            return self._near_name(road, self._roads_by_start, 1)
        return self._random.choice(self._gazetteer.roads)

    def other_number(self, number: str) -> str:
        """Another house number: a neighbour, a digit more or less or changed, or any."""
        digits = "".join(character for character in number if character.isdecimal())
        value = int(digits[:4])
        neighbours = (value + 1, value + 2, value - 1, value - 2, value + 10)
        other = self._random.choice((*neighbours, value * 10 + 1, value // 10, int(digits[::-1][:4]), self._house_number()))
        return f"{max(other, 1)}{number.lstrip('0123456789-')}"

    def other_estate(self, estate: str) -> str:
        """An estate with the same beginning, or with one character changed, or any."""
        choice = self._random.random()
        if choice < 0.5:
            return self._near_name(estate, self._estates_by_start, 2)
        other = self._random.choice(self._gazetteer.estates)
        if choice < 0.75:
            position = self._random.randrange(len(estate) - 1)
            return estate[:position] + other[0] + estate[position + 1 :]
        return other

    def other_village(self) -> str:
        """Any village."""
        return self._random.choice(self._gazetteer.villages)

    def poi(self) -> str:
        """A shop, an institution or a branch of a chain."""
        choice = self._random.random()
        if choice < 0.25:
            return self._random.choice(CHAINS)
        if choice < 0.5:
            return self._random.choice(INSTITUTIONS)
        stem = self._random.choice(self._gazetteer.estates)[: self._random.choice((2, 2, 3, 4))]
        return stem + self._random.choice(TRADES)

    def other_finer(self, value: str) -> str:
        """Another building, unit, floor or room number of the same shape."""
        if value.isalpha():
            return self._random.choice([letter for letter in "ABCDE" if letter != value])
        digits = value.lstrip("ABCDE")
        number = int(digits)
        step = self._random.choice((1, 2, 100, 1000)) if len(digits) > 2 else self._random.choice((1, 2, 3, 10))
        return value[: len(value) - len(digits)] + str(number + step if self._random.random() < 0.5 or number <= step else number - step)

    def _near_name(self, name: str, pool: dict[str, list[str]], start: int) -> str:
        """Another real name with the same beginning, when there is one."""
        return self._random.choice(pool[name[:start]] or [name])

    def _somewhere(self) -> Place:
        crowded = self._random.random() < 0.6
        region = self._random.choice(self._gazetteer.regions if crowded else self._by_city[self._random.choice(self._cities)])
        return Place(province=region.province, city=region.city, county=region.county, township=region.township)

    def _house_number(self) -> int:
        return self._random.choice((self._random.randint(1, 99), self._random.randint(1, 400), self._random.randint(100, 2999)))

    def _street(self, place: Place) -> Place:
        suffix = self._random.choices(("号", "弄", "号院", "-1号"), (88, 4, 5, 3))[0]
        road = self._random.choice(self._gazetteer.roads)
        if self._random.random() < 0.04:
            road += self._random.choice(ORDINALS[:5]) + "段"
        return replace(place, road=road, number=f"{self._house_number()}{suffix}")

    def _flat(self, place: Place) -> Place:
        phase = self._random.choice(PHASES) if self._random.random() < 0.12 else ""
        building = self._building()
        floor = self._random.randint(1, 33)
        unit = str(self._random.randint(1, 5)) if self._random.random() < 0.6 else ""
        room = f"{floor}{self._random.randint(1, 8):02d}"
        place = replace(self._street(place), estate=self._random.choice(self._gazetteer.estates), phase=phase)
        return replace(place, building=building, unit=unit, room=room)

    def _office(self, place: Place) -> Place:
        floor = self._random.randint(1, 40)
        building = self._building() if self._random.random() < 0.6 else ""
        place = replace(self._street(place), estate=self._random.choice(self._gazetteer.estates), building=building)
        place = replace(place, floor=str(floor), room=f"{floor}{self._random.randint(1, 30):02d}" if self._random.random() < 0.7 else "")
        return replace(place, poi=self.poi()) if self._random.random() < 0.5 else place

    def _shop(self, place: Place) -> Place:
        place = replace(self._street(place), poi=self.poi())
        if self._random.random() < 0.25:
            place = replace(place, estate=self._random.choice(self._gazetteer.estates))
        return replace(place, floor=str(self._random.randint(1, 6))) if self._random.random() < 0.2 else place

    def _house(self, place: Place) -> Place:
        group = str(self._random.randint(1, 20)) if self._random.random() < 0.6 else ""
        number = f"{self._house_number()}号" if self._random.random() < 0.6 else ""
        return replace(place, village=self.other_village(), building=group, number=number, rural=True)

    def _corner(self, place: Place) -> Place:
        road, cross_road = self._random.sample(self._gazetteer.roads, 2)
        return replace(place, road=road, cross_road=cross_road, poi=self.poi() if self._random.random() < 0.4 else "")

    def _building(self) -> str:
        if self._random.random() < 0.15:
            return self._random.choice("ABCDE") + (str(self._random.randint(1, 9)) if self._random.random() < 0.3 else "")
        return str(self._random.randint(1, 45))

    def _other_direction(self, stem: str) -> str:
        if len(stem) > 1 and stem[-1] in DIRECTIONS:
            return stem[:-1] + self._random.choice(["", *(other for other in DIRECTIONS if other != stem[-1])])
        return stem + self._random.choice(DIRECTIONS)

    def _swap_ordinal(self, stem: str) -> str:
        for position in range(len(stem) - 1, -1, -1):
            if stem[position] in ORDINALS:
                other = self._random.choice([ordinal for ordinal in ORDINALS if ordinal != stem[position]])
                return stem[:position] + other + stem[position + 1 :]
        return stem + self._random.choice(ORDINALS[:5])
