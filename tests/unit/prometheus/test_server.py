"""Prometheus' own configuration for drills: three intervals are shorter, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from prometheus.alerting.limits import RULES_MISSED, RULES_WINDOW
from prometheus.alerting.scale import TimeScale
from prometheus.alerting.server import INTERVALS, scaled_server

TEXT = (Path(__file__).parents[3] / "prometheus/prometheus.yml").read_text(encoding="utf-8")
SPELT = {"ms": 0.001, "s": 1.0, "m": 60.0}


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Any]:
    """Every value of a parsed file by where it stands."""
    if isinstance(node, dict):
        return {where: value for name, each in node.items() for where, value in leaves(each, (*path, name)).items()}
    if isinstance(node, list):
        return {where: value for number, each in enumerate(node) for where, value in leaves(each, (*path, number)).items()}
    return {path: node}


def test_at_scale_one_it_is_the_file_that_is_checked_in() -> None:
    """Byte for byte."""
    assert scaled_server(TEXT, TimeScale()) == TEXT


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.05, ("500ms", "250ms", "500ms")), (0.1, ("1s", "500ms", "1s")), (0.01, ("100ms", "50ms", "100ms"))]
)
def test_another_scale_differs_in_three_intervals_and_in_nothing_else(factor: float, expected: tuple[str, str, str]) -> None:
    """How often it scrapes, for how long at most, and how often it evaluates; retention and what it takes late stay."""
    before, after = leaves(yaml.safe_load(TEXT)), leaves(yaml.safe_load(scaled_server(TEXT, TimeScale(factor))))

    assert before.keys() == after.keys()
    assert {where: value for where, value in after.items() if before[where] != value} == {
        ("global", name): value for name, value in zip(INTERVALS, expected, strict=True)
    }
    # And no comment, blank or order, which a parser would not see.
    changed = [
        line for line, other in zip(TEXT.splitlines(), scaled_server(TEXT, TimeScale(factor)).splitlines(), strict=True) if line != other
    ]
    assert changed == ["  scrape_interval: 10s", "  scrape_timeout: 5s", "  evaluation_interval: 10s"]


def test_the_intervals_that_are_shortened_are_all_that_the_file_has() -> None:
    """One more of a job's own, or one in minutes, would stay as it is and be missed by the rules of a drill."""
    spelt = [line for line in TEXT.splitlines() if any(f"{name}:" in line.partition("#")[0] for name in INTERVALS)]

    assert spelt == ["  scrape_interval: 10s", "  scrape_timeout: 5s", "  evaluation_interval: 10s"]
    others = {name for line in TEXT.splitlines() if (name := line.strip().partition(":")[0]).endswith(("_interval", "_timeout"))}
    assert others == set(INTERVALS)


def test_what_is_indented_deeper_is_shortened_too_and_what_only_looks_alike_is_not() -> None:
    """A job may have its own; a comment and another key stay."""
    text = "scrape_configs:\n  - job_name: x\n    scrape_interval: 20s\n# scrape_interval: 20s\n    my_scrape_interval: 20s\n"

    assert scaled_server(text, TimeScale(0.5)) == text.replace("    scrape_interval: 20s", "    scrape_interval: 10s")


@pytest.mark.parametrize("factor", [1.0, 0.05, 0.01])
def test_a_window_holds_as_many_evaluations_at_every_scale(factor: float) -> None:
    """Thirty in the five minutes of RulesMissed, whose count of five therefore stays."""
    every = yaml.safe_load(scaled_server(TEXT, TimeScale(factor)))["global"]["evaluation_interval"]
    number = every.rstrip("ms")
    seconds = float(number) * SPELT[every.removeprefix(number)]

    assert RULES_WINDOW.seconds * factor / seconds == pytest.approx(30)
    assert RULES_MISSED == 5
