"""Train the embedded model on invented pairs, on the CPU: ``python -m model.train``.

Everything random hangs on one seed; what went in and what came out is recorded in ``training.json`` beside the weights.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
import transformers
from safetensors.torch import save
from transformers import BertConfig, BertForSequenceClassification

from model.dataset import LABELS, Example, batches, collate, encode_pairs, invent_pairs, training_examples
from model.gazetteer import HELD_OUT_PROVINCES, describe_sources, load_gazetteers
from model.mention import NOTES, VICINITIES
from model.metrics import fit_temperature, macro_f1
from model.place import CHAINS, INSTITUTIONS, TRADES
from model.vocabulary import build_vocabulary
from service.model.encoding import FlaggedPairEncoder
from service.model.match_flags import FLAGS
from service.model.transformer import embedded_model_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("model.train")

GRAMMAR = "省市区县镇乡街道路巷弄栋单元层室组队社与和交叉口汇处"
"""Characters that hold an address together; each must be in the vocabulary."""

_REPORT_EVERY = 500
"""Steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the result.

    `seed` is for pairs, weights and order alike; `held_out_seed` for the pairs the temperature is fitted on.
    """

    seed: int = 20
    held_out_seed: int = 7
    pairs: int = 300_000
    held_out_pairs: int = 6_000
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.06
    gradient_norm: float = 1.0
    vocabulary_size: int = 4_200
    hidden_size: int = 128
    layers: int = 3
    heads: int = 4
    positions: int = 256


def main() -> None:
    """Train and save; every option has the value the committed model was made with."""
    parser = argparse.ArgumentParser(description="Train the embedded model from scratch.")
    parser.add_argument("--output", type=Path, default=embedded_model_directory())
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=Recipe().pairs, help="fewer for a trial")
    parser.add_argument("--layers", type=int, default=Recipe().layers)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    train(Recipe(pairs=arguments.pairs, layers=arguments.layers), arguments.output, processes=arguments.threads)


def train(recipe: Recipe, output: Path, *, processes: int) -> None:
    """Build the data, train, fold the temperature in, write the folder."""
    started = time.monotonic()
    tokens = choose_tokens(recipe.vocabulary_size)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    examples = training_examples(vocabulary, recipe.positions, seed=recipe.seed, count=recipe.pairs, processes=processes)
    held_out = encode_pairs(
        invent_pairs(recipe.held_out_seed, recipe.held_out_pairs, held_out=True), FlaggedPairEncoder(vocabulary, recipe.positions)
    )
    data_seconds = time.monotonic() - started
    logger.info("%d pairs in %.0f s, %d tokens", len(examples), data_seconds, len(tokens))
    torch.manual_seed(recipe.seed)
    network = BertForSequenceClassification(network_config(recipe, len(tokens)))
    fit(network, examples, held_out, recipe)
    logits, labels = predict(network, held_out)
    temperature = fit_temperature(logits, labels)
    with torch.no_grad():
        network.classifier.weight /= temperature
        network.classifier.bias /= temperature
    write_folder(output, network, tokens)
    record = {
        "recipe": asdict(recipe),
        "sources": describe_sources(),
        "held_out_provinces": HELD_OUT_PROVINCES,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "temperature": round(temperature, 4),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "pypinyin": metadata.version("pypinyin"),
        },
        "seconds": {"data": round(data_seconds), "total": round(time.monotonic() - started)},
        "threads": torch.get_num_threads(),
    }
    (output / "training.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    logger.info("macro-F1 %.4f, temperature %.3f, %.0f s", macro_f1(logits, labels), temperature, time.monotonic() - started)


def choose_tokens(size: int) -> list[str]:
    """The vocabulary, from the names of the training part and the words the recipe itself uses."""
    gazetteer, _ = load_gazetteers()
    regions = {name for region in gazetteer.regions for name in (region.province, region.city, region.county, region.township)}
    names = [*gazetteer.roads, *gazetteer.estates, *gazetteer.villages, *sorted(regions)]
    return build_vocabulary(names, [*HELD_OUT_PROVINCES, *NOTES, *VICINITIES, *CHAINS, *INSTITUTIONS, *TRADES, GRAMMAR], size)


def network_config(recipe: Recipe, vocabulary_size: int) -> BertConfig:
    """A stock BERT; only `address_match_flags` is ours."""
    return BertConfig(
        architectures=["BertForSequenceClassification"],
        vocab_size=vocabulary_size,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.hidden_size,
        max_position_embeddings=recipe.positions,
        type_vocab_size=2 * FLAGS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
        id2label={index: str(label) for index, label in enumerate(LABELS)},
        label2id={str(label): index for index, label in enumerate(LABELS)},
        address_match_flags=True,
    )


def fit(network: BertForSequenceClassification, examples: Sequence[Example], held_out: Sequence[Example], recipe: Recipe) -> None:
    """AdamW with one cycle of the learning rate; square-root class weights."""
    counts = torch.tensor([sum(example.label == index for example in examples) for index in range(len(LABELS))])
    weights = (counts.sum() / counts).sqrt()
    loss_function = torch.nn.CrossEntropyLoss(weight=weights / weights.mean())
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * (len(examples) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.learning_rate, total_steps=steps + 1, pct_start=recipe.warmup_share, cycle_momentum=False
    )
    random = Random(recipe.seed)
    network.train()
    step, running, started = 0, 0.0, time.monotonic()
    for _ in range(recipe.epochs):
        for batch in batches(examples, recipe.batch_size, random):
            output = network(input_ids=batch.input_ids, token_type_ids=batch.token_type_ids, attention_mask=batch.attention_mask)
            loss = loss_function(output.logits, batch.labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm)
            optimizer.step()
            schedule.step()
            step += 1
            running += loss.item()
            if step % _REPORT_EVERY == 0:
                score = macro_f1(*predict(network, held_out[:2000]))
                seconds = time.monotonic() - started
                logger.info("step %d of %d, loss %.3f, held-out %.4f, %.0f s", step, steps, running / _REPORT_EVERY, score, seconds)
                running = 0.0
    network.eval()


def predict(network: BertForSequenceClassification, examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels, in the order of the examples."""
    was_training = network.training
    network.eval()
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].input_ids))
    logits = torch.empty(len(examples), len(LABELS))
    with torch.inference_mode():
        for start in range(0, len(order), 128):
            group = order[start : start + 128]
            batch = collate([examples[index] for index in group])
            output = network(input_ids=batch.input_ids, token_type_ids=batch.token_type_ids, attention_mask=batch.attention_mask)
            logits[group] = output.logits
    network.train(was_training)
    return logits, torch.tensor([example.label for example in examples])


def write_folder(output: Path, network: BertForSequenceClassification, tokens: Sequence[str]) -> None:
    """Write what transformers needs to load the model: config, weights, vocabulary."""
    output.mkdir(parents=True, exist_ok=True)
    network.config.save_pretrained(output)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    (output / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
    (output / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    length = network.config.max_position_embeddings
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": length}
    (output / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
