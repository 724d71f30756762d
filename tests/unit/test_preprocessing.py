"""What the cleaner keeps, cuts and refuses."""

from __future__ import annotations

import re
import sys
import time
import unicodedata

import pytest

from service import preprocessing
from service.errors import ErrorType, InvalidInput
from service.preprocessing import CleanText, clean, pair_fields

HANGZHOU = "浙江省杭州市西湖区文三路478号"


def cleaned(value: object, *, max_length: int = 100, strict: bool = False) -> CleanText:
    return clean(value, field="address1", max_length=max_length, strict=strict)


def refused(value: object, *, max_length: int = 100, strict: bool = False) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        cleaned(value, max_length=max_length, strict=strict)
    return caught.value


def test_an_ordinary_address_passes_unchanged():
    """Nothing is normalised that the model has not asked for."""
    assert CleanText(text=HANGZHOU, length=16, truncated=False) == cleaned(HANGZHOU)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("  文三路  ", "文三路"),
        ("\u3000文三路\u3000", "文三路"),
        ("文三路\t478号", "文三路 478号"),
        ("文三路\r\n478号", "文三路  478号"),
        ("文三路\u2028478号", "文三路 478号"),
        ("\n文三路\n", "文三路"),
        ("文三路\x00478号", "文三路478号"),
        ("\ufeff文三路", "文三路"),
        ("\u202e文三路\u202c", "文三路"),
        ("文\u200b三\u200d路", "文三路"),
        ("文\xad三\x7f路\x9f", "文三路"),
        ("文三路\x1f", "文三路"),
        ("\x00 \u200b 文三路 \u200b \x00", "文三路"),
        ("文三路  478号", "文三路  478号"),
        ("ＡＢＣ１２３", "ＡＢＣ１２３"),
        ("臺北市", "臺北市"),
        ("🏠文三路👨‍👩", "🏠文三路👨👩"),
        ("e\u0301文", "e\u0301文"),
    ],
)
def test_only_what_nobody_sees_is_removed(value, text):
    """Control and format characters go, line breaks become a space, the ends are stripped; all else stays."""
    assert text == cleaned(value).text


def test_the_length_is_that_of_what_was_received():
    """Characters that were removed count in `length`, which tells what the caller sent."""
    assert CleanText(text="文三路", length=7, truncated=False) == cleaned(" \x00文三路\u200b ")


@pytest.mark.parametrize("value", [None, True, False, 0, 1.5, [], ["文"], {}, b"abc"])
def test_what_is_no_string_has_the_wrong_type(value):
    """Every other JSON type is refused, numbers and null included."""
    error = refused(value)
    assert (error.error_type, error.field, error.detail) == (ErrorType.WRONG_TYPE, "address1", "address1 must be a string")


@pytest.mark.parametrize(
    "value", ["", " ", "\u3000\u3000", "\t\r\n", "\x00", "\u200b\u200b", "\ufeff", " \u202e \x00 ", "\u200b " * 50_000]
)
def test_nothing_visible_is_an_empty_address(value):
    """An address that shows nothing is empty, however many characters it has."""
    error = refused(value)
    assert (error.error_type, error.field, error.detail) == (ErrorType.EMPTY_ADDRESS, "address1", "address1 has no visible character")


@pytest.mark.parametrize("value", ["\ud800", "文\udfff路", "x" * 200 + "\ud83d", "\udc00\ud800"])
def test_half_a_surrogate_pair_is_invalid_text(value):
    """Also beyond the cut, so that whether a text is valid does not depend on the length limit."""
    assert refused(value).error_type is ErrorType.INVALID_TEXT


def test_the_limit_itself_is_not_too_long():
    """A text of exactly `max_length` characters stays whole."""
    assert CleanText(text="文" * 100, length=100, truncated=False) == cleaned("文" * 100)


def test_one_character_more_is_cut_and_said():
    """The first `max_length` characters stay."""
    assert CleanText(text="文" * 100, length=101, truncated=True) == cleaned("文" * 101)


def test_one_character_more_is_refused_in_strict_mode():
    """Strict mode names the field and the limit."""
    error = refused("文" * 101, strict=True)
    assert (error.error_type, error.detail) == (ErrorType.ADDRESS_TOO_LONG, "address1 has more than 100 characters")


