"""Cases for `promtool test rules`: what comes in, when it is looked, and what must fire, with every label and every rendered word."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = (*sorted(ROOT.glob("prometheus/rules/*.yml")), *sorted(ROOT.glob("prometheus/alerts/*.yml")))

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
    evaluated: str = "1m"
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


def needed(alert: str) -> tuple[Path, ...]:
    """The files of ours that an alert needs: its own, and those of the recordings that its file reads. Others would only cost time."""
    (own,) = (path for path in RULES if f"alert: {alert}\n" in path.read_text(encoding="utf-8"))
    recorded = {path: re.findall(r"record: (\S+)", path.read_text(encoding="utf-8")) for path in RULES}
    rule = rules_by_name([own])[alert]["expr"]
    return tuple(path for path in RULES if path == own or any(name in rule for name in recorded[path]))


def run(promtool: Path, folder: Path, cases: Iterable[Case]) -> None:
    """Run cases; fails with promtool's own words."""
    by_files: dict[tuple[str, tuple[Path, ...]], list[Case]] = {}
    for number, case in enumerate(cases):
        paths = needed(case.alert) if case.rules is None else (folder / f"{number}.rules.yml",)
        if case.rules is not None:
            paths[0].write_text(case.rules, encoding="utf-8")
        by_files.setdefault((case.evaluated, paths), []).append(case)
    files = []
    for number, ((evaluated, paths), together) in enumerate(by_files.items()):
        known = rules_by_name(paths)
        test = {
            "rule_files": [str(path) for path in paths],
            "evaluation_interval": evaluated,
            # As written: what is recorded first, then who reads it.
            "group_eval_order": [group["name"] for path in paths for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]],
            "tests": [_test(case, known[case.alert]) for case in together],
        }
        files.append(folder / f"{number}.test.yml")
        files[-1].write_text(yaml.safe_dump(test, allow_unicode=True, sort_keys=False), encoding="utf-8")
    assert files, "no case"
    done = subprocess.run([promtool, "test", "rules", *files], capture_output=True, text=True, timeout=600, check=False)
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
