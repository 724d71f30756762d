"""One small JSON file of the data folder, by which a command tells the service what it found: replaced whole, read with suspicion."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from service.data_dir import unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of a file that is none of ours, no more is read.
_MOST_BYTES: Final = 65_536


def write_members(path: Path, members: Mapping[str, object]) -> None:
    """Replace the file, whole or not at all.

    Raises:
        StartupError: it cannot be written.
    """
    try:
        descriptor, fresh = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(members, file)
            Path(fresh).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(fresh).unlink()
            raise
    except OSError as error:
        raise unusable(path, error) from error


def read_members(path: Path, *, counts: tuple[str, ...], words: tuple[str, ...]) -> dict[str, Any] | None:
    """The members of the file; None when there is none, or it is not whole.

    Args:
        path: the file.
        counts: members that are whole numbers, 0 or more.
        words: members that are lists of texts; they are given as tuples.
    """
    try:
        with path.open("rb") as file:
            members = json.loads(file.read(_MOST_BYTES))
        return {**{name: _count(members[name]) for name in counts}, **{name: _words(members[name]) for name in words}}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError
    return tuple(value)
