"""Passwords and tokens of the stack: taken from the settings or made once, kept in files that only their owner reads."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING

from cli.stack.state import write_private
from service.data_dir import unusable
from service.errors import SettingsError, StartupError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.layout import Layout
    from service.setting import Secret
    from service.settings import Settings

BCRYPT_LIMIT = 72
"""Bytes; bcrypt would silently ignore what comes after."""
HASH_TIMEOUT = 30.0


def kept_password(path: Path) -> str:
    """The password in a file; made, with 24 random characters, when there is no file yet.

    Raises:
        StartupError: the file cannot be read or made.
    """
    if not path.exists():
        write_private(path, secrets.token_urlsafe(18))
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise unusable(path, error) from error


def gateway_password(settings: Settings, layout: Layout) -> tuple[str, str]:
    """The gateway's password, and where it stands, for people.

    Raises:
        SettingsError: it is empty, or longer than bcrypt takes.
        StartupError: the file cannot be read or made.
    """
    if settings.gateway_password is not None:
        password, place = settings.gateway_password.get_secret_value(), "MGEO_GATEWAY_PASSWORD"
    elif settings.gateway_password_file is not None:
        password, place = kept_password(settings.gateway_password_file), f"MGEO_GATEWAY_PASSWORD_FILE = {settings.gateway_password_file}"
    else:
        password, place = kept_password(layout.gateway_password), str(layout.gateway_password)
    if not password:
        raise SettingsError(f"{place}: the gateway's password is empty; write one")
    if len(password.encode()) > BCRYPT_LIMIT:
        raise SettingsError(f"{place}: the gateway's password has more than {BCRYPT_LIMIT} bytes; shorten it")
    return password, place


def bcrypt_hash(caddy: Path, password: str) -> str:
    """The hash that Caddy compares with; the password goes by a pipe, never as an argument.

    Raises:
        StartupError: Caddy cannot make one.
    """
    try:
        done = subprocess.run(  # noqa: S603 -- the located Caddy
            [str(caddy), "hash-password"], input=f"{password}\n", capture_output=True, text=True, timeout=HASH_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartupError(
            f"{caddy} cannot hash the gateway's password ({type(error).__name__}); try it by hand: {caddy} hash-password"
        ) from error
    return done.stdout.strip()


def token_file(token: Secret | None, file: Path | None, copy: Path) -> Path | None:
    """A file with a token, for a program that reads one; None when none is set.

    Args:
        token: the token itself.
        file: or a file that has it.
        copy: where the token itself is written.

    Raises:
        StartupError: the copy cannot be written.
    """
    if token is not None:
        write_private(copy, token.get_secret_value())
        return copy
    return file.absolute() if file is not None else None
