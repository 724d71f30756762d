"""What the embedded model takes for the same spelling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.model import normalization
from service.model.normalization import normalize, parse_numeral

ADDRESS_TEXT = st.text(alphabet="一二三四五六七八九十百零〇两号楼层栋幢座单元室房间弄门路#fF aA12３０ 、-(", max_size=30)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("１２号Ａ座", "12号a栋"),
        ("三号楼", "3栋"),
        ("3幢", "3栋"),
        ("3#", "3栋"),
        ("3#楼", "3栋"),
        ("3栋楼", "3栋"),
        ("文一路九百六十九号", "文一路969号"),
        ("二十三号", "23号"),
        ("十号", "10号"),
        ("一百零二室", "102室"),
        ("二〇一室", "201室"),
        ("五楼", "5层"),
        ("12F", "12层"),
        ("12F1203", "12层1203"),
        ("501房", "501室"),
        ("501房间", "501室"),
        ("  文一路 　23号 ", "文一路 23号"),
    ],
)
def test_spellings_are_unified(text: str, normal: str) -> None:
    """Width, case, numerals before a unit, the words for building, floor and room."""
    assert normalize(text) == normal


@pytest.mark.parametrize("text", ["文一路", "三元桥", "一二三", "十百号", "十二三号", "号楼", "#", "2fast", "人民南路四段27号", ""])
def test_what_is_no_unit_stays(text: str) -> None:
    """Numerals in names, impossible numerals and units without a number are left alone."""
    assert normalize(text) == text


@pytest.mark.parametrize(
    ("numeral", "value"),
    [
        ("十", "10"),
        ("二十", "20"),
        ("百", "100"),
        ("三百", "300"),
        ("三百零五", "305"),
        ("二〇一六", "2016"),
        ("百百", None),
        ("二三十", None),
    ],
)
def test_numerals_are_read_as_numbers_or_digit_by_digit(numeral: str, value: str | None) -> None:
    """With 十 or 百 a number, else door-plate digits; None for neither."""
    assert parse_numeral(numeral) == value


@settings(deadline=None)
@given(ADDRESS_TEXT)
def test_normal_address_text_stays_normal(text: str) -> None:
    """A second run changes nothing."""
    assert normalize(normalize(text)) == normalize(text)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_a_stable_normal_form(text: str) -> None:
    """No text raises, and none keeps changing."""
    assert normalize(normalize(text)) == normalize(text)


def test_it_gives_up_on_text_that_keeps_changing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of rounds is bounded, so that no text can hold the model's thread."""
    monkeypatch.setattr(normalization, "_FIXED_POINT_ROUNDS", 1)
    assert normalize("三号楼") == "3栋"
