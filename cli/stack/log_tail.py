"""The last lines that a process printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES = 16_384
LINES = 8
WIDTH = 400
"""Characters of a line that are shown; the log has the rest."""


def log_tail(path: Path, lines: int = LINES) -> list[str]:
    """The last lines; none when there is no log, or it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - READ_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line[:WIDTH] for line in text.splitlines() if line.strip()][-lines:]
