"""Pure: what a benchmark hands back, and the figures as they stand in `results.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGITS = 4
"""Significant digits that are kept; more would only show noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number.

    Attributes:
        number: by which reports refer to it; stays the same over runs.
        name: what was measured, with the unit at its end.
        value: the median over rounds, unless the name says otherwise.
        spread: the smallest and the largest over rounds; None for what was measured once.
        goal: what it shall be; None while there is no target.
        met: whether it is; None while there is no target.
    """

    number: int
    name: str
    value: float
    spread: tuple[float, float] | None = None
    goal: str | None = None
    met: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under a title, for the page."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one benchmark found: figures for machines, tables and remarks for people."""

    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    remarks: tuple[str, ...] = field(default=())


def significant(value: float) -> float:
    """`value` to `DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}")


def to_json(figures: Sequence[Figure]) -> str:
    """The text of `results.json`: a list, one figure a line."""
    lines = [
        json.dumps(
            {
                "number": figure.number,
                "name": figure.name,
                "value": significant(figure.value),
                "spread": None if figure.spread is None else [significant(bound) for bound in figure.spread],
                "goal": figure.goal,
                "met": figure.met,
            },
        )
        for figure in figures
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def from_json(text: str) -> list[Figure]:
    """The figures of a `results.json`.

    Raises:
        ValueError: the text is not JSON.
        KeyError: a figure lacks a member.
    """
    return [
        Figure(
            number=entry["number"],
            name=entry["name"],
            value=entry["value"],
            spread=None if entry["spread"] is None else (entry["spread"][0], entry["spread"][1]),
            goal=entry["goal"],
            met=entry["met"],
        )
        for entry in json.loads(text)
    ]


def merge(before: Sequence[Figure], measured: Sequence[Figure], *, replaced: Sequence[range]) -> list[Figure]:
    """The figures after a run: those `before` but for the number ranges that were measured anew, in the order of their numbers."""
    kept = [figure for figure in before if not any(figure.number in numbers for numbers in replaced)]
    return sorted([*kept, *measured], key=lambda figure: figure.number)
