"""The torch backend: a BERT that reads both addresses at once and answers with three probabilities."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import torch

from service.errors import ErrorType, ModelLoadError, ModelPoisoned
from service.model.base import AddressPair, BatchPrediction, Label, Model, ModelInfo, Scores
from service.model.checkpoint import MAX_LENGTH, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.model.encoding import EncodedPair, PairEncoder

Precision = Literal["float32", "float16", "bfloat16"]

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

_SHORT = AddressPair(address1="文一路23号", address2="文一西路23号")
_MIDDLE = AddressPair(address1="浙江省杭州市西湖区文一路23号3幢2单元501室", address2="杭州西湖文一路23号3号楼")
_LONG = AddressPair(address1="杭州市西湖区文一路23号" * 7, address2="杭州市西湖区文一西路23号" * 7)

WARMUP_BATCHES: tuple[tuple[AddressPair, ...], ...] = ((_SHORT,), (_MIDDLE,), (_LONG,), (_MIDDLE,) * 8, (_SHORT, _LONG) * 16)
"""Lengths and batch sizes from one short pair to a full batch of long ones."""


class Network(Protocol):
    """What the model needs of a network: input tensors in, an object with `logits` of shape (pairs, 3) out."""

    def __call__(self, *, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor) -> Output:
        """Run once."""
        ...


class Output(Protocol):
    """What a network gives back."""

    @property
    def logits(self) -> torch.Tensor:
        """Shape (pairs, 3), unnormalised."""
        ...


class TransformerModel(Model):
    """A pair classifier in torch.

    Args:
        network: in evaluation mode, on `device`.
        encoder: text to token ids.
        labels: the meaning of output 0, 1 and 2.
        info: who answers.
        device: where the tensors go.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        network: Network,
        encoder: PairEncoder,
        labels: tuple[Label, Label, Label],
        info: ModelInfo,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._network = network
        self._encoder = encoder
        self._order = [labels.index(label) for label in Label]
        self._info = info
        self._device = device
        self._clock = clock

    @property
    def info(self) -> ModelInfo:
        """The folder's name, 12 digits of its weights' SHA-256, and the device."""
        return self._info

    def warmup(self) -> None:
        """Run every batch of `WARMUP_BATCHES` once."""
        for batch in WARMUP_BATCHES:
            self.predict(batch)

    def predict(self, pairs: Sequence[AddressPair]) -> BatchPrediction:
        """Score a non-empty batch, padded to its longest member.

        Scores may be non-finite when the network's are; judging them is the caller's part.

        Raises:
            ModelPoisoned: a CUDA error other than out-of-memory; the process cannot use the device again.
        """
        started = self._clock()
        encoded = self._encoder.encode(pairs)
        try:
            inputs = self._tensors(encoded)
            self._synchronize()
            tokenized = self._clock()
            probabilities = self._probabilities(inputs)
        except RuntimeError as error:
            if is_poisoning(error):
                raise ModelPoisoned(ErrorType.DEVICE_FAILED) from error
            raise
        return BatchPrediction(
            scores=tuple(Scores(not_match=row[0], partial_match=row[1], exact_match=row[2]) for row in probabilities),
            truncated=tuple(pair.truncated for pair in encoded),
            tokenize_duration=tokenized - started,
            forward_duration=self._clock() - tokenized,
        )

    def _tensors(self, encoded: Sequence[EncodedPair]) -> dict[str, torch.Tensor]:
        longest = max(len(pair.input_ids) for pair in encoded)
        ids, types, mask = [], [], []
        for pair in encoded:
            length = len(pair.input_ids)
            padding = [0] * (longest - length)
            ids.append(pair.input_ids + [self._encoder.pad_id] * (longest - length))
            types.append(pair.token_type_ids + padding)
            mask.append([1] * length + padding)
        rows = torch.tensor([ids, types, mask], dtype=torch.long).to(self._device)
        return {"input_ids": rows[0], "token_type_ids": rows[1], "attention_mask": rows[2]}

    def _probabilities(self, inputs: dict[str, torch.Tensor]) -> list[list[float]]:
        """Three numbers per pair, in the order of `Label`; copying them to the CPU waits for the device."""
        with torch.inference_mode():
            logits = self._network(**inputs).logits
            probabilities = torch.softmax(logits.float(), dim=-1)[:, self._order].cpu()
        rows: list[list[float]] = probabilities.tolist()
        return rows

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def is_poisoning(error: RuntimeError) -> bool:
    """Whether an error leaves the CUDA context of this process unusable. Running out of memory does not."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    return isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error)


def embedded_model_directory() -> Path:
    """The folder of the model that ships with the package: `config.json`, `model.safetensors`, `vocab.txt`, its card."""
    return Path(__file__).parent / "embedded"


def load_model(
    directory: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    max_length: int = MAX_LENGTH,
    precision: Precision = "float32",
) -> Model:
    """Load a model folder: the embedded one, an MGeo checkpoint, or a plain BERT pair classifier.

    Args:
        directory: the folder; see `read_checkpoint`.
        device: `auto` (CUDA when there is one), or a name torch knows, as `cpu` or `cuda:1`.
        threads: CPU threads of torch in this process; None leaves its choice.
        max_length: upper bound of tokens per pair.
        precision: of the weights; anything but `float32` needs CUDA.

    Raises:
        ModelLoadError: names the file or setting and the fix.
    """
    target = _device(device)
    if precision != "float32" and target.type != "cuda":
        raise ModelLoadError(f"precision {precision} needs a CUDA device, but the device is {target}; set precision to float32")
    if threads is not None:
        torch.set_num_threads(threads)
    checkpoint = read_checkpoint(directory, max_length=max_length)
    return TransformerModel(
        network=checkpoint.network.to(device=target, dtype=_DTYPES[precision]),
        encoder=checkpoint.encoder,
        labels=checkpoint.labels,
        info=ModelInfo(name=directory.resolve().name, version=checkpoint.version, device=str(target)),
        device=target,
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelLoadError(f"device {name!r} is not one torch knows; use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelLoadError(f"device {name!r}: torch sees no CUDA device; use cpu, or install a driver and a CUDA build of torch")
    return device
