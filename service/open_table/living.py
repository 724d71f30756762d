"""The tables of processes that live, as others see them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from service.open_table.dead import LIVING, OPEN_FOLDER
from service.open_table.layout import HEADER_BYTES, read_table

if TYPE_CHECKING:
    from pathlib import Path


def living(data_dir: Path, since_ns: int) -> frozenset[str]:
    """The lives that were known to live at or after a moment, by what their tables say of it.

    The locks of their slots, which say it of this very moment, are left alone: whoever starts meanwhile would find one taken.
    """
    lives = set()
    for path in (data_dir / OPEN_FOLDER).glob(f"*{LIVING}"):
        # It may be another's, or be put aside meanwhile.
        with contextlib.suppress(OSError), path.open("rb") as file:
            table = read_table(file.read(HEADER_BYTES))
            if table is not None and table.seen_unix_ns >= since_ns:
                lives.add(table.life)
    return frozenset(lives)
