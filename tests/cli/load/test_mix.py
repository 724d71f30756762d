"""Which kinds of request come, and how often."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from cli.load.mix import ONLY_VALID, Kind, Mix


def test_a_mix_is_read_as_written():
    """Kinds that are left out do not come; blanks do not matter."""
    assert Mix.parse("valid=0.9, invalid = 0.1") == Mix(weights=((Kind.VALID, 0.9), (Kind.INVALID, 0.1)))


def test_kinds_come_as_often_as_their_weights_say():
    """The weights need not add up to one; a weight of nought never comes."""
    mix = Mix.parse("valid=6,batch=3,cancelled=1,oversized=0")
    random = Random(1)
    drawn = Counter(mix.draw(random) for _ in range(10_000))
    assert drawn[Kind.VALID] == pytest.approx(6000, rel=0.05)
    assert drawn[Kind.BATCH] == pytest.approx(3000, rel=0.05)
    assert drawn[Kind.CANCELLED] == pytest.approx(1000, rel=0.1)
    assert drawn[Kind.OVERSIZED] == 0


def test_without_a_mix_all_requests_are_valid():
    """The default of the command."""
    assert ONLY_VALID.draw(Random(1)) is Kind.VALID


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not a part of a mix; write KIND=WEIGHT with a kind of valid, invalid, oversized, cancelled, batch"),
        ("valid", "'valid' is not a part of a mix"),
        ("slow=1", "'slow=1' is not a part of a mix"),
        ("valid=much", "'much' is not a weight of valid"),
        ("valid=1,valid=2", "valid stands twice"),
        ("valid=0", "at least one weight over 0"),
        ("valid=1,invalid=-1", "none below it"),
        ("valid=nan", "at least one weight over 0"),
    ],
)
def test_what_is_no_mix_is_refused_with_the_reason(text, reason):
    """Before a single request is sent."""
    with pytest.raises(ValueError, match=reason):
        Mix.parse(text)
