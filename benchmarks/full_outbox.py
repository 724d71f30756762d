"""An outbox in which much waits, filled without a notifier."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.notifications import RECEIVER, notification
from dingtalk.boot import this_boot
from dingtalk.clock import Clock
from dingtalk.outbox.store import Outbox
from dingtalk.payload import parse

MAX_QUEUE = 200_000
_MEMORY = Path("/dev/shm")


def fill(folder: Path, waiting: int, *, critical_every: int) -> None:
    """Make an outbox in a folder, in which the notifications from 0 on wait, each a group of its own.

    It is filled in memory where that is possible, since each of them is an fsync; what is then copied is the same file.
    """
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="full-outbox-", dir=_MEMORY if _MEMORY.is_dir() else None) as memory:
        with closing(Outbox.open(Path(memory), clock=clock, boot=this_boot(clock.monotonic()), max_queue=MAX_QUEUE)) as outbox:
            for number in range(waiting):
                body = notification(number, critical=number % critical_every == 0)
                outbox.receive(parse(body, receiver=RECEIVER, now=clock.unix()), body, replica_window=0.0)
        shutil.copytree(memory, folder)
