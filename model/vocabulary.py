"""The characters the embedded model knows, chosen by how often they stand in names."""

from __future__ import annotations

import string
from collections import Counter
from typing import TYPE_CHECKING

from service.model.normalization import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""In BERT's usual order; padding is 0."""

PUNCTUATION = "()-/,.#·、:'&+_*"
_RUNS = string.digits + string.ascii_lowercase


def build_vocabulary(names: Iterable[str], required: Iterable[str], size: int) -> list[str]:
    """The tokens in id order.

    Args:
        names: where characters are counted.
        required: texts whose characters are all taken, however rare.
        size: tokens at most.
    """
    counts = Counter(character for name in names for character in normalize(name) if not character.isascii())
    by_frequency = sorted(counts, key=lambda character: (-counts[character], character))
    needed = sorted({character for text in required for character in normalize(text) if not character.isascii()})
    fixed: Sequence[str] = [*SPECIAL, *PUNCTUATION, *_RUNS, *("##" + character for character in _RUNS)]
    ordered = dict.fromkeys([*(character for character in fixed if len(character) > 0), *needed, *by_frequency])
    return list(ordered)[:size]
