"""The file that lets the simulator's state survive a restart: one JSON line for every call and every deed of the control API."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import TypeAdapter, ValidationError

from dingtalk.simulator.history import Attempt, Message  # noqa: TC001 -- pydantic reads these types when it runs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Deed(StrEnum):
    """What the control API did."""

    RESET = "reset"
    BAN = "ban"
    LIFT = "lift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: a call and the message it delivered, or a deed, or what older lines came to.

    Attributes:
        at: seconds since 1970.
        attempt: a call.
        message: what it delivered; in a line of its own, with its duplicates, where older lines were summed up.
        deed: of the control API.
        robot: whom the deed is about.
        used: month and calls by organisation, as older lines came to.
        bans: when the running bans began, in seconds since 1970, by robot; no other robot is banned.
        next_message: the index after that of the last message of older lines.
        next_attempt: the index after that of the last call of older lines.
    """

    at: float
    attempt: Attempt | None = None
    message: Message | None = None
    deed: Deed | None = None
    robot: str | None = None
    used: dict[str, tuple[str, int]] = field(default_factory=dict)
    bans: dict[str, float] | None = None
    next_message: int | None = None
    next_attempt: int | None = None


class Journal(Protocol):
    """Where entries go. `failed` says why they cannot go there now, if so."""

    @property
    def failed(self) -> str:
        """Empty when all is well."""
        ...

    def append(self, entry: Entry) -> bool:
        """Write one entry; whether the lines are now so many that `rewrite` should sum them up."""
        ...

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Put these entries in the place of all."""
        ...


class NullJournal:
    """Nothing survives."""

    failed = ""

    def append(self, entry: Entry) -> bool:  # noqa: ARG002 -- the Protocol's
        """Write nothing."""
        return False

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Write nothing."""


class FileJournal:
    """A JSONL file, mode 0600 because messages name people.

    A simulator goes on when its disk is full: `failed` then says why the file is behind.

    Args:
        path: the file; its folder is made.
        spare: lines that may be added to the file, or to its last summary, before they should be summed up.
    """

    def __init__(self, path: Path, spare: int) -> None:
        self._path = path
        self._spare = spare
        self._added = 0
        self.failed = ""

    def entries(self) -> list[Entry]:
        """What the file holds; a line that is not whole, as a kill can leave, counts for nothing."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        self._added = len(lines)
        entries = []
        for line in lines:
            try:
                entries.append(_ENTRY.validate_json(line))
            except ValidationError:
                continue
        return entries

    def append(self, entry: Entry) -> bool:
        """Write one entry; whether the lines are now so many that they should be summed up."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(_line(entry))
        except OSError as error:
            self.failed = f"{self._path.name} cannot be written ({error.strerror})"
            return False
        self._added += 1
        self.failed = ""
        return self._added > self._spare

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Put these entries in the place of all, at once."""
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for entry in entries:
                    file.write(_line(entry))
            beside.replace(self._path)
        except OSError as error:
            self.failed = f"{self._path.name} cannot be written ({error.strerror})"
        # Also after a failure: else every further call would try again.
        self._added = 0


def _line(entry: Entry) -> bytes:
    return json.dumps(_ENTRY.dump_python(entry, mode="json", exclude_defaults=True), ensure_ascii=False).encode() + b"\n"


_ENTRY = TypeAdapter(Entry)
