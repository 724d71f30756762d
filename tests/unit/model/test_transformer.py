"""The torch backend apart from any checkpoint: what it does with its network's answers and errors."""

from __future__ import annotations

import math
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from service.errors import ErrorType, ModelLoadError, ModelPoisoned
from service.model.base import AddressPair, Label, ModelInfo
from service.model.encoding import FlaggedPairEncoder
from service.model.transformer import WARMUP_BATCHES, TransformerModel, embedded_model_directory, is_poisoning, load_model

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"文一二路"]
ORDER = (Label.NOT_MATCH, Label.PARTIAL_MATCH, Label.EXACT_MATCH)


class Network:
    """Answers every pair with the same logits, or raises; keeps what it was given."""

    def __init__(self, logits: list[float] | None = None, error: Exception | None = None) -> None:
        self.logits = logits or [0.0, 0.0, 0.0]
        self.error = error
        self.inputs: list[dict[str, torch.Tensor]] = []

    def __call__(self, **inputs: torch.Tensor) -> SimpleNamespace:
        self.inputs.append(inputs)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(logits=torch.tensor([self.logits] * inputs["input_ids"].shape[0]))


def model_with(network: Network, labels: tuple[Label, Label, Label] = ORDER, clock=None) -> TransformerModel:
    return TransformerModel(
        network=network,
        encoder=FlaggedPairEncoder({token: index for index, token in enumerate(TOKENS)}, 64),
        labels=labels,
        info=ModelInfo(name="test", version="0", device="cpu"),
        device=torch.device("cpu"),
        **({"clock": clock} if clock else {}),
    )


PAIR = AddressPair(address1="文一路", address2="文二路")


def test_logits_become_probabilities() -> None:
    """By softmax."""
    scores = model_with(Network([0.0, math.log(2), 0.0])).predict([PAIR]).scores[0]
    assert (scores.not_match, scores.partial_match, scores.exact_match) == pytest.approx((0.25, 0.5, 0.25))


def test_outputs_are_sorted_into_the_labels_they_mean() -> None:
    """Whatever the order of the head."""
    model = model_with(Network([math.log(4), math.log(3), math.log(3)]), (Label.EXACT_MATCH, Label.NOT_MATCH, Label.PARTIAL_MATCH))
    scores = model.predict([PAIR]).scores[0]
    assert (scores.exact_match, scores.not_match, scores.partial_match) == pytest.approx((0.4, 0.3, 0.3))


def test_a_batch_is_padded_to_its_longest_member_and_masked() -> None:
    """No longer; padding carries id 0, type 0 and mask 0."""
    network = Network()
    model_with(network).predict([AddressPair(address1="文", address2="一"), PAIR])
    inputs = network.inputs[0]
    assert inputs["input_ids"].tolist() == [[2, 4, 3, 5, 3, 0, 0, 0, 0], [2, 4, 5, 7, 3, 4, 6, 7, 3]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0, 0, 0, 0], [1] * 9]
    assert inputs["token_type_ids"].tolist()[0] == [0, 0, 0, 4, 4, 0, 0, 0, 0]


def test_durations_come_from_the_clock_it_was_given() -> None:
    """Tokenizing ends where the forward pass begins."""
    ticks = iter([10.0, 10.25, 11.0])
    prediction = model_with(Network(), clock=lambda: next(ticks)).predict([PAIR])
    assert (prediction.tokenize_duration, prediction.forward_duration) == (0.25, 0.75)


def test_scores_that_are_not_finite_go_through() -> None:
    """The pipeline judges them; the model neither hides nor mends them."""
    scores = model_with(Network([math.nan, 0.0, 0.0])).predict([PAIR]).scores[0]
    assert math.isnan(scores.not_match)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        torch.AcceleratorError("device-side assert triggered"),
    ],
)
def test_a_cuda_error_poisons(error: Exception) -> None:
    """The process cannot use the device again, and the cause is kept."""
    with pytest.raises(ModelPoisoned) as caught:
        model_with(Network(error=error)).predict([PAIR])
    assert caught.value.error_type is ErrorType.DEVICE_FAILED
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), RuntimeError("shapes do not match"), ValueError("no")],
)
def test_any_other_error_is_raised_as_it_is(error: Exception) -> None:
    """Out of memory fails its batch only; a smaller one may succeed."""
    with pytest.raises(type(error)) as caught:
        model_with(Network(error=error)).predict([PAIR])
    assert caught.value is error


def test_out_of_memory_is_no_poison_even_when_it_names_a_cuda_error() -> None:
    """The allocator recovers."""
    assert is_poisoning(torch.OutOfMemoryError("CUDA error: out of memory")) is False


def test_warming_up_runs_every_batch() -> None:
    """Several lengths and sizes, the largest of 32 pairs."""
    network = Network()
    model_with(network).warmup()
    assert [inputs["input_ids"].shape[0] for inputs in network.inputs] == [1, 1, 1, 8, 32]
    assert len({inputs["input_ids"].shape[1] for inputs in network.inputs}) >= 3
    assert len(WARMUP_BATCHES) == 5


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than answered from the CPU at a hundredth of the speed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelLoadError, match=r"device 'cuda': torch sees no CUDA device; use cpu, or install"):
        load_model(embedded_model_directory(), device="cuda")


def test_a_senseless_device_is_refused() -> None:
    """With the names that work."""
    with pytest.raises(ModelLoadError, match=r"device 'abacus' is not one torch knows; use auto, cpu or cuda"):
        load_model(embedded_model_directory(), device="abacus")


def test_half_precision_needs_a_gpu() -> None:
    """On a CPU it would be slower and worse."""
    with pytest.raises(ModelLoadError, match=r"precision float16 needs a CUDA device, but the device is cpu"):
        load_model(embedded_model_directory(), device="cpu", precision="float16")


def test_auto_takes_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the number of threads is set."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_num_threads()
    try:
        model = load_model(embedded_model_directory(), threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert (model.info.name, model.info.device) == ("embedded", "cpu")


@pytest.mark.parametrize("module", ["base", "fake", "normalization", "match_flags", "encoding", "labels"])
def test_only_the_backend_imports_torch(module: str) -> None:
    """The rest loads in an instant, so that commands without a model start fast."""
    code = f"import sys, service.model.{module}; sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
