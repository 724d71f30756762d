"""What `mgeo up` left for `mgeo status` and `mgeo down`: one file, mode 0600, replaced whole."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.stack.process import Process
from service.data_dir import unusable

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A stack that was started.

    Attributes:
        socket: supervisord's.
        password: for it.
    """

    profile: str
    socket: str
    password: str = field(repr=False)
    processes: tuple[Process, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The processes' names, in the order in which they were started."""
        return tuple(process.name for process in self.processes)


def write_state(layout: Layout, state: State) -> None:
    """Write the file.

    Raises:
        StartupError: it cannot be written.
    """
    members = {
        "profile": state.profile,
        "socket": state.socket,
        "password": state.password,
        "processes": [process.as_json() for process in state.processes],
    }
    write_private(layout.state, json.dumps(members, indent=1))


def read_state(layout: Layout) -> State | None:
    """The stack of this data folder; None when none was started, or the file is not whole."""
    try:
        members = json.loads(layout.state.read_text(encoding="utf-8"))
        return State(**{**members, "processes": tuple(Process.of_json(process) for process in members["processes"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        StartupError: it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        raise unusable(path, error) from error
