"""Pairs as token ids, made by several processes and cut into batches of similar length."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import torch

from model.build_pairs import LabelledPair, PairMaker, homophones
from model.gazetteer import load_gazetteers
from service.model.base import AddressPair, Label
from service.model.encoding import FlaggedPairEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from model.gazetteer import Gazetteer

SHARD = 10_000
"""Pairs per seed, so that the result does not depend on the number of processes."""

_WINDOW = 50
"""Batches that are sorted by length together: long enough to save padding, short enough to stay random."""

LABELS = tuple(Label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One encoded pair; arrays of unsigned 16-bit numbers, for memory."""

    input_ids: array[int]
    token_type_ids: array[int]
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tensors of one step."""

    input_ids: torch.Tensor
    token_type_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def invent_pairs(seed: int, count: int, *, held_out: bool) -> list[LabelledPair]:
    """Pairs from the training or the held-out part of the gazetteer, in one process."""
    gazetteer, sounds = _names(held_out=held_out)
    return list(PairMaker(gazetteer, seed, sounds).pairs(count))


@cache
def _names(*, held_out: bool) -> tuple[Gazetteer, dict[str, str]]:
    """Read once per process: it takes seconds, and a process makes many shards."""
    gazetteer = load_gazetteers()[1 if held_out else 0]
    return gazetteer, homophones(gazetteer)


def encode_pairs(pairs: Sequence[LabelledPair], encoder: FlaggedPairEncoder) -> list[Example]:
    """Encode labelled pairs, in their order."""
    encoded = encoder.encode([AddressPair(address1=pair.address1, address2=pair.address2) for pair in pairs])
    return [
        Example(
            input_ids=array("H", tokens.input_ids),
            token_type_ids=array("H", tokens.token_type_ids),
            label=LABELS.index(pair.label),
        )
        for tokens, pair in zip(encoded, pairs, strict=True)
    ]


def training_examples(vocabulary: Mapping[str, int], max_length: int, *, seed: int, count: int, processes: int) -> list[Example]:
    """Invent and encode the training pairs; the same for the same seed and count, whatever the number of processes."""
    seeds = [seed * 1_000 + shard for shard in range(-(-count // SHARD))]
    work = partial(_shard, dict(vocabulary), max_length)
    with get_context("spawn").Pool(processes) as pool:
        shards = pool.map(work, seeds, chunksize=1)
    return [example for shard in shards for example in shard][:count]


def _shard(vocabulary: dict[str, int], max_length: int, seed: int) -> list[Example]:
    return encode_pairs(invent_pairs(seed, SHARD, held_out=False), FlaggedPairEncoder(vocabulary, max_length))


def batches(examples: Sequence[Example], size: int, random: Random) -> Iterator[Batch]:
    """One epoch in random order, members of a batch of similar length; a last, incomplete batch is left out."""
    order = list(range(len(examples)))
    random.shuffle(order)
    for start in range(0, len(order), size * _WINDOW):
        window = sorted(order[start : start + size * _WINDOW], key=lambda index: len(examples[index].input_ids))
        groups = [window[first : first + size] for first in range(0, len(window) - size + 1, size)]
        random.shuffle(groups)
        for group in groups:
            yield collate([examples[index] for index in group])


def collate(examples: Sequence[Example]) -> Batch:
    """Pad to the longest member."""
    longest = max(len(example.input_ids) for example in examples)
    return Batch(
        input_ids=torch.tensor([_padded(example.input_ids, longest) for example in examples]),
        token_type_ids=torch.tensor([_padded(example.token_type_ids, longest) for example in examples]),
        attention_mask=torch.tensor([[1] * len(example.input_ids) + [0] * (longest - len(example.input_ids)) for example in examples]),
        labels=torch.tensor([example.label for example in examples]),
    )


def _padded(values: array[int], length: int) -> list[int]:
    """Padding has id 0 in the vocabulary of this recipe."""
    return values.tolist() + [0] * (length - len(values))
