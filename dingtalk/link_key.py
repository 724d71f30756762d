"""The key that signs links: from the configuration, or made once and kept in the data folder."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from dingtalk.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from dingtalk.config import Config

FILE = "link.key"
_BYTES = 32


def kept_link_key(config: Config) -> bytes:
    """The key; a new one is written for its owner alone, and another process that makes one at the same time gets the same.

    Raises:
        StoreUnavailable: it cannot be read or kept.
    """
    if config.link_key is not None:
        return config.link_key.get_secret_value().encode()
    path = config.data_dir / FILE
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        return _made(path) or bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"the key of links {path} cannot be read or made: {getattr(error, 'strerror', None) or error}") from error


def _made(path: Path) -> bytes | None:
    """A new key, unless there is one."""
    if path.exists():
        return None
    key = secrets.token_bytes(_BYTES)
    fresh = path.with_name(f"{FILE}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex())
    try:
        # Whole or not at all, and whoever is second finds the first one's.
        os.link(fresh, path)
    except FileExistsError:
        return None
    finally:
        fresh.unlink()
    return key
