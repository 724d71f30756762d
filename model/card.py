"""The model card as text. Numbers come in, Markdown comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.model.base import Label, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """F1 in all and by class, and the expected calibration error; each in [0, 1]."""

    macro_f1: float
    not_match: float
    partial_match: float
    exact_match: float
    calibration_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A handwritten pair and what the model says to it."""

    address1: str
    address2: str
    expected: Label
    why: str
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Everything the card states.

    Attributes:
        training: the content of `training.json`; values of several types, hence Any.
        version: as the service reports it.
        size: of the weights, in bytes.
        quality: of the model on `test_pairs` held-out pairs.
        baseline: of string features on the same pairs, fitted on `baseline_pairs` training pairs.
        answers: to the handwritten pairs.
    """

    training: Mapping[str, Any]
    version: str
    size: int
    quality: Quality
    baseline: Quality
    baseline_pairs: int
    test_pairs: int
    answers: Sequence[Answer]


def render_card(facts: CardFacts) -> str:
    """The whole card."""
    right = sum(answer.scores.label is answer.expected for answer in facts.answers)
    wrong = [answer for answer in facts.answers if answer.scores.label is not answer.expected]
    recipe = facts.training["recipe"]
    return _TEMPLATE.format(
        version=facts.version,
        megabytes=f"{facts.size / 1e6:.1f}",
        parameters=f"{facts.training['parameters']:,}",
        layers=recipe["layers"],
        hidden_size=recipe["hidden_size"],
        pairs=f"{recipe['pairs']:,}",
        seed=recipe["seed"],
        threads=facts.training["threads"],
        temperature=facts.training["temperature"],
        provinces=", ".join(facts.training["held_out_provinces"]),
        sources=_sources(facts.training["sources"]),
        test_pairs=f"{facts.test_pairs:,}",
        baseline_pairs=f"{facts.baseline_pairs:,}",
        quality=_quality_rows(facts.quality, facts.baseline),
        answers="\n".join(_answer_row(answer) for answer in facts.answers),
        right=right,
        count=len(facts.answers),
        failures=_failures(wrong),
    )


def _sources(sources: Mapping[str, Mapping[str, str]]) -> str:
    rows = [
        f"| {name} | {source['package']} {source['version']} | {source['licence']} | `{source['file']}` | `{source['sha256'][:16]}…` |"
        for name, source in sources.items()
    ]
    return "\n".join(rows)


def _quality_rows(model: Quality, baseline: Quality) -> str:
    rows = []
    for name, title in (
        ("macro_f1", "macro-F1"),
        ("not_match", "F1 not_match"),
        ("partial_match", "F1 partial_match"),
        ("exact_match", "F1 exact_match"),
        ("calibration_error", "expected calibration error (15 bins)"),
    ):
        rows.append(f"| {title} | {getattr(model, name):.3f} | {getattr(baseline, name):.3f} |")
    return "\n".join(rows)


def _answer_row(answer: Answer) -> str:
    scores = answer.scores
    mark = "yes" if scores.label is answer.expected else "**no**"
    numbers = f"{scores.not_match:.3f} | {scores.partial_match:.3f} | {scores.exact_match:.3f}"
    return f"| {answer.address1} | {answer.address2} | {answer.expected} | {scores.label} | {numbers} | {mark} | {answer.why} |"


def _failures(wrong: Sequence[Answer]) -> str:
    if not wrong:
        return "It answers all of them as expected. They were written while the recipe was made: take that for a floor, not for a score."
    lines = (
        f"- {answer.address1} / {answer.address2}: says {answer.scores.label}, expected {answer.expected} ({answer.why})."
        for answer in wrong
    )
    return "\n".join(["Its failures:", "", *lines])


_TEMPLATE = """\
# The embedded model

<!-- Written by `python -m model.evaluate`; change the recipe in model/, not this file. -->

Decides whether two Chinese addresses name the same place: `exact_match`, `partial_match` or `not_match`.
It lets the service start, answer and be tested anywhere with no download and no GPU.
**It is not MGeo**, and was trained on invented pairs alone:
for production answers give the service an MGeo checkpoint with `--model DIR`.

Version `{version}` · {parameters} parameters · {megabytes} MB · Apache-2.0, as the project.

## What it is

A stock `BertForSequenceClassification` ({layers} layers, hidden size {hidden_size}, characters as tokens, up to 256 of them)
that reads both addresses at once, trained from random weights. Nothing of another model is in it.
Two things are done before it, in `service/model/`, and only for this model (`address_match_flags` in `config.json`):

- `normalization.py` unifies width, case, numerals before a unit, and the words for building, floor and room;
- `match_flags.py` tells it by the token types how much of each character or number the other address repeats.

What the labels mean in its training:
*exact*: the same entity and the same finest unit.
*partial*: the same place, with the finer part missing on one side or different, or one of them only near it.
*not*: another region, road, number or estate; or one side so coarse (a road alone) that it names no place.

## Data

{pairs} pairs, invented at build time by the grammar in `model/` (seed {seed}) from names in these packages;
no labelled pair of anyone's data set is in it:

| names | package | licence | file | SHA-256 |
| --- | --- | --- | --- | --- |
{sources}

Typing slips of the same sound come from pypinyin (MIT).
Trained on {threads} CPU threads; the whole record, hashes in full, is `training.json`.
`make model` does it again.

## Quality

On {test_pairs} invented pairs of places it never saw:
other provinces ({provinces}) and other road, estate and village names.
The baseline is gradient boosting over twenty string features (`model/baseline.py`), trained on {baseline_pairs} of the same training pairs.

| | this model | string features |
| --- | --- | --- |
{quality}

The temperature {temperature}, fitted on other held-out pairs, is folded into the weights.
These figures say how well it learned the grammar, not how well it does on your addresses:
real ones hold shops, nicknames and mistakes that no grammar has.
Expect it to do clearly worse there, and its probabilities to be too sure.

## Twenty pairs written by hand

Real-looking, not taken from any data set; {right} of {count} as expected. A test holds the model to this table.

| address 1 | address 2 | expected | answer | p(not) | p(partial) | p(exact) | as expected | what it asks |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{answers}

{failures}

## What it cannot do

- It knows no map: that 余杭区 lies in 杭州市, or that two names mean one building, it can only guess.
- Names of the same sound, nicknames, old and new names are taken for different places unless much else agrees.
- Taiwan, Hong Kong and Macao addresses, traditional characters and pinyin are not in its training.
- Two addresses that say little (a region, a lone shop name) get an answer like any others; look at the probabilities.
"""
