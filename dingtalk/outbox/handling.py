"""When a group begins and ceases to be handled, as part of the changes that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.alert import Severity

if TYPE_CHECKING:
    import sqlite3


def open_handling(connection: sqlite3.Connection, message: int, at: float) -> None:
    """A message is delivered: the critical groups it tells of wait for somebody from now on, unless they did before or are over."""
    rows = connection.execute(
        "SELECT DISTINCT digest, receiver, group_key FROM receipt"
        " WHERE bundle = (SELECT bundle FROM message WHERE id = ?) AND firing = ? AND digest != ''",
        (message, Severity.CRITICAL.value),
    ).fetchall()
    for digest, receiver, group_key in rows:
        (firing,) = connection.execute("SELECT firing FROM receipt WHERE digest = ? ORDER BY id DESC LIMIT 1", (digest,)).fetchone()
        if firing == Severity.CRITICAL.value:
            connection.execute(
                "INSERT OR IGNORE INTO handling (digest, receiver, group_key, opened_at, asked, asked_at) VALUES (?, ?, ?, ?, 0, ?)",
                (digest, receiver, group_key, at, at),
            )


def end_handling(connection: sqlite3.Connection, digest: str, firing: Severity | None) -> None:
    """A group is as its newest notification says: nobody is asked once nothing critical fires; who took it has it until all is over."""
    if firing is None:
        connection.execute("DELETE FROM handling WHERE digest = ?", (digest,))
    elif firing is not Severity.CRITICAL:
        connection.execute("DELETE FROM handling WHERE digest = ? AND taken_by IS NULL", (digest,))
