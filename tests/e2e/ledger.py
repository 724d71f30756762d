"""How many inferences of each status every signal knows of, read from what a server has left behind."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from service.requeststore.rows import OUTCOMES

_SAMPLE = re.compile(r"^(\w+)\{([^}]*)\} (\S+)")


def log_lines(data_dir: Path) -> list[dict[str, Any]]:
    """Every line of every log file, compressed ones too."""
    lines: list[dict[str, Any]] = []
    for path in sorted((data_dir / "logs").iterdir()):
        if ".lock" not in path.name:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            lines += [json.loads(line) for line in content.splitlines()]
    return lines


def logged(data_dir: Path) -> Counter[str]:
    """Lines of inferences by status."""
    return Counter(line["status"] for line in log_lines(data_dir) if line["event"] == "mgeo.inference")


def stored(data_dir: Path) -> Counter[str]:
    """Rows of the embedded store by status."""
    with closing(sqlite3.connect(data_dir / "telemetry.db")) as connection:
        return Counter(
            {OUTCOMES[code].value: count for code, count in connection.execute("SELECT outcome, count(*) FROM inference GROUP BY 1")}
        )


def sound(data_dir: Path) -> bool:
    """Whether the store passes SQLite's own check."""
    with closing(sqlite3.connect(data_dir / "telemetry.db")) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def scraped(exposition: str, name: str, by: str) -> Counter[str]:
    """The values of one series of `/metrics`, added up by one label; zeros are left out."""
    found: Counter[str] = Counter()
    for line in exposition.splitlines():
        sample = _SAMPLE.match(line)
        if sample and sample[1] == name:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', sample[2]))
            found[labels[by]] += int(float(sample[3]))
    return +found
