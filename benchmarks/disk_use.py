"""How much disk the stores of a stack take."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BLOCK = 512


class Store(StrEnum):
    """Whatever keeps something of a request on disk."""

    EMBEDDED = "embedded"
    LOG_FILE = "log_file"
    JAEGER = "jaeger"
    LOKI = "loki"
    LOKI_WAL = "loki_wal"
    PROMETHEUS = "prometheus"
    COLLECTOR = "collector_queue"

    def files(self, data_dir: Path) -> list[Path]:
        """The files and folders of this store in a data folder."""
        stack = data_dir / "stack"
        match self:
            case Store.EMBEDDED:
                return sorted(data_dir.glob("telemetry.db*"))
            case Store.LOG_FILE:
                return [data_dir / "logs"]
            case Store.LOKI:
                return [each for each in sorted((stack / "loki").iterdir()) if each.name != "wal"]
            case Store.LOKI_WAL:
                return [stack / "loki" / "wal"]
            case Store.COLLECTOR:
                return [stack / "collector"]
            case _:
                return [stack / self.value]


def disk_use(data_dir: Path) -> dict[Store, int]:
    """Bytes by store, as they are allocated: holes in files that were made in advance do not count.

    What is in memory alone is written first, for the whole machine: a mapped file takes its blocks only then.
    """
    os.sync()
    return {store: allocated(store.files(data_dir)) for store in Store}


def allocated(paths: Iterable[Path]) -> int:
    """Bytes of files and of all files below folders; what disappears meanwhile has none."""
    return sum(_blocks(file) for path in paths for file in (path, *path.rglob("*"))) * _BLOCK


def _blocks(file: Path) -> int:
    try:
        return file.lstat().st_blocks
    except FileNotFoundError:
        return 0
