"""Writes grafana/dashboards/*.json; with `--check` only tells which ones are out of date, and exits 1."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana.dashboards.file import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parent))
