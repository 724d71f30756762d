"""Checks of the data folder: writable, roomy, its store sound, its key private. Nothing is made or changed."""

from __future__ import annotations

import sqlite3
import stat
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

from cli.doctor.finding import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.doctor.finding import Finding

LOGS_FOLDER = "logs"
STORE_FILE = "telemetry.db"
KEY_FILE = "hash.key"
LEAST_FREE = 256 * 1024**2
"""Bytes below which the first busy hour may fill the disk."""

_ANOTHER_FOLDER = "set MGEO_DATA_DIR or --data-dir to a folder this user can write"


def check_data_folder(folder: Path) -> Finding:
    """Whether the data folder can be written, or made."""
    return _check_writable("data folder", folder, f"chown or chmod it, or {_ANOTHER_FOLDER}")


def check_log_folder(folder: Path) -> Finding:
    """Whether the log can be written."""
    return _check_writable("log folder", folder / LOGS_FOLDER, f"chown or chmod it, or {_ANOTHER_FOLDER}")


def check_disk(folder: Path, *, log_max_bytes: int, store_max_bytes: int, free_bytes: Callable[[Path], int]) -> Finding:
    """Whether log and store can grow to their limits."""
    there = _nearest(folder)
    free, wanted = free_bytes(there), log_max_bytes + store_max_bytes
    shown = f"{_size(free)} free on the disk of {there}"
    if free < LEAST_FREE:
        return fail("disk", shown, f"free some space, or {_ANOTHER_FOLDER}")
    if free < wanted:
        fix = "free some space, or lower MGEO_LOG_MAX_BYTES and MGEO_STORE_MAX_BYTES"
        return warn("disk", f"{shown}; log and store may grow to {_size(wanted)}", fix)
    return ok("disk", f"{shown}; log and store take {_size(wanted)} at most")


def check_store(folder: Path) -> Finding:
    """Whether the store can be opened and is whole."""
    path = folder / STORE_FILE
    if not path.exists():
        return ok("store", f"{path} is not there yet; it is made at the first start")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        answer = f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"
    if answer != "ok":
        fix = "stop mgeo and move the file aside with its -wal and -shm; a new one is made at the next start"
        return fail("store", f"{path}: {answer}", fix)
    return ok("store", f"{path}, {_size(path.stat().st_size)}, whole")


def check_hash_key(folder: Path, key_file: Path | None) -> Finding:
    """Whether the key of the address hashes is readable by its owner alone."""
    path = key_file or folder / KEY_FILE
    if not path.exists():
        if key_file is not None:
            return fail("hash key", f"MGEO_HASH_KEY_FILE = {path} is not there", "write one with: openssl rand -hex 32, or unset it")
        return ok("hash key", f"{path} is not there yet; it is made at the first start")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warn("hash key", f"{path} has mode {mode:04o}: others can try out addresses against the hashes", f"chmod 600 {path}")
    return ok("hash key", f"{path}, mode {mode:04o}")


def _check_writable(check: str, folder: Path, fix: str) -> Finding:
    there = _nearest(folder)
    if not there.is_dir():
        return fail(check, f"{there} is a file, not a folder", _ANOTHER_FOLDER)
    try:
        # Writing shows what a mode cannot: a read-only mount, a full disk, a quota.
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"mgeo")
            file.flush()
    except OSError as error:
        return fail(check, f"{there} cannot be written ({error.strerror})", fix)
    return ok(check, f"{folder} can be written" if folder.is_dir() else f"{folder} is not there yet and can be made")


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _size(count: int) -> str:
    size = float(count)
    if size < 1024:
        return f"{count} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"
