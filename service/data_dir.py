"""The data folder: made once, checked for writing, and named with the fix when it cannot be used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from service.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

_FIX = "make it writable for this user, or set MGEO_DATA_DIR to a folder that is"


def prepare_data_dir(folder: Path) -> Path:
    """Make the folder, with its parents, and return its resolved path.

    Raises:
        StartupError: it cannot be made or written; the message names the folder, MGEO_DATA_DIR and the fix.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"MGEO_DATA_DIR: the data folder {folder} cannot be made ({error.strerror}); {_FIX}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartupError(f"MGEO_DATA_DIR: the data folder {folder} cannot be written; {_FIX}")
    return folder.resolve()


def unusable(path: Path, error: OSError) -> StartupError:
    """The error for a file of the data folder that cannot be made, read or locked."""
    return StartupError(f"MGEO_DATA_DIR: {path} cannot be used ({error.strerror}); {_FIX}")