def test_what_is_removed_does_not_count_towards_the_limit():
    """The limit is on what the model sees."""
    value = " " * 500 + "\u200b".join("文" * 100) + "\x00" * 500
    assert CleanText(text="文" * 100, length=1199, truncated=False) == cleaned(value, strict=True)


def test_blanks_at_the_end_are_not_cut_but_stripped():
    """A long tail without content does not make an address too long."""
    assert CleanText(text="文" * 100, length=10_100, truncated=False) == cleaned("文" * 100 + " \u200b" * 5_000, strict=True)


def test_content_behind_a_long_gap_is_cut_off():
    """What comes after the limit is lost even if only blanks stand between; the cut leaves no blank at the end."""
    assert CleanText(text="文", length=10_002, truncated=True) == cleaned("文" + " " * 10_000 + "路")


@pytest.mark.parametrize(
    ("value", "max_length", "text"),
    [
        ("abcde\u0301", 5, "abcd"),
        ("abcd\u0301\u0302\u0303", 5, "abc"),
        ("abce\u0301f", 5, "abce\u0301"),
        ("葛\U000e0100飾区", 1, "葛"),
        ("\u0301\u0301\u0301", 2, "\u0301\u0301"),
    ],
)
def test_a_cut_does_not_part_a_character_from_its_marks(value, max_length, text):
    """The whole combining sequence goes, unless there is nothing else."""
    assert text == cleaned(value, max_length=max_length).text


@pytest.mark.parametrize(
    "unit", ["x", "北", "😀", " ", "\u200b", "\x00", "a\x00", "\u200b ", "\u0301"], ids=lambda unit: unit.encode("unicode_escape").decode()
)
def test_a_megabyte_of_text_is_no_burden(unit):
    """Whatever it is made of: 1 to 12 ms on an idle machine, where a loop over the characters takes a second."""
    value = "a" + unit * (1_000_000 // len(unit))
    started = time.perf_counter()
    result = cleaned(value)
    assert time.perf_counter() - started < 0.3
    assert len(value) == result.length


def test_no_error_quotes_the_text():
    """Details and messages name fields and numbers only, and no chained exception holds the text either."""
    for error in (
        refused("秘密地址" * 30, strict=True),
        refused("秘密地址\ud800"),
        refused(["秘密地址"]),
    ):
        assert "秘密" not in f"{error!r} {error} {error.detail} {error.__cause__!r}"
        assert error.__suppress_context__ or error.__context__ is None


def test_the_table_of_unseen_characters_is_that_of_unicode():
    """Every character of the categories Cc and Cf is removed or blanked, and no assigned character of another category is."""
    unseen = re.compile(f"[{preprocessing._UNSEEN}]")
    blank = re.compile(f"[{preprocessing._BLANK}]")
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        if category in {"Cc", "Cf"}:
            assert unseen.match(character) or blank.match(character), hex(code)
        elif category != "Cn":
            assert not unseen.match(character), hex(code)


def test_the_two_fields_of_a_body_are_taken_as_they_are():
    """What they are is judged later, so that a wrong one still leaves an inference with its facts."""
    assert pair_fields({"address1": "a", "address2": None, "other": 1}) == ("a", None)


@pytest.mark.parametrize("body", [None, True, 1, "text", [], [{"address1": "a", "address2": "b"}]])
def test_a_body_that_is_no_object_has_the_wrong_type(body):
    """No field is named, since there is none."""
    with pytest.raises(InvalidInput) as caught:
        pair_fields(body)
    assert (caught.value.error_type, caught.value.field) == (ErrorType.WRONG_TYPE, None)


@pytest.mark.parametrize(
    ("body", "field"), [({}, "address1"), ({"address2": "b"}, "address1"), ({"address1": "a"}, "address2"), ({"Address1": "a"}, "address1")]
)
def test_a_missing_field_is_named(body, field):
    """The first that is missing."""
    with pytest.raises(InvalidInput) as caught:
        pair_fields(body)
    assert (ErrorType.MISSING_FIELD, field, f"{field} is missing") == (caught.value.error_type, caught.value.field, caught.value.detail)
