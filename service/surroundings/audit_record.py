"""What the newest recorded audit found, as one small file in the data folder: `mgeo audit --record` writes it, the service shows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from service.surroundings.record_file import read_members, write_members

if TYPE_CHECKING:
    from pathlib import Path

AUDIT_FILE: Final = "audit.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """The outcome of one audit.

    Attributes:
        difference: inferences by which what was served and what the stores have differ, over all stores and outcomes.
        unflushed: what ended after the last collection of a process that was killed.
        unread: the stores that could not be read.
        ended_unix_ns: when the audit ended.
    """

    difference: int
    unflushed: int
    unread: tuple[str, ...]
    ended_unix_ns: int


def write_record(data_dir: Path, record: AuditRecord) -> None:
    """Replace the file, whole or not at all.

    Raises:
        StartupError: it cannot be written.
    """
    write_members(data_dir / AUDIT_FILE, asdict(record))


def read_record(data_dir: Path) -> AuditRecord | None:
    """The newest record; None when there is none, or the file is not whole."""
    members = read_members(data_dir / AUDIT_FILE, counts=("difference", "unflushed", "ended_unix_ns"), words=("unread",))
    return None if members is None else AuditRecord(**members)
