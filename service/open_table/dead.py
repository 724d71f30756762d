"""The tables of processes that died, each claimed by one living process."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.file_lock import FileLock
from service.instance import LOCKS_FOLDER
from service.open_table.layout import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.instance import InstanceSlot
    from service.open_table.layout import TableContents

OPEN_FOLDER = "open"
LIVING = ".table"
_DEAD = ".dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadTable:
    """What a dead process left, in a file that is this process' alone until it is removed or let go."""

    contents: TableContents
    path: Path
    lock: FileLock = field(repr=False, compare=False)

    def remove(self) -> None:
        """Everything in it is safe elsewhere."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.lock.release()

    def let_go(self) -> None:
        """Leave it to the next process."""
        self.lock.release()


def table_path(data_dir: Path, slot: InstanceSlot) -> Path:
    """The file of the table of a slot; its folder is made.

    Raises:
        OSError: the folder cannot be made.
    """
    folder = data_dir / OPEN_FOLDER
    folder.mkdir(exist_ok=True)
    return folder / f"{slot.command}.{slot.slot}{LIVING}"


def dead_tables(data_dir: Path, slot: InstanceSlot) -> list[DeadTable]:
    """Claim the tables of all processes of the data folder that have died, that of this slot's last holder among them.

    A process lives as long as the lock of its slot is held. The table of a dead one is renamed first, so that the slot is free
    for the next process, and locked itself from then on: when its new owner dies too, the next process takes it.

    Args:
        data_dir: the data folder.
        slot: this process' own, whose table must not have been made yet.

    Raises:
        OSError: a file cannot be read, renamed or locked.
    """
    own = table_path(data_dir, slot)
    for path in sorted(own.parent.glob(f"*{LIVING}")):
        if path == own:
            _set_aside(path)
        else:
            lock = FileLock.take(data_dir / LOCKS_FOLDER / f"{path.name.removesuffix(LIVING)}.lock")
            if lock is not None:
                _set_aside(path)
                lock.release()
    return list(_claimed(own.parent))


def _set_aside(path: Path) -> None:
    # The number of the file keeps apart what several dead processes of one slot left. Another process may have been quicker.
    with contextlib.suppress(FileNotFoundError):
        path.rename(path.with_name(f"{path.name.removesuffix(LIVING)}.{path.stat().st_ino}{_DEAD}"))


def _claimed(folder: Path) -> Iterator[DeadTable]:
    for path in sorted(folder.glob(f"*{_DEAD}")):
        lock = FileLock.take(path)
        if lock is None:
            continue
        # To lock a file that another process removes meanwhile makes an empty one of its name, or locks one without a name.
        contents = read_table(path.read_bytes()) if path.exists() else None
        if contents is None:
            path.unlink(missing_ok=True)
            lock.release()
        else:
            yield DeadTable(contents=contents, path=path, lock=lock)
