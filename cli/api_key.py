"""The API key a command sends: from a file, or from MGEO_API_KEY. Never from the command line, which others can list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

API_KEY = "MGEO_API_KEY"


def read_api_key(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The first key in the file, where `#` begins a comment; without a file, the variable; None when there is neither.

    Raises:
        ValueError: the file cannot be read, or the key cannot stand in a header. The key is never quoted.
    """
    if file is None:
        key = environment.get(API_KEY, "").strip()
        source = API_KEY
    else:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"--api-key-file {file} cannot be read as UTF-8 text") from error
        key = next((line for text in lines if (line := text.partition("#")[0].strip())), "")
        source = f"--api-key-file {file}"
        if not key:
            raise ValueError(f"{source} holds no key")
    if not key.isascii() or not key.isprintable():
        raise ValueError(f"the key of {source} has characters that cannot stand in a header")
    return key or None
