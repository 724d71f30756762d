"""Text to token ids for the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from service.model.base import AddressPair
from service.model.encoding import EncodedPair, FlaggedPairEncoder, shared_lengths, split_words
from service.model.normalization import normalize
from service.model.transformer import embedded_model_directory

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"文一路号12a-", "##1", "##2", "##a"]
VOCABULARY = {token: index for index, token in enumerate(TOKENS)}

MIXED_TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("浙江省杭州市西湖区文一路二三号楼栋单元室ABCabc0123456789-#()，。、·\t\n \x00\x7f\ufffd"),
        st.characters(min_codepoint=0x20, max_codepoint=0x24F),
        st.characters(min_codepoint=0x400, max_codepoint=0x45F),
        st.characters(min_codepoint=0x3041, max_codepoint=0x30FF, categories=["L", "M"]),
        st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5),
        st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
        st.characters(min_codepoint=0xF900, max_codepoint=0xFA6D),
        st.characters(min_codepoint=0xFF01, max_codepoint=0xFF5E),
        st.characters(min_codepoint=0x1F300, max_codepoint=0x1F5FF),
        st.characters(min_codepoint=0x20000, max_codepoint=0x20100),
    ),
    min_size=1,
    max_size=50,
)


@pytest.fixture(scope="module")
def embedded_directory() -> Path:
    return embedded_model_directory()


@pytest.fixture(scope="module")
def stock_tokenizer(embedded_directory: Path):
    return AutoTokenizer.from_pretrained(embedded_directory, local_files_only=True)


@pytest.fixture(scope="module")
def embedded_vocabulary(embedded_directory: Path) -> dict[str, int]:
    tokens = (embedded_directory / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return {token: index for index, token in enumerate(tokens)}


def encode(address1: str, address2: str, max_length: int = 64) -> EncodedPair:
    return FlaggedPairEncoder(VOCABULARY, max_length).encode([AddressPair(address1=address1, address2=address2)])[0]


def test_a_pair_becomes_ids_and_flagged_token_types() -> None:
    """[CLS] a [SEP] b [SEP]; the second address has token types 4 to 7."""
    assert encode("文一路12号", "文路12号") == EncodedPair(
        input_ids=[2, 4, 5, 6, 8, 13, 7, 3, 4, 6, 8, 13, 7, 3],
        token_type_ids=[0, 2, 0, 2, 3, 3, 3, 0, 6, 6, 7, 7, 7, 4],
        truncated=False,
    )


def test_characters_outside_the_vocabulary_are_unknown_but_still_compared() -> None:
    """Two equal rare characters share [UNK] and a full match."""
    assert encode("鑫", "鑫") == EncodedPair(input_ids=[2, 1, 3, 1, 3], token_type_ids=[0, 3, 0, 7, 4], truncated=False)


def test_a_run_with_an_unknown_piece_is_one_unknown_token() -> None:
    """As the stock tokenizer does it."""
    assert encode("1z", "1") == EncodedPair(input_ids=[2, 1, 3, 8, 3], token_type_ids=[0, 0, 0, 4, 4], truncated=False)


def test_a_run_over_a_hundred_characters_is_one_unknown_token() -> None:
    """As the stock tokenizer does it."""
    assert encode("1" * 101, "1", 256).input_ids == [2, 1, 3, 8, 3]


def test_a_pair_over_the_maximum_is_cut_and_says_so() -> None:
    """The longer address loses first."""
    encoded = encode("一一一一一一一一", "路路", max_length=9)
    assert encoded.input_ids == [2, 5, 5, 5, 5, 3, 6, 6, 3]
    assert len(encoded.token_type_ids) == 9
    assert encoded.truncated


def test_two_addresses_of_a_hundred_characters_fit() -> None:
    """With 256 tokens nothing the service lets through is cut."""
    encoded = encode("一" * 100, "路" * 100, max_length=256)
    assert (len(encoded.input_ids), encoded.truncated) == (203, False)


def test_a_vocabulary_without_special_tokens_is_refused() -> None:
    """The missing token is named."""
    with pytest.raises(KeyError, match=r"\[SEP\]"):
        FlaggedPairEncoder({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2}, 64)


@pytest.mark.parametrize(
    ("lengths", "budget", "kept"),
    [((3, 4), 7, (3, 4)), ((3, 9), 8, (3, 5)), ((9, 3), 8, (5, 3)), ((9, 9), 8, (4, 4)), ((9, 8), 7, (4, 3)), ((8, 9), 7, (3, 4))],
)
def test_the_budget_is_shared(lengths: tuple[int, int], budget: int, kept: tuple[int, int]) -> None:
    """The shorter address stays whole while it has at most half."""
    assert shared_lengths(*lengths, budget) == kept


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("文一路168号a座", ["文", "一", "路", "168", "号", "a", "座"]),
        ("3-2-501", ["3", "-", "2", "-", "501"]),
        ("a b", ["a", "b"]),
        ("café", ["cafe"]),
        ("東\u200b路", ["東", "路"]),
        ("路\x00\x1f号", ["路", "号"]),
        ("。!", ["。", "!"]),
        ("1\u30002", ["1", "2"]),
        ("", []),
    ],
)
def test_text_is_split_as_bert_does(text: str, words: list[str]) -> None:
    """Chinese characters and punctuation alone, runs of digits and letters together, accents and control characters gone."""
    assert split_words(text) == words


@settings(max_examples=300, deadline=None)
@given(address1=MIXED_TEXT, address2=MIXED_TEXT, max_length=st.sampled_from([16, 64, 256]))
def test_ids_are_those_of_the_stock_tokenizer(stock_tokenizer, embedded_vocabulary, address1: str, address2: str, max_length: int) -> None:
    """For any pair of texts, cut or not, so that the checkpoint stays loadable with stock transformers."""
    assume(split_words(normalize(address2)))  # the stock tokenizer takes an empty second text for none
    encoded = FlaggedPairEncoder(embedded_vocabulary, max_length).encode([AddressPair(address1=address1, address2=address2)])[0]
    stock = stock_tokenizer(normalize(address1), normalize(address2), truncation="longest_first", max_length=max_length)
    assert encoded.input_ids == stock["input_ids"]


@settings(deadline=None)
@given(address1=MIXED_TEXT, address2=MIXED_TEXT)
def test_token_types_hold_the_segment_and_the_flag(embedded_vocabulary, address1: str, address2: str) -> None:
    """Integer division by four gives BERT's own segments."""
    encoded = FlaggedPairEncoder(embedded_vocabulary, 256).encode([AddressPair(address1=address1, address2=address2)])[0]
    boundary = encoded.input_ids.index(embedded_vocabulary["[SEP]"])
    segments = [token_type // 4 for token_type in encoded.token_type_ids]
    assert segments == [0] * (boundary + 1) + [1] * (len(encoded.input_ids) - boundary - 1)
