"""The file of answers that goes out: whole, or not there."""

from __future__ import annotations

import contextlib
import csv
import os
from typing import TYPE_CHECKING, Self

from cli.match.row import ADDED_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from cli.match.row import RowResult


class UnusableOutput(Exception):
    """The file of answers cannot be written; the message says why."""


class ResultFile:
    """Writes answers beside the target and puts them in its place when all are there. A context manager.

    Leaving the context with an exception removes what was written; the target stays as it was.

    Args:
        target: the file to make.
        header: the columns of the input.
        encoding: of the input, so that all its bytes can be written again.
        line_end: of the input.

    Raises:
        UnusableOutput: it cannot be written there; so may every other method.
    """

    def __init__(self, target: Path, *, header: tuple[str, ...], encoding: str, line_end: str) -> None:
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        with self._explained():
            self._file = self._part.open("w", encoding=encoding, errors="surrogateescape", newline="")
            self._writer = csv.writer(self._file, lineterminator=line_end)
            self._writer.writerow((*header, *ADDED_COLUMNS))

    def __enter__(self) -> Self:
        """The file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Put the file in its place, or remove it after an exception."""
        try:
            if kind is None:
                with self._explained():
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._part.replace(self._target)
        finally:
            # What a full disk did not take is lost either way, and closing would only say so again.
            with contextlib.suppress(OSError):
                self._file.close()
            self._part.unlink(missing_ok=True)

    def write(self, result: RowResult) -> None:
        """Add one row."""
        with self._explained():
            self._writer.writerow(result.columns())

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnusableOutput(f"{self._target} cannot be written ({error.strerror}); it was left as it was") from error
