"""What a watcher knows of its boxes, and what a box knows of its own maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.outbox.file import OutboxFile
from dingtalk.watch.maintenance import Maintenance
from dingtalk.watch.silence import Box

if TYPE_CHECKING:
    import sqlite3


class Boxes(OutboxFile):
    """The tables `box`, `heartbeat` and `maintenance`."""

    def boxes(self) -> dict[str, Box]:
        """Every box that something is known of."""
        with self._read() as connection:
            rows = connection.execute("SELECT name, last_unix, silent, quiet_until, quiet_from FROM box").fetchall()
        return {
            name: Box(name=name, last_unix=last, silent=bool(silent), quiet_until=until, quiet_from=since)
            for name, last, silent, until, since in rows
        }

    def keep_box(self, box: Box) -> None:
        """Remember what is known of a box."""
        with self._writing() as connection:
            _keep(connection, box)

    def keep_heartbeat(self, box: Box, nonce: str, *, at: float, forget: float) -> None:
        """Remember a heartbeat, and what is known of its box now; those that came before `forget` are deleted."""
        with self._writing() as connection:
            _keep(connection, box)
            connection.execute("INSERT OR REPLACE INTO heartbeat VALUES (?, ?, ?)", (box.name, nonce, at))
            connection.execute("DELETE FROM heartbeat WHERE at < ?", (forget,))

    def heartbeats(self) -> list[tuple[str, str, float]]:
        """Box, nonce and time of the heartbeats that came last, in their order."""
        with self._read() as connection:
            return connection.execute("SELECT box, nonce, at FROM heartbeat ORDER BY at").fetchall()

    def maintenance(self) -> Maintenance | None:
        """The maintenance that is going on or planned."""
        with self._read() as connection:
            row = connection.execute("SELECT starts_at, ends_at, who, reason, said FROM maintenance").fetchone()
        if row is None:
            return None
        return Maintenance(starts_at=row[0], ends_at=row[1], by=row[2], reason=row[3], said=bool(row[4]))

    def keep_maintenance(self, one: Maintenance | None) -> None:
        """Remember a maintenance in the place of the one before; None forgets it."""
        with self._writing() as connection:
            connection.execute("DELETE FROM maintenance")
            if one is not None:
                connection.execute(
                    "INSERT INTO maintenance VALUES (1, ?, ?, ?, ?, ?)", (one.starts_at, one.ends_at, one.by, one.reason, int(one.said))
                )


def _keep(connection: sqlite3.Connection, box: Box) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO box VALUES (?, ?, ?, ?, ?)", (box.name, box.last_unix, int(box.silent), box.quiet_until, box.quiet_from)
    )
