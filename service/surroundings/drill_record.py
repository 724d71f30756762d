"""What came of the newest recorded drills, as one small file in the data folder: `mgeo drill --record` writes it, the service shows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from service.surroundings.record_file import read_members, write_members

if TYPE_CHECKING:
    from pathlib import Path

DRILL_FILE: Final = "drills.json"
"""Not `drill.json`, in which faults are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRecord:
    """The outcome of the drills that were run together.

    Attributes:
        passed: how many went as they must.
        failed: the names of the others.
        ended_unix_ns: when the last one ended.
    """

    passed: int
    failed: tuple[str, ...]
    ended_unix_ns: int


def write_record(data_dir: Path, record: DrillRecord) -> None:
    """Replace the file, whole or not at all.

    Raises:
        StartupError: it cannot be written.
    """
    write_members(data_dir / DRILL_FILE, asdict(record))


def read_record(data_dir: Path) -> DrillRecord | None:
    """The newest record; None when there is none, or the file is not whole."""
    members = read_members(data_dir / DRILL_FILE, counts=("passed", "ended_unix_ns"), words=("failed",))
    return None if members is None else DrillRecord(**members)
