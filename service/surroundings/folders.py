"""How full the file systems are on which the data lies: the service's own, and that of each program of the stack beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FOLDERS: Final[Mapping[str, str]] = {
    "data": "",
    "collector": "stack/collector",
    # Prometheus' configuration lies one folder higher in every profile, its data only where it runs.
    "prometheus": "stack/prometheus/data",
    "loki": "stack/loki",
    "jaeger": "stack/jaeger",
    "alertmanager": "stack/alertmanager",
    "notifier": "stack/notifier",
}
"""The folders by name, below the data folder; those of the programs are there once `mgeo up` has run them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderUsage:
    """The file system that a folder lies on.

    Attributes:
        usage_bytes: what is taken, by whomever.
        limit_bytes: what there is for a user that is not root: a store stops at this, not at the size of the disk.
    """

    usage_bytes: int
    limit_bytes: int


def drilled(found: dict[str, FolderUsage], used_ratio: float | None) -> dict[str, FolderUsage]:
    """The same with the data folder's disk as full as a drill wants it to be; None for as it is."""
    data = found.get("data")
    if used_ratio is None or data is None:
        return found
    return {**found, "data": replace(data, usage_bytes=round(data.limit_bytes * used_ratio))}


def read_folders(data_dir: Path, stat: Callable[[Path], os.statvfs_result] = os.statvfs) -> dict[str, FolderUsage]:
    """Look at each folder that is there; one that cannot be looked at is left out.

    Blocks for as long as a file system does not answer.

    Args:
        data_dir: the data folder.
        stat: asks the operating system.
    """
    found = {}
    for name, below in FOLDERS.items():
        try:
            told = stat(data_dir / below)
        except OSError:
            continue
        used = told.f_blocks - told.f_bfree
        found[name] = FolderUsage(usage_bytes=used * told.f_frsize, limit_bytes=(used + told.f_bavail) * told.f_frsize)
    return found
