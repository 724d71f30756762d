"""Turn address pairs into token ids for a character-level BERT whose token types carry match flags.

The ids are the ones the stock tokenizer gives for the same `vocab.txt` (a test holds the two together), so the
checkpoint stays loadable elsewhere. It is written out here because the flags need each token's text, which the stock
tokenizer loses in ``[UNK]``, and because one pass in pure Python is several times faster for texts this short.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.model.match_flags import FLAGS, match_flags
from service.model.normalization import normalize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.model.base import AddressPair

SPECIAL_TOKENS = 3
"""[CLS], and one [SEP] after each address."""

LONGEST_WORD = 100
"""Characters; the stock tokenizer takes a longer run of digits and letters for one unknown token."""

_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""The ranges BERT splits into single characters, gap and all (0x2B820-0x2B91F is missing there too)."""


_COMMON = re.compile("[ -~一-\u9fff·、。—]*")
"""Texts of these characters alone need no Unicode work: nearly all addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPair:
    """One pair as a model reads it, without padding.

    Attributes:
        input_ids: at most the model's maximum length.
        token_type_ids: as many as `input_ids`.
        truncated: whether tokens were cut away to fit.
    """

    input_ids: list[int]
    token_type_ids: list[int]
    truncated: bool


class PairEncoder(Protocol):
    """Text to token ids; one result per pair, in their order."""

    @property
    def pad_id(self) -> int:
        """The id that fills up shorter members of a batch."""
        ...

    def encode(self, pairs: Sequence[AddressPair]) -> list[EncodedPair]:
        """Encode every pair; never raises for valid Unicode."""
        ...


class FlaggedPairEncoder(PairEncoder):
    """Encodes for the embedded model: normalised text, characters as tokens, match flags as token types.

    Args:
        vocabulary: token to id; holds ``[PAD] [UNK] [CLS] [SEP]`` and single characters, with ``##`` pieces for digits and letters.
        max_length: tokens of a whole pair, special ones included.

    Raises:
        KeyError: the vocabulary misses one of the four special tokens.
    """

    def __init__(self, vocabulary: Mapping[str, int], max_length: int) -> None:
        self._vocabulary = dict(vocabulary)
        self._max_length = max_length
        self._pad_id = vocabulary["[PAD]"]
        self._unknown = vocabulary["[UNK]"]
        self._start = vocabulary["[CLS]"]
        self._separator = vocabulary["[SEP]"]

    @property
    def pad_id(self) -> int:
        """The id of ``[PAD]``."""
        return self._pad_id

    def encode(self, pairs: Sequence[AddressPair]) -> list[EncodedPair]:
        """Encode every pair, cutting the longer address first when both together are too long."""
        return [self._encode_pair(split_words(normalize(pair.address1)), split_words(normalize(pair.address2))) for pair in pairs]

    def _encode_pair(self, words1: list[str], words2: list[str]) -> EncodedPair:
        ids1, types1 = self._tokens(words1, match_flags(words1, words2), segment=0)
        ids2, types2 = self._tokens(words2, match_flags(words2, words1), segment=1)
        keep1, keep2 = shared_lengths(len(ids1), len(ids2), self._max_length - SPECIAL_TOKENS)
        return EncodedPair(
            input_ids=[self._start, *ids1[:keep1], self._separator, *ids2[:keep2], self._separator],
            token_type_ids=[0, *types1[:keep1], 0, *types2[:keep2], FLAGS],
            truncated=keep1 < len(ids1) or keep2 < len(ids2),
        )

    def _tokens(self, words: list[str], flags: list[int], *, segment: int) -> tuple[list[int], list[int]]:
        vocabulary = self._vocabulary
        ids: list[int] = []
        types: list[int] = []
        for word, flag in zip(words, flags, strict=True):
            token_type = FLAGS * segment + flag
            if len(word) == 1:
                ids.append(vocabulary.get(word, self._unknown))
                types.append(token_type)
            else:
                pieces = self._pieces(word)
                ids += pieces
                types += [token_type] * len(pieces)
        return ids, types

    def _pieces(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        pieces = [self._vocabulary.get(word[0])]
        pieces += [self._vocabulary.get("##" + character) for character in word[1:]]
        known = [piece for piece in pieces if piece is not None]
        return known if len(known) == len(word) else [self._unknown]


def shared_lengths(length1: int, length2: int, budget: int) -> tuple[int, int]:
    """How many tokens of each address to keep: the longer one loses first, then both go down to half the budget each."""
    if length1 + length2 <= budget:
        return length1, length2
    shorter = min(length1, length2)
    if shorter <= budget // 2:
        return (shorter, budget - shorter) if length1 <= length2 else (budget - shorter, shorter)
    half, odd = divmod(budget, 2)
    return (half, half + odd) if length1 <= length2 else (half + odd, half)


def split_words(text: str) -> list[str]:
    """Split lower-case text as BERT does: CJK characters and punctuation alone, everything else in runs.

    Accents and control characters are dropped; white space only separates.
    """
    words: list[str] = []
    run = ""
    for character in text if _COMMON.fullmatch(text) else _without_rarities(text):
        if character.isascii() and character.isalnum():
            run += character
        elif "一" <= character <= "\u9fff" or not _is_letter(character):
            if run:
                words.append(run)
                run = ""
            if not character.isspace():
                words.append(character)
        else:
            run += character
    if run:
        words.append(run)
    return words


def _without_rarities(text: str) -> str:
    """Drop control characters and accents, as the stock tokenizer does before it splits."""
    kept = "".join(character for character in text if character in "\t\n\r" or not _is_control(character))
    return "".join(character for character in unicodedata.normalize("NFD", kept) if unicodedata.category(character) != "Mn").lower()


def _is_control(character: str) -> bool:
    return character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co")


def _is_letter(character: str) -> bool:
    """Whether a character belongs to a run: neither white space, nor punctuation, nor Chinese."""
    if character.isascii():
        return character.isalnum()
    return not (
        character.isspace() or unicodedata.category(character)[0] == "P" or any(first <= ord(character) <= last for first, last in _CJK)
    )
