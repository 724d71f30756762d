"""How much of each token the other address repeats: what a small model cannot learn to see by itself.

A flag is one of

==  ================================================  ======================================================
 .  a single character                                a run of digits and letters (a "word")
==  ================================================  ======================================================
0   the other address does not have it                the other address has no equal run
1   the other address has it somewhere                an equal run, but neither neighbour is the same
2   with the same neighbour on one side               an equal run, with the same token before it only
3   with the same neighbours on both sides            an equal run, with the same token after it (its unit)
==  ================================================  ======================================================

Beginning and end of the address count as neighbours. A model with flags reads them as
``token_type_id = 4 * segment + flag``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = 4
"""How many values a flag has; token types are ``FLAGS * segment + flag``."""

_EDGE = ""


def match_flags(words: Sequence[str], other: Sequence[str]) -> list[int]:
    """Flag every word of an address against the other address.

    Args:
        words: single characters, and whole runs of digits and letters, in order; none is empty.
        other: the same of the other address.

    Returns:
        One flag per word, each in 0..3.
    """
    present = set(other)
    after = set(pairwise([_EDGE, *other, _EDGE]))
    flags = []
    previous = _EDGE
    for word, following in pairwise([*words, _EDGE]):
        if word not in present:
            flags.append(0)
        else:
            same_before = (previous, word) in after
            same_after = (word, following) in after
            if same_after and (same_before or is_run(word)):
                flags.append(3)
            elif same_after or same_before:
                flags.append(2)
            else:
                flags.append(1)
        previous = word
    return flags


def is_run(word: str) -> bool:
    """Whether a word is a run of digits and letters, which is compared whole, rather than a character of running text."""
    return word[0].isascii() and word[0].isalnum()
