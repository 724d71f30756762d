"""The pairs the embedded model learns from, invented here from a handful of names."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from model.build_pairs import TARGET_SHARES, PairMaker
from model.gazetteer import Gazetteer, Region, is_held_out, parse_regions
from model.mention import Speaker, chinese_numeral, short_region
from model.place import Place, PlaceMaker
from model.vocabulary import build_vocabulary

GAZETTEER = Gazetteer(
    regions=(
        Region(province="浙江省", city="杭州市", county="西湖区", township="文新街道"),
        Region(province="浙江省", city="杭州市", county="余杭区", township="仓前街道"),
        Region(province="湖北省", city="", county="仙桃市", township="三伏潭镇"),
    ),
    roads=("中山北路", "文一路", "文二路", "文三西路", "人民大道"),
    estates=("嘉绿苑", "嘉绿名苑", "桂花城", "翠苑小区"),
    villages=("小乔村", "大乔村"),
)


def quiet_speaker() -> Speaker:
    """Says everything in full: no choice ever falls on something that may happen."""
    random = Random(1)
    random.random = lambda: 0.999
    return Speaker(random, {})


def test_the_same_seed_gives_the_same_pairs() -> None:
    """Data need not be kept: the seed is enough."""
    assert list(PairMaker(GAZETTEER, 5, {}).pairs(50)) == list(PairMaker(GAZETTEER, 5, {}).pairs(50))


def test_another_seed_gives_other_pairs() -> None:
    """Shards do not repeat each other."""
    assert list(PairMaker(GAZETTEER, 5, {}).pairs(50)) != list(PairMaker(GAZETTEER, 6, {}).pairs(50))


def test_labels_come_in_the_wanted_shares() -> None:
    """Within five points."""
    counts = Counter(pair.label for pair in PairMaker(GAZETTEER, 1, {}).pairs(1200))
    for label, share in TARGET_SHARES.items():
        assert counts[label] / 1200 == pytest.approx(share, abs=0.05)


def test_addresses_are_what_the_service_lets_through() -> None:
    """Not empty, stripped, at most a hundred characters, and some of them long."""
    pairs = list(PairMaker(GAZETTEER, 2, {}).pairs(500))
    texts = [text for pair in pairs for text in (pair.address1, pair.address2)]
    assert all(0 < len(text) <= 100 for text in texts)
    assert max(len(text) for text in texts) > 90


def test_equal_texts_are_always_an_exact_match() -> None:
    """Whatever they were invented as."""
    pairs = [pair for pair in PairMaker(GAZETTEER, 3, {}).pairs(1200) if pair.address1 == pair.address2]
    assert len(pairs) > 10
    assert {pair.label for pair in pairs} == {"exact_match"}


@pytest.mark.parametrize(("number", "numeral"), [(3, "三"), (10, "十"), (12, "十二"), (20, "二十"), (99, "九十九")])
def test_numbers_are_written_in_chinese(number: int, numeral: str) -> None:
    """1 to 99."""
    assert chinese_numeral(number) == numeral


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("浙江省", "浙江"),
        ("杭州市", "杭州"),
        ("易县", "易县"),
        ("内蒙古自治区", "内蒙古"),
        ("新疆维吾尔自治区", "新疆"),
        ("恩施土家族苗族自治州", "恩施"),
        ("伊犁哈萨克自治州", "伊犁"),
        ("文新街道", "文新"),
    ],
)
def test_regions_have_everyday_names(name: str, short: str) -> None:
    """Without their kind, unless one character would be left."""
    assert short_region(name) == short


def test_a_place_said_in_full_reads_as_an_address() -> None:
    """Region, street, estate, building, unit, room."""
    place = Place(province="浙江省", city="杭州市", road="文一路", number="23号", estate="嘉绿苑", building="3", unit="2", room="501")
    written = quiet_speaker().write(place)
    assert written.startswith("浙江省杭州市")
    assert all(part in written for part in ("文一路", "23号", "嘉绿苑", "2单元", "501"))


def test_a_road_alone_names_no_place() -> None:
    """Everything below the road is gone."""
    place = Place(city="杭州市", road="文一路", number="23号", estate="嘉绿苑", poi="肯德基", building="3", room="501")
    assert quiet_speaker().road_alone(place) == Place(city="杭州市", road="文一路")


def test_a_neighbouring_road_is_another_road() -> None:
    """Real or made up, it nearly always differs, and it never is empty."""
    maker = PlaceMaker(GAZETTEER, Random(4))
    others = [maker.other_road("文一路") for _ in range(200)]
    assert all(others)
    assert sum(other != "文一路" for other in others) > 150


@pytest.mark.parametrize("value", ["3", "501", "A", "B2"])
def test_another_unit_has_the_same_shape(value: str) -> None:
    """Letters stay letters, numbers numbers above zero, and it differs."""
    maker = PlaceMaker(GAZETTEER, Random(4))
    for _ in range(50):
        other = maker.other_finer(value)
        assert other != value
        assert other.isalpha() == value.isalpha()
        assert not other.isdecimal() or int(other) > 0


def test_townships_know_everything_above_them() -> None:
    """A county right under its province has no city."""
    content = {
        "divisions": [
            [1, "42", "", "湖北省"],
            [2, "4201", "42", "武汉市"],
            [3, "420111", "4201", "洪山区"],
            [4, "420111001", "420111", "珞南街道"],
            [3, "429004", "42", "仙桃市"],
            [4, "429004100", "429004", "三伏潭镇"],
        ]
    }
    assert parse_regions(content) == [
        Region(province="湖北省", city="", county="仙桃市", township="三伏潭镇"),
        Region(province="湖北省", city="武汉市", county="洪山区", township="珞南街道"),
    ]


def test_about_one_name_in_eight_is_held_out() -> None:
    """By the name alone, so that a name is on one side for ever."""
    names = [f"{first}{second}路" for first in "东南西北中上下左右前" for second in "江河湖海山石田水火木"]
    assert 5 <= sum(is_held_out(name) for name in names) <= 22


def test_the_vocabulary_begins_with_what_bert_needs() -> None:
    """Special tokens, required characters before frequent ones, pieces for runs."""
    tokens = build_vocabulary(["文文一", "路"], ["鑫"], 200)
    assert tokens[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokens[-4:] == ["鑫", "文", "一", "路"]
    assert {"0", "##0", "a", "##a"} <= set(tokens)


def test_the_vocabulary_keeps_to_its_size() -> None:
    """The rarest characters are left out."""
    assert len(build_vocabulary(["文一路"], ["鑫"], 93)) == 93
