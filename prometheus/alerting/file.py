"""The files that are made: rules for Prometheus, routing for Alertmanager."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus.alerting.alerting import meta, notifier
from prometheus.alerting.inference import inference
from prometheus.alerting.process import process
from prometheus.alerting.recordings import instances, losses, slo, traffic
from prometheus.alerting.routing import alertmanager
from prometheus.alerting.rule import Alert
from prometheus.alerting.scale import TimeScale
from prometheus.alerting.telemetry import telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from prometheus.alerting.rule import Group, Recording
    from prometheus.alerting.scale import Scale

RUNBOOKS = "docs/runbooks/"

# One table for rules and dashboards: alerts are linked to a dashboard only once that exists.
DASHBOARDS: Mapping[str, bool] = {
    "mgeo-overview": True,
    "mgeo-inference": False,
    "mgeo-telemetry": False,
    "mgeo-gpu": False,
    "mgeo-inputs": False,
    "mgeo-alerts": False,
    "mgeo-logs": False,
}
_DETAILS = {"inference": "mgeo-inference", "process": "mgeo-inference", "telemetry": "mgeo-telemetry", "alerting": "mgeo-alerts"}
_OVERVIEW = "mgeo-overview"

_HEAD = "# Made by `python -m prometheus.alerting`; change prometheus/alerting/ instead. Lines and windows stand in its limits.py.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where links lead.

    Attributes:
        runbooks: put before `ALERT.md`: the path in the checkout, or the address of a folder that people reach.
    """

    runbooks: str = RUNBOOKS


def groups(scale: Scale) -> dict[str, Group]:
    """Every group by its file below prometheus/."""
    return {
        "rules/instances.yml": instances(scale),
        "rules/losses.yml": losses(scale),
        "rules/slo.yml": slo(scale),
        "rules/traffic.yml": traffic(scale),
        "alerts/inference.yml": inference(scale),
        "alerts/process.yml": process(scale),
        "alerts/telemetry.yml": telemetry(scale),
        "alerts/notifier.yml": notifier(scale),
        "alerts/meta.yml": meta(scale),
    }


def alerts(scale: Scale | None = None) -> dict[str, Alert]:
    """Every alert by name."""
    return {rule.name: rule for group in groups(scale or TimeScale()).values() for rule in group.rules if isinstance(rule, Alert)}


def rule_files(scale: Scale, links: Links | None = None) -> dict[str, str]:
    """Every rule file as text, by its name below prometheus/."""
    return {name: _HEAD + "".join(f"{line}\n" for line in _group(group, scale, links or Links())) for name, group in groups(scale).items()}


def files(scale: Scale, links: Links | None = None) -> dict[str, str]:
    """Every file as text, by its name below the checkout."""
    made = {f"prometheus/{name}": text for name, text in rule_files(scale, links).items()}
    return {**made, "alertmanager/alertmanager.yml": alertmanager(scale)}


def main(arguments: list[str], root: Path) -> int:
    """Write or check every file below `root`; 1 when a check finds one out of date."""
    made = {root / name: text for name, text in files(TimeScale()).items()}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(root)} is out of date; run `make docs` and commit it\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(root)}\n")
    return 0


def said_of(alert: Alert, links: Links) -> dict[str, str]:
    """What is said about an alert, templates not yet filled in."""
    said = {
        "summary": f"{alert.name} {alert.summary}",
        "description": f"{alert.name}：{alert.description}",
        "value": alert.value,
        "threshold": alert.threshold,
        "runbook_url": f"{links.runbooks}{alert.name}.md",
    }
    wanted = _DETAILS[alert.area]
    said["dashboard"] = wanted if DASHBOARDS[wanted] else _OVERVIEW
    if alert.story is not None:
        said["story"] = alert.story
    return said


def _group(group: Group, scale: Scale, links: Links) -> Iterator[str]:
    yield f"# {group.why}"
    yield "groups:"
    yield f"  - name: {group.name}"
    yield "    rules:"
    for position, rule in enumerate(group.rules):
        if position:
            yield ""
        yield f"      # {rule.why}"
        yield from _alert(rule, scale, links) if isinstance(rule, Alert) else _recording(rule)


def _recording(rule: Recording) -> Iterator[str]:
    yield f"      - record: {rule.record}"
    yield from _expression(rule.expr)
    yield from _mapping("labels", rule.labels)


def _alert(alert: Alert, scale: Scale, links: Links) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield from _expression(alert.expr)
    yield f"        for: {scale.duration(alert.hold)}"
    if alert.keep.seconds:
        yield f"        keep_firing_for: {scale.duration(alert.keep)}"
    yield from _mapping("labels", {"severity": alert.severity.value, "area": alert.area.value})
    yield from _mapping("annotations", said_of(alert, links))


def _expression(expr: str) -> Iterator[str]:
    yield "        expr: |-"
    for line in expr.splitlines():
        yield f"          {line}"


def _mapping(name: str, values: Mapping[str, str]) -> Iterator[str]:
    if values:
        yield f"        {name}:"
        for key, value in values.items():
            # JSON's strings are YAML's too.
            yield f"          {key}: {json.dumps(value, ensure_ascii=False)}"
