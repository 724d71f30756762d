"""The API keys, compared in constant time, and the session tokens bound to them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from service.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class KeyRing:
    """Knows API keys by their digests only. Empty: the API is open.

    A comparison takes the same time whichever key is tried: both sides are digests of one size, and every key is looked at.

    Args:
        keys: the API keys.
        secret: what session tokens are made with. A new one each time, unless given, so that no session outlives the process.
    """

    def __init__(self, keys: Iterable[str] = (), *, secret: bytes | None = None) -> None:
        self._secret = secrets.token_bytes(32) if secret is None else secret
        self._digests = tuple(dict.fromkeys(_digest(key.encode()) for key in keys))
        self._tokens = tuple(self._token(digest).encode() for digest in self._digests)

    @classmethod
    def load(cls, *, keys: str | None = None, file: Path | None = None, secret: bytes | None = None) -> KeyRing:
        """Read keys separated by commas, or from a file with one a line, where `#` begins a comment.

        Raises:
            StartupError: a source is named that cannot be read, or holds no key.
        """
        found: list[str] = []
        if keys is not None:
            found = [key.strip() for key in keys.split(",") if key.strip()]
            if not found:
                raise StartupError("MGEO_API_KEYS is set but holds no key; give at least one, or unset it to leave the API open")
        if file is not None:
            found += _read(file)
        return cls(found, secret=secret)

    def __bool__(self) -> bool:
        """Whether there is any key, so that callers need one."""
        return bool(self._digests)

    def accepts(self, key: bytes) -> bool:
        """Whether `key` is one of the keys."""
        return _among(_digest(key), self._digests)

    def session(self, key: bytes) -> str | None:
        """The session token for a key, from which the key cannot be told; None when it is none of ours."""
        return self._token(_digest(key)) if self.accepts(key) else None

    def accepts_session(self, token: str) -> bool:
        """Whether a session token was made by this process for one of the keys."""
        return _among(token.encode("utf-8", "replace"), self._tokens)

    def _token(self, digest: bytes) -> str:
        return hmac.digest(self._secret, b"session:" + digest, "sha256").hex()


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _among(value: bytes, known: tuple[bytes, ...]) -> bool:
    found = False
    for candidate in known:
        found |= hmac.compare_digest(value, candidate)
    return found


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StartupError(
            f"MGEO_API_KEYS_FILE = {file}: cannot be read ({error.strerror}); name a file this user may read, or unset it"
        ) from error
    except UnicodeDecodeError as error:
        raise StartupError(f"MGEO_API_KEYS_FILE = {file}: is not UTF-8 text; write one key a line") from error
    keys = [key for line in lines if (key := line.partition("#")[0].strip())]
    if not keys:
        raise StartupError(f"MGEO_API_KEYS_FILE = {file}: holds no key; write one a line, or unset it to leave the API open")
    return keys
