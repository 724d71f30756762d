"""Attempts: each is noted before it is made, and its end with what it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.outbox.handling import open_handling
from dingtalk.outbox.messages import Messages

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from dingtalk.outbox.rows import Told


class Attempts(Messages):
    """The table `send`, and the messages that are sent."""

    def begin_send(self, message: int, *, robot: str, organisation: str) -> int | None:
        """Note that an attempt is about to be made; only then it may be. None when the message is not waiting any more."""
        now = self._clock.unix()
        with self._writing() as connection:
            changed = connection.execute(
                "UPDATE message SET state = 'sending', robot = ?, attempts = attempts + 1, changed_at = ?"
                " WHERE id = ? AND state = 'waiting'",
                (robot, now, message),
            ).rowcount
            if not changed:
                return None
            return connection.execute(
                "INSERT INTO send (message, robot, organisation, at, boot, monotonic, counted) VALUES (?, ?, ?, ?, ?, ?, 1)",
                (message, robot, organisation, now, self._boot.id, self._clock.monotonic()),
            ).lastrowid

    def end_send(self, send: int, *, outcome: str, counted: bool) -> None:
        """Note how an attempt ended; its minute counts from here, which is when DingTalk has it at the latest."""
        with self._writing() as connection:
            self._end_send(connection, send, outcome, counted=counted)

    def _end_send(self, connection: sqlite3.Connection, send: int, outcome: str, *, counted: bool) -> None:
        connection.execute(
            "UPDATE send SET outcome = ?, counted = ?, boot = ?, monotonic = ? WHERE id = ?",
            (outcome, int(counted), self._boot.id, self._clock.monotonic(), send),
        )

    def delivered(self, message: int, *, send: int | None, robot: str) -> list[Told]:
        """A message is told. What of its bundle is thereby told as a whole."""
        with self._writing() as connection:
            if send is not None:
                self._end_send(connection, send, "delivered", counted=True)
            connection.execute(
                "UPDATE message SET state = 'delivered', robot = ?, outcome = 'delivered', detail = '', changed_at = ? WHERE id = ?",
                (robot, self._clock.unix(), message),
            )
            open_handling(connection, message, self._clock.unix())
            return self._closed(connection, message)

    def postpone(
        self,
        message: int,
        *,
        send: int | None,
        counted: bool,
        outcome: str,
        detail: str,
        next_attempt_at: float,
        pinned: str,
        fallback_failed: bool = False,
    ) -> None:
        """A message waits for its next attempt; `pinned` is the robot that may have sent it."""
        with self._writing() as connection:
            if send is not None:
                self._end_send(connection, send, outcome, counted=counted)
            connection.execute(
                "UPDATE message SET state = 'waiting', outcome = ?, detail = ?, next_attempt_at = ?, pinned = ?,"
                " fallback_tries = fallback_tries + ?, changed_at = ? WHERE id = ? AND state IN ('waiting', 'sending')",
                (outcome, detail, next_attempt_at, pinned, int(fallback_failed), self._clock.unix(), message),
            )

    def ages(self, robots: Mapping[str, int]) -> dict[str, tuple[float, ...]]:
        """Seconds since each of the last sends of each robot, as many as are asked for; at least so many, whatever the wall clock did."""
        monotonic = self._clock.monotonic()
        with self._read() as connection:
            return {
                robot: tuple(
                    0.0 if outcome is None else self._boot.age(monotonic=monotonic, boot_id=boot, at=at)
                    for boot, at, outcome in connection.execute(
                        "SELECT boot, monotonic, outcome FROM send WHERE robot = ? ORDER BY id DESC LIMIT ?",
                        (robot, count),
                    )
                )
                for robot, count in robots.items()
            }

    def calls(self, organisation: str, *, since: float) -> int:
        """Calls that use the quota of an organisation, since a moment."""
        with self._read() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM send WHERE organisation = ? AND counted = 1 AND at >= ?",
                (organisation, since),
            ).fetchone()
        return int(count)
