"""Read a model folder: configuration, vocabulary and weights of a BERT pair classifier, ours or MGeo's.

MGeo's own weights carry the prefix ``bert.text_encoder.``; loaded as they are, transformers would fill the encoder with
random numbers and only print a report. Here every weight must be in the file, and only the map encoder, which plain
text does not use (``bert.gis_*``), may be left over.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from service.errors import ModelLoadError
from service.model.base import Label
from service.model.encoding import EncodedPair, FlaggedPairEncoder, PairEncoder
from service.model.labels import JsonObject, label_order, read_json_object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from service.model.base import AddressPair

MAX_LENGTH = 256
"""Tokens: two addresses of 100 characters with room to spare."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""Where weights may be, the preferred first."""

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")
"""One must be there: without either, transformers makes up an empty tokenizer."""

_UNUSED = re.compile(r"bert\.gis|.*\.position_ids$|.*\.embeddings\.token_type_ids$")
_RENAMED = (
    (re.compile(r"^bert\.text_encoder\."), "bert."),
    (re.compile(r"LayerNorm\.gamma$"), "LayerNorm.weight"),
    (re.compile(r"LayerNorm\.beta$"), "LayerNorm.bias"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model folder, read and found whole.

    Attributes:
        network: in evaluation mode, float32, on the CPU.
        encoder: what turns pairs into its input.
        labels: the meaning of output 0, 1 and 2.
        version: 12 hexadecimal digits of the weights' SHA-256.
        max_length: tokens of a pair, special ones included.
    """

    network: BertForSequenceClassification
    encoder: PairEncoder
    labels: tuple[Label, Label, Label]
    version: str
    max_length: int


class TokenizerPairEncoder(PairEncoder):
    """Encodes with the checkpoint's own tokenizer: the raw text, as MGeo's pipeline gives it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length

    @property
    def pad_id(self) -> int:
        """The tokenizer's padding id, 0 when it has none."""
        pad = self._tokenizer.pad_token_id
        return pad if isinstance(pad, int) else 0

    def encode(self, pairs: Sequence[AddressPair]) -> list[EncodedPair]:
        """Encode every pair; those over the maximum length a second time, cut, the longer address first."""
        encoded = self._encode(pairs, cut=False)
        too_long = [index for index, pair in enumerate(encoded) if len(pair.input_ids) > self._max_length]
        for index, pair in zip(too_long, self._encode([pairs[index] for index in too_long], cut=True), strict=True):
            encoded[index] = pair
        return encoded

    def _encode(self, pairs: Sequence[AddressPair], *, cut: bool) -> list[EncodedPair]:
        if not pairs:
            return []
        batch = self._tokenizer(
            [pair.address1 for pair in pairs],
            [pair.address2 for pair in pairs],
            truncation="longest_first" if cut else False,
            max_length=self._max_length if cut else None,
            return_token_type_ids=True,
            verbose=False,
        )
        rows = zip(batch["input_ids"], batch["token_type_ids"], strict=True)
        return [EncodedPair(input_ids=ids, token_type_ids=types, truncated=cut) for ids, types in rows]


def read_checkpoint(directory: Path, *, max_length: int = MAX_LENGTH) -> Checkpoint:
    """Read a model folder; never touches the network.

    Args:
        directory: holds `config.json`, the vocabulary, and `model.safetensors` or `pytorch_model.bin`.
        max_length: upper bound in tokens; the model's number of positions bounds it too.

    Raises:
        ModelLoadError: anything is missing or does not fit; names the file and the fix.
    """
    if not directory.is_dir():
        raise ModelLoadError(f"{directory}: is not a folder; give the folder that holds config.json and model.safetensors")
    raw = read_json_object(directory / "config.json")
    config = _bert_config(directory, raw)
    labels = label_order(directory, raw)
    weights_path = _weights_path(directory)
    weights = _text_weights(weights_path)
    _check_head(weights_path, weights)
    network = _network(config, weights_path, weights)
    length = min(max_length, config.max_position_embeddings)
    return Checkpoint(
        network=network,
        encoder=_encoder(directory, raw, config, length),
        labels=labels,
        version=_digest(weights_path)[:12],
        max_length=length,
    )


def _bert_config(directory: Path, raw: JsonObject) -> BertConfig:
    path = directory / "config.json"
    if raw.get("model_type", "bert") != "bert":
        raise ModelLoadError(f"{path}: model_type is {raw['model_type']!r}, but only 'bert' can be served; use a BERT or MGeo checkpoint")
    known = {key: value for key, value in raw.items() if key not in ("id2label", "label2id", "num_labels", "gis_encoder")}
    try:
        config: BertConfig = BertConfig.from_dict({**known, "num_labels": len(Label)})
    except Exception as error:
        raise ModelLoadError(f"{path}: cannot be understood ({type(error).__name__}); download the file again") from error
    layers = config.num_hidden_layers
    fusion_layer = raw.get("fusion_layer", layers)
    if not isinstance(fusion_layer, int) or fusion_layer < layers:
        raise ModelLoadError(
            f"{path}: fusion_layer is {fusion_layer!r} with {layers} layers: the upper layers fuse map data, which text alone cannot feed; "
            "use the single-modal checkpoint of the entity alignment task"
        )
    return config


def _weights_path(directory: Path) -> Path:
    for name in WEIGHT_FILES:
        if (directory / name).is_file():
            return directory / name
    if any(directory.glob("*.index.json")):
        raise ModelLoadError(f"{directory}: the weights are split over several files; save them as one model.safetensors")
    raise ModelLoadError(f"{directory}: holds neither {' nor '.join(WEIGHT_FILES)}; download the weights into this folder")


def _text_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights by transformers' names, without what the text path does not use."""
    try:
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelLoadError(
            f"{path}: cannot be read as weights ({type(error).__name__}); it may be cut short or a Git LFS pointer: download it again"
        ) from error
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelLoadError(f"{path}: holds no plain table of weights; save the model's state_dict there")
    return {_renamed(name): value for name, value in weights.items() if not _UNUSED.match(name)}


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return name


def _check_head(path: Path, weights: dict[str, torch.Tensor]) -> None:
    head = weights.get("classifier.weight")
    if head is not None and head.shape[0] != len(Label):
        raise ModelLoadError(
            f"{path}: the classification head has {head.shape[0]} outputs, but this service needs {len(Label)} "
            f"({', '.join(Label)}); use a checkpoint of the entity alignment task"
        )


def _network(config: BertConfig, path: Path, weights: dict[str, torch.Tensor]) -> BertForSequenceClassification:
    network = BertForSequenceClassification(config)
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - weights.keys())
    unexpected = sorted(weights.keys() - wanted.keys())
    misshapen = sorted(name for name in wanted.keys() & weights.keys() if wanted[name].shape != weights[name].shape)
    for problem, names, fix in (
        ("misses", missing, "without them the answers would be random; use the complete checkpoint"),
        ("has unknown", unexpected, "it belongs to another architecture; use a BERT or MGeo pair classifier"),
        ("does not fit config.json in", misshapen, "use config.json and weights of the same checkpoint"),
    ):
        if names:
            raise ModelLoadError(f"{path}: {problem} {len(names)} weights, the first is {names[0]}; {fix}")
    network.load_state_dict(weights)
    return network.eval()


def _encoder(directory: Path, raw: JsonObject, config: BertConfig, max_length: int) -> PairEncoder:
    if raw.get("address_match_flags") is True:
        return _flagged_encoder(directory / "vocab.txt", config, max_length)
    if not any((directory / name).is_file() for name in TOKENIZER_FILES):
        raise ModelLoadError(f"{directory}: holds neither {' nor '.join(TOKENIZER_FILES)}; put the checkpoint's vocab.txt there")
    try:
        with warnings.catch_warnings(action="ignore"):
            tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        largest = len(tokenizer)
    except Exception as error:
        raise ModelLoadError(
            f"{directory}: the tokenizer cannot be loaded ({type(error).__name__}); use vocab.txt or tokenizer.json of the same checkpoint"
        ) from error
    if largest > config.vocab_size:
        raise ModelLoadError(
            f"{directory}: the tokenizer has {largest} tokens, the model {config.vocab_size}; use files of the same checkpoint"
        )
    return TokenizerPairEncoder(tokenizer, max_length)


def _flagged_encoder(path: Path, config: BertConfig, max_length: int) -> PairEncoder:
    try:
        tokens = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelLoadError(f"{path}: cannot be read ({type(error).__name__}); put the checkpoint's vocab.txt there") from error
    if len(tokens) != config.vocab_size:
        raise ModelLoadError(f"{path}: has {len(tokens)} tokens, config.json says {config.vocab_size}; use files of the same checkpoint")
    try:
        return FlaggedPairEncoder({token: index for index, token in enumerate(tokens)}, max_length)
    except KeyError as error:
        raise ModelLoadError(f"{path}: the token {error.args[0]} is missing; use the checkpoint's own vocab.txt") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
