"""Writes the rule files and Alertmanager's configuration; with `--check` only tells which ones are out of date, and exits 1."""

from __future__ import annotations

import sys
from pathlib import Path

from prometheus.alerting.file import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parents[2]))
