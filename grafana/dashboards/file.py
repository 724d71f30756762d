"""The dashboards' files, as Grafana reads them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.dashboards.overview import overview

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from grafana_foundation_sdk.models.dashboard import Dashboard

DASHBOARDS: dict[str, Callable[[], Dashboard]] = {"overview.json": overview}


def encoded(dashboard: Dashboard) -> str:
    """A dashboard as JSON text."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str], folder: Path) -> int:
    """Write or check every dashboard in `folder`; 1 when a check finds one out of date."""
    made = {folder / name: encoded(make()) for name, make in DASHBOARDS.items()}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.name} is out of date; run `make docs` and commit it\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
        sys.stdout.write(f"wrote {path.name}\n")
    return 0
