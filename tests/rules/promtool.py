"""Cases for `promtool test rules`: what comes in, when it is looked, and what must fire, with every label and every rendered word."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = sorted([*ROOT.glob("prometheus/rules/*.yml"), *ROOT.glob("prometheus/alerts/*.yml")])

BOX = {"instance": "id-1", "mgeo_instance_name": "box"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fires:
    """One firing alert: the labels beyond severity and area, and the annotations that are templates."""

    labels: Mapping[str, str] = field(default_factory=lambda: BOX)
    description: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case.

    Attributes:
        alert: whose it is.
        says: a sentence.
        series: values by series, in promtool's notation, one each `step`.
        at: when it is looked; several moments are several looks.
        fires: what must fire then; nothing is a case too.
        rules: files instead of ours, for the forms that fail.
    """

    alert: str
    says: str
    series: Mapping[str, str]
    at: str
    fires: tuple[Fires, ...] = ()
    step: str = "30s"
    evaluated: str = "30s"
    rules: str | None = None


def ours(name: str, **labels: str) -> str:
    """A series of our one box."""
    return series(name, job="mgeo", **BOX, **labels)


def series(name: str, **labels: str) -> str:
    """A series."""
    matchers = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{matchers}}}"


def rules_by_name(paths: Iterable[Path] = RULES) -> dict[str, dict[str, Any]]:
    """The alerts of rule files by name."""
    return {
        rule["alert"]: rule
        for path in paths
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def run(promtool: Path, folder: Path, cases: Iterable[Case]) -> None:
    """Run cases; fails with promtool's own words."""
    by_files: dict[tuple[str, str | None], list[Case]] = {}
    for case in cases:
        by_files.setdefault((case.evaluated, case.rules), []).append(case)
    tests = []
    for number, ((evaluated, rules), together) in enumerate(by_files.items()):
        paths = RULES
        if rules is not None:
            paths = [folder / f"{number}.rules.yml"]
            paths[0].write_text(rules, encoding="utf-8")
        known = rules_by_name(paths)
        test = {
            "rule_files": [str(path) for path in paths],
            "evaluation_interval": evaluated,
            "tests": [_test(case, known[case.alert]) for case in together],
        }
        tests.append(folder / f"{number}.test.yml")
        tests[-1].write_text(yaml.safe_dump(test, allow_unicode=True, sort_keys=False), encoding="utf-8")
    assert tests, "no case"
    done = subprocess.run([promtool, "test", "rules", *tests], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _test(case: Case, rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{case.alert}: {case.says}",
        "interval": case.step,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": case.alert, "exp_alerts": [_expected(fires, rule) for fires in case.fires]},
        ],
    }


def _expected(fires: Fires, rule: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: text for name, text in rule.get("annotations", {}).items() if "{{" not in text}
    if rule.get("annotations"):
        said["description"] = fires.description
    if fires.value is not None:
        said["value"] = fires.value
    return {"exp_labels": {**rule.get("labels", {}), **fires.labels}, "exp_annotations": said}
