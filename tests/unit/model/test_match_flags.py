"""How much of each word the other address repeats."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.model.encoding import split_words
from service.model.match_flags import is_run, match_flags

WORDS = st.lists(st.sampled_from([*"路文一二号栋-", "1", "12", "a", "a12", "363"]), max_size=20)


@pytest.mark.parametrize(
    ("address", "other", "flags"),
    [
        ("文一路", "文一路", [3, 3, 3]),
        ("文一路", "文二路", [2, 0, 2]),
        ("文一路", "路一号", [0, 1, 1]),
        ("23号", "23号", [3, 3]),
        ("23号", "25号", [0, 2]),
        ("3栋2单元", "2栋3单元", [1, 1, 1, 2, 3]),
        ("3-201", "3栋201室", [2, 0, 1]),
        ("路23号", "路23弄", [3, 2, 0]),
        ("a12", "a12", [3]),
        ("a12", "12", [0]),
        ("路", "", [0]),
        ("", "路", []),
    ],
)
def test_flags_tell_presence_and_common_neighbours(address: str, other: str, flags: list[int]) -> None:
    """0 absent, 1 present, 2 one common neighbour, 3 both (for a run of digits and letters: the same unit after it)."""
    assert match_flags(split_words(address), split_words(other)) == flags


@pytest.mark.parametrize(("word", "run"), [("1", True), ("a1", True), ("路", False), ("-", False)])
def test_digits_and_letters_are_runs(word: str, run: bool) -> None:
    """Runs are compared whole; everything else is a character."""
    assert is_run(word) is run


@settings(deadline=None)
@given(WORDS, WORDS)
def test_every_word_gets_a_flag_in_range(words: list[str], other: list[str]) -> None:
    """As many flags as words, each 0 to 3, and 0 exactly for what the other does not have."""
    flags = match_flags(words, other)
    assert len(flags) == len(words)
    assert all(flag in (0, 1, 2, 3) for flag in flags)
    assert [flag == 0 for flag in flags] == [word not in other for word in words]


@settings(deadline=None)
@given(WORDS)
def test_an_address_matches_itself_wholly(words: list[str]) -> None:
    """Every word of two equal addresses has flag 3."""
    assert match_flags(words, words) == [3] * len(words)
