"""The file that has the notifier's token."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_token(file: Path) -> str:
    """The token of a file, which never prints.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the token {file} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from error
