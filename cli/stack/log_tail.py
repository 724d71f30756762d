"""The last lines that a process printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES = 16_384
LINES = 8
WIDTH = 400
"""Characters of a line that are shown; the log has the rest."""


def log_size(path: Path) -> int:
    """Its bytes; 0 when there is no log."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def log_tail(path: Path, *, skip: int = 0, lines: int = LINES) -> list[str]:
    """The last lines; none when there is no log, or it cannot be read.

    Args:
        path: the log.
        skip: bytes at its beginning that are of an earlier start.
        lines: how many.
    """
    try:
        with path.open("rb") as file:
            size = log_size(path)
            # A log that is shorter now has been rotated meanwhile.
            file.seek(max(skip if skip <= size else 0, size - READ_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line[:WIDTH] for line in text.splitlines() if line.strip()][-lines:]
