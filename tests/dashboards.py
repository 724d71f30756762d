"""What tests need of Grafana's files: the committed dashboards, and its provisioning as Grafana reads it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "grafana/dashboards"
PROVISIONING = ROOT / "grafana/provisioning"

# What `$NAME` in our files may be; docs/operations.md tells where each comes from.
VARIABLES = {
    "MGEO_ALERTMANAGER_URL": "http://alertmanager.example:9093",
    "MGEO_GRAFANA_DASHBOARDS": "/etc/grafana/dashboards",
    "MGEO_GRAFANA_PORT": "3000",
    "MGEO_GRAFANA_URL": "https://box.example:6006/grafana/",
    "MGEO_JAEGER_URL": "http://jaeger.example:16686",
    "MGEO_LOKI_URL": "http://loki.example:3100",
    "MGEO_PROMETHEUS_URL": "http://prometheus.example:9090",
    "MGEO_PUBLIC_URL": "https://box.example:6006",
    "MGEO_STACK_HOST": "127.0.0.1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query of a dashboard."""

    panel: str
    source: str
    expression: str
    exemplars: bool = False
    instant: bool = False

    def filled(self, **variables: str) -> str:
        """The query as Grafana sends it, with these values of the dashboard's variables."""
        filled = self.expression.replace("$__rate_interval", "1m")
        for name, value in variables.items():
            filled = filled.replace(f"${name}", value)
        return filled


def dashboard(name: str = "overview.json") -> dict[str, Any]:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything but the headings of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: dict[str, Any]) -> Iterator[Query]:
    """Of panels and annotations."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Query(
                panel=panel["title"],
                source=target["datasource"]["uid"],
                expression=target["expr"],
                exemplars=target.get("exemplar", False),
                instant=target.get("instant", False),
            )
    for annotation in board["annotations"]["list"]:
        yield Query(panel=annotation["name"], source=annotation["datasource"]["uid"], expression=annotation["expr"])


def expanded(text: str, variables: dict[str, str] = VARIABLES) -> str:
    """A provisioned value after Grafana's expansion; a variable that is not set is a KeyError, for Grafana an empty text."""
    return "$".join(re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: variables[match[1] or match[2]], part) for part in text.split("$$"))


def data_sources() -> dict[str, dict[str, Any]]:
    """The provisioned data sources by uid, expanded."""
    found = [
        source
        for path in sorted((PROVISIONING / "datasources").glob("*.yaml"))
        for source in yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    ]
    assert len({source["uid"] for source in found}) == len(found)
    return {source["uid"]: _expanded(source) for source in found}


def _expanded(value: Any) -> Any:
    if isinstance(value, str):
        return expanded(value)
    if isinstance(value, dict):
        return {key: _expanded(each) for key, each in value.items()}
    return [_expanded(each) for each in value] if isinstance(value, list) else value
