"""What the newest recorded audit found, as one small file in the data folder: `mgeo audit --record` writes it, the service shows it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from service.data_dir import unusable

AUDIT_FILE: Final = "audit.json"
# Of a file that is none of ours, no more is read.
_MOST_BYTES: Final = 65_536


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
    path = data_dir / AUDIT_FILE
    try:
        descriptor, fresh = tempfile.mkstemp(prefix=f"{AUDIT_FILE}.", dir=data_dir)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(record), file)
            Path(fresh).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(fresh).unlink()
            raise
    except OSError as error:
        raise unusable(path, error) from error


def read_record(data_dir: Path) -> AuditRecord | None:
    """The newest record; None when there is none, or the file is not whole."""
    try:
        with (data_dir / AUDIT_FILE).open("rb") as file:
            members = json.loads(file.read(_MOST_BYTES))
        numbers = {name: _count(members[name]) for name in ("difference", "unflushed", "ended_unix_ns")}
        unread = members["unread"]
        if not isinstance(unread, list) or not all(isinstance(name, str) for name in unread):
            return None
        return AuditRecord(unread=tuple(unread), **numbers)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value
