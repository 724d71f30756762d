"""The outbox as a whole: opened, recovered and purged."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Self

from dingtalk.errors import StoreUnavailable
from dingtalk.outbox.attempts import Attempts
from dingtalk.outbox.boxes import Boxes
from dingtalk.outbox.file import FILE, LOCK_FILE, connect, lock
from dingtalk.outbox.groups import Groups
from dingtalk.outbox.history import History
from dingtalk.outbox.migrations import migrate
from dingtalk.outbox.receipts import Receipts
from dingtalk.outbox.states import States
from dingtalk.reconcile import FARTHEST

if TYPE_CHECKING:
    from pathlib import Path

    from dingtalk.boot import Boot
    from dingtalk.clock import Clock

SENDS_KEPT = 62 * 86_400.0
"""Longer than the month that is counted."""
HEARD_KEPT = FARTHEST + 86_400.0
"""A day longer than reconciling looks back."""
_PURGED_AT_ONCE = 1_000
_OLD_RECEIPTS = """
    DELETE FROM receipt WHERE id IN (SELECT id FROM receipt WHERE state IN ('told', 'unsaid') AND received_at < ? LIMIT ?)
"""
_OLD_MESSAGES = """
    DELETE FROM message WHERE id IN (SELECT id FROM message WHERE state IN ('delivered', 'merged') AND changed_at < ? LIMIT ?)
"""
_OLD_BUNDLES = """
    DELETE FROM bundle WHERE id IN (SELECT id FROM bundle WHERE created_at < ?
        AND NOT EXISTS (SELECT 1 FROM message WHERE message.bundle = bundle.id) LIMIT ?)
"""
_OLD_RESOLVED = """
    DELETE FROM told WHERE (receiver, fingerprint, starts_at) IN
        (SELECT receiver, fingerprint, starts_at FROM told WHERE status = 'resolved' AND at < ? LIMIT ?)
"""
_OLD_FIRING = """
    DELETE FROM told WHERE (receiver, fingerprint, starts_at) IN (SELECT receiver, fingerprint, starts_at FROM told WHERE at < ? LIMIT ?)
"""
_OLD_HEARD = """
    DELETE FROM heard WHERE (labels, since) IN (SELECT labels, since FROM heard WHERE until IS NOT NULL AND max(until, at) < ? LIMIT ?)
"""
_OLD_HEARD_FIRING = "DELETE FROM heard WHERE (labels, since) IN (SELECT labels, since FROM heard WHERE at < ? LIMIT ?)"
_OLD_LATE = """
    DELETE FROM late WHERE (receiver, fingerprint, starts_at) IN (SELECT receiver, fingerprint, starts_at FROM late WHERE at < ? LIMIT ?)
"""
_OLD_HANDLING = "DELETE FROM handling WHERE digest IN (SELECT digest FROM handling WHERE opened_at < ? LIMIT ?)"
_OLD_LINKS = "DELETE FROM used_link WHERE hash IN (SELECT hash FROM used_link WHERE expires_at < ? LIMIT ?)"
_OLD_SENDS = "DELETE FROM send WHERE id IN (SELECT id FROM send WHERE at < ? AND outcome IS NOT NULL LIMIT ?)"


class Outbox(Receipts, Attempts, Groups, States, Boxes, History):
    """The store of one notifier; made by `open`. Every change is on the disk before its method returns, or the method raises."""

    @classmethod
    def open(cls, folder: Path, *, clock: Clock, boot: Boot, max_queue: int) -> Self:
        """Open or make the outbox in a folder, which is made too; what an earlier process was sending when it died waits again.

        Args:
            folder: the data folder, of one notifier at a time.
            clock: both clocks.
            boot: the present run of the machine.
            max_queue: receipts that may wait.

        Raises:
            StoreUnavailable: it cannot be opened or written, or another notifier uses it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = lock(folder / LOCK_FILE)
        except OSError as error:
            raise StoreUnavailable(f"the data folder {folder} cannot be used: {error.strerror}") from error
        connections: list[sqlite3.Connection] = []
        try:
            for _ in range(2):
                connections.append(connect(folder / FILE))
                if len(connections) == 1:
                    migrate(connections[0])
            outbox = cls(connection=connections[0], reader=connections[1], lock=held, clock=clock, boot=boot, limit=max_queue)
            outbox._recover()
        except (sqlite3.Error, StoreUnavailable) as error:
            for connection in connections:
                connection.close()
            os.close(held)
            raise StoreUnavailable(f"the outbox {folder / FILE} cannot be opened: {error}") from error
        return outbox

    def purge(self, *, keep: float) -> int:
        """Delete a little of what was told more than `keep` seconds ago; the number of rows. Dead letters stay."""
        now = self._clock.unix()
        with self._writing() as connection:
            return sum(
                connection.execute(statement, (before, _PURGED_AT_ONCE)).rowcount
                for statement, before in (
                    (_OLD_RECEIPTS, now - keep),
                    (_OLD_MESSAGES, now - keep),
                    (_OLD_BUNDLES, now - keep),
                    (_OLD_RESOLVED, now - keep),
                    # Alertmanager repeats what fires, so what it does not name for so long is gone without an end.
                    (_OLD_FIRING, now - max(keep, SENDS_KEPT)),
                    (_OLD_HEARD, now - HEARD_KEPT),
                    (_OLD_HEARD_FIRING, now - max(keep, SENDS_KEPT)),
                    (_OLD_LATE, now - HEARD_KEPT),
                    (_OLD_SENDS, now - SENDS_KEPT),
                    (_OLD_HANDLING, now - max(keep, SENDS_KEPT)),
                    (_OLD_LINKS, now),
                )
            )

    def _recover(self) -> None:
        """What was being sent when an earlier process died may have arrived: it is pinned to its robot, and counts from now."""
        with self._writing() as connection:
            connection.execute("UPDATE message SET state = 'waiting', pinned = robot, next_attempt_at = 0 WHERE state = 'sending'")
            connection.execute(
                "UPDATE send SET outcome = 'unknown', boot = ?, monotonic = ? WHERE outcome IS NULL",
                (self._boot.id, self._clock.monotonic()),
            )
        self._recount()
