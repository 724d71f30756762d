"""When a group begins and ceases to be handled, as part of the changes that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.alert import Severity

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from dingtalk.alert import Alert


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


def asks_key(digest: str) -> str:
    """The group key of messages that ask somebody to take a group."""
    return f"notifier:ask:{digest}"


def withdraw_asks(connection: sqlite3.Connection, digest: str, at: float) -> None:
    """Nobody is to be asked of a group any more: what waits is not told, and what is under way is not told again by the next process."""
    connection.execute(
        "UPDATE message SET state = 'merged', changed_at = ? WHERE state IN ('waiting', 'sending') AND group_key = ?",
        (at, asks_key(digest)),
    )


def end_handling(connection: sqlite3.Connection, digest: str, firing: Sequence[Alert], at: float) -> None:
    """A group is as its newest notification says.

    Nobody is asked once nothing critical fires. Who took it has it until all is over, also when that was never told, as of what was
    silenced: what began after it was taken has not been taken.

    Args:
        connection: in a transaction.
        digest: of the group.
        firing: its alerts that fire, the most urgent first.
        at: when it came.
    """
    if not firing:
        if connection.execute("DELETE FROM handling WHERE digest = ?", (digest,)).rowcount:
            withdraw_asks(connection, digest, at)
        return
    if (
        firing[0].severity is not Severity.CRITICAL
        and connection.execute("DELETE FROM handling WHERE digest = ? AND taken_by IS NULL", (digest,)).rowcount
    ):
        withdraw_asks(connection, digest, at)
    connection.execute("DELETE FROM handling WHERE digest = ? AND taken_at < ?", (digest, min(alert.starts_at for alert in firing)))
