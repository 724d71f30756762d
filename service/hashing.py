"""The keyed hash of an address: the same address is found again, and nobody without the key can try out addresses."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING

from service.data_dir import prepare_data_dir, unusable
from service.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE = "hash.key"
MIN_KEY_BYTES = 32
HASH_DIGITS = 32


class AddressHasher:
    """HMAC-SHA256 under one key. Never shows the key.

    Args:
        key: at least 32 bytes.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key of the address hashes must have at least {MIN_KEY_BYTES} bytes")
        self._key = key

    def __repr__(self) -> str:
        """The class alone."""
        return "AddressHasher()"

    def hash(self, cleaned_text: str) -> str:
        """The first 32 hex digits of the digest of an address as the model sees it. Never raises."""
        return hmac.digest(self._key, cleaned_text.encode("utf-8", "surrogatepass"), "sha256").hex()[:HASH_DIGITS]


def load_hash_key(data_dir: Path, key_file: Path | None = None) -> bytes:
    """Read the key from `key_file`, or from `hash.key` in the data folder, which is made on first use (mode 0600).

    The key is the file's content without the line end. Processes that start at once agree on one key.

    Raises:
        StartupError: the file cannot be read or made, or is too short; names the setting and the fix.
    """
    if key_file is not None:
        try:
            content = key_file.read_bytes()
        except OSError as error:
            raise StartupError(
                f"MGEO_HASH_KEY_FILE = {key_file}: cannot be read ({error.strerror}); name a readable file with at least "
                f"{MIN_KEY_BYTES} bytes, or unset it and let the service make a key in the data folder",
            ) from error
        return _checked(content, f"MGEO_HASH_KEY_FILE = {key_file}", "write one with: openssl rand -hex 32")
    path = prepare_data_dir(data_dir) / KEY_FILE
    try:
        if not path.exists():
            _make(path)
        content = path.read_bytes()
    except OSError as error:
        raise unusable(path, error) from error
    return _checked(content, str(path), "remove it to have a new key made; addresses hashed before are then not found again")


def _make(path: Path) -> None:
    # Written aside and linked: the file appears whole, and for the one process whose link comes first.
    aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor, not a path
            file.write(secrets.token_hex(MIN_KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        aside.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _checked(content: bytes, what: str, fix: str) -> bytes:
    key = content.rstrip(b"\r\n")
    if len(key) < MIN_KEY_BYTES:
        raise StartupError(f"{what}: has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed; {fix}")
    return key
