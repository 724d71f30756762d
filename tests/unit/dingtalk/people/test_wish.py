"""What somebody asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.errors import WishMalformed
from dingtalk.people.wish import SilenceWish, silence_wish, taker
from dingtalk.people.wording import WISHES
from tests.alerts import TEXTS

GOOD = {"by": "张三", "reason": "换盘", "seconds": "7200"}


@pytest.mark.parametrize(("given", "read"), [("张三", "张三"), ("  张 \n三\u200b ", "张 三"), ("x" * 40, "x" * 40), ("a\ud800b", "a b")])
def test_a_name_is_one_line(given, read):
    """Without what nobody sees."""
    assert taker({"by": given}) == read


@pytest.mark.parametrize("members", [{}, {"by": ""}, {"by": " \u200b "}, {"by": "x" * 41}, {"by": 7}, {"by": None}, {"name": "张三"}])
def test_nobody_takes_nothing(members):
    """A name must be given, and be one."""
    with pytest.raises(WishMalformed, match=r"^by: "):
        taker(members)


@pytest.mark.parametrize("seconds", ["7200", 7200, 7200.0])
def test_a_silence_has_who_why_and_how_long(seconds):
    """From a form or from JSON."""
    assert silence_wish(GOOD | {"seconds": seconds}) == SilenceWish(by="张三", reason="换盘", seconds=7200.0)


@pytest.mark.parametrize("seconds", ["", "2h", "nan", "inf", "-1", 0, 2_592_001, True, None, [], "9" * 400, 10**400])
def test_how_long_is_a_number_within_bounds(seconds):
    """Up to thirty days."""
    with pytest.raises(WishMalformed, match=r"^seconds: "):
        silence_wish(GOOD | {"seconds": seconds})


@pytest.mark.parametrize("reason", ["", "x" * 201, None])
def test_why_has_to_be_said(reason):
    """In a line."""
    with pytest.raises(WishMalformed, match=r"^reason: "):
        silence_wish(GOOD | {"reason": reason})


@given(st.dictionaries(st.sampled_from(["by", "reason", "seconds"]), TEXTS | st.integers() | st.floats() | st.none()))
def test_anything_is_a_wish_or_says_which_part_is_none(members):
    """And each part has its words on the page."""
    fault, wish = None, None
    try:
        wish = silence_wish(members)
    except WishMalformed as error:
        fault = str(error).partition(":")[0]
    assert (fault in WISHES) is (wish is None)
    if wish is not None:
        assert wish.by.isprintable()
        assert 1 <= len(wish.by) <= 40
        assert 1 <= wish.seconds <= 30 * 86_400
