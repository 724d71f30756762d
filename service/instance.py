"""Which process of this host and data folder this is: a slot of its own, and an id that survives restarts.

Two live processes never share an id, so that they never write one metric series; the process that starts after one has
ended takes its slot, and so goes on with its series.
"""

from __future__ import annotations

import re
import socket
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.data_dir import prepare_data_dir, unusable
from service.errors import StartupError
from service.file_lock import FileLock

if TYPE_CHECKING:
    from pathlib import Path

LOCKS_FOLDER = "locks"
MAX_SLOTS = 1024
_NAMESPACE = uuid.UUID("7a2f0c0e-5d0b-4d53-9a53-0d9c2f6f1f43")
_COMMAND = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSlot:
    """The slot of this process, made by `claim`; `instance_id` is for machines, `name` for people."""

    instance_id: str
    command: str
    slot: int
    name: str
    lock: FileLock = field(repr=False, compare=False)

    def release(self) -> None:
        """Free the slot for the next process. Safe to call again."""
        self.lock.release()


def claim(data_dir: Path, command: str, *, host: str | None = None, name: str | None = None) -> InstanceSlot:
    """Take the lowest free slot of `command` in the data folder.

    Args:
        data_dir: made when it is missing.
        command: what runs, such as `serve`; lower-case letters, digits, `-` and `_`.
        host: None asks the operating system.
        name: the shown name; None makes `host/command/slot`.

    Raises:
        StartupError: the data folder cannot be written, or all slots are taken.
        ValueError: `command` cannot be part of a file name.
    """
    if _COMMAND.fullmatch(command) is None:
        raise ValueError(f"not a command: {command!r}")
    host = socket.gethostname() if host is None else host
    folder = prepare_data_dir(data_dir)
    path = folder / LOCKS_FOLDER
    try:
        path.mkdir(exist_ok=True)
        for slot in range(MAX_SLOTS):
            path = folder / LOCKS_FOLDER / f"{command}.{slot}.lock"
            lock = FileLock.take(path)
            if lock is not None:
                return InstanceSlot(
                    instance_id=instance_id(folder, command, slot, host=host),
                    command=command,
                    slot=slot,
                    name=name or instance_name(command, slot, host=host),
                    lock=lock,
                )
    except OSError as error:
        raise unusable(path, error) from error
    raise StartupError(f"{MAX_SLOTS} processes of `mgeo {command}` use the data folder {folder}; give some another MGEO_DATA_DIR")


def instance_id(folder: Path, command: str, slot: int, *, host: str) -> str:
    """The id of the process that has a slot of a resolved data folder."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join((host, str(folder), command, str(slot)))))


def instance_name(command: str, slot: int, *, host: str) -> str:
    """The name such a process is shown by, unless MGEO_INSTANCE_NAME says another."""
    return f"{host}/{command}/{slot}"
