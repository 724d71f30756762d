"""Groups as people meet them: by their digest, with what was received of each and who has taken it."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from dingtalk.alert import Severity
from dingtalk.errors import LinkRefused
from dingtalk.escalation import Case
from dingtalk.links import Refusal, group_digest
from dingtalk.outbox.handling import asks_key, withdraw_asks
from dingtalk.outbox.messages import Messages
from dingtalk.outbox.rows import LinkUse, StoredGroup, StoredReceipt

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from typing import Any

    from dingtalk.outbox.rows import Draft, UsedLink

_CASE = "receiver, group_key, opened_at, asked, asked_at, taken_by, taken_at"


class Groups(Messages):
    """The tables `handling` and `used_link`, and receipts by the digest of their group."""

    def group(self, digest: str) -> StoredGroup | None:
        """What is known of a group; None when nothing of it is kept."""
        with self._read() as connection:
            row = connection.execute(
                "SELECT id, receiver, deflated, received_at, repeat, group_key, firing FROM receipt JOIN payload ON payload.receipt = id"
                " WHERE digest = ? ORDER BY id DESC LIMIT 1",
                (digest,),
            ).fetchone()
            return (
                None
                if row is None
                else StoredGroup(
                    digest=digest,
                    receiver=row[1],
                    group_key=row[5],
                    firing=Severity(row[6]) if row[6] else None,
                    newest=_receipt(row),
                    case=_case_of(connection, digest),
                )
            )

    def receipts_of_group(
        self, digest: str, *, before: int | None = None, limit: int = 50, alerts: int = 2_000
    ) -> tuple[list[StoredReceipt], bool]:
        """What was received of a group, the newest first, and whether there is more.

        Args:
            digest: of the group.
            before: an id to go on from.
            limit: most receipts.
            alerts: most alerts in all of them; one receipt is given whatever it has.
        """
        with self._read() as connection:
            sizes = connection.execute(
                "SELECT id, alerts FROM receipt WHERE digest = ? AND id < ? ORDER BY id DESC LIMIT ?",
                (digest, before if before is not None else 1 << 62, limit + 1),
            ).fetchall()
            chosen: list[int] = []
            room = alerts
            for number, size in sizes[:limit]:
                room -= size
                if chosen and room < 0:
                    break
                chosen.append(number)
            rows = [
                connection.execute(
                    "SELECT id, receiver, deflated, received_at, repeat FROM receipt JOIN payload ON payload.receipt = id WHERE id = ?",
                    (number,),
                ).fetchone()
                for number in chosen
            ]
        return [_receipt(row) for row in rows], len(chosen) < len(sizes)

    def take(self, digest: str, by: str, *, says: Draft | None, link: UsedLink | None = None) -> tuple[Case, bool] | None:
        """Somebody takes a group: who was first keeps it. None when nothing of the group fires any more.

        Args:
            digest: of the group.
            by: who.
            says: what is told when this one was the first.
            link: by which it came; it counts once, but nobody is refused who only asks for what has happened.

        Returns:
            The case as it stands, and whether this one was the first.

        Raises:
            LinkRefused: the link was used before, for an alert that is over since.
        """
        with self._writing() as connection:
            done = _take(connection, digest, by, self._clock.unix(), link)
            if done is not None and done[1] and says is not None:
                self._put(connection, says)
        return done

    def silenced(self, digest: str, *, says: Draft | None, by: str | None = None, link: UsedLink | None = None) -> None:
        """A group is silenced: tell it, and let the link count. Nothing happens when it has counted before.

        Args:
            digest: of the group.
            says: what is told.
            by: who takes the group with it, where nobody has yet.
            link: by which it came.
        """
        with self._writing() as connection:
            now = self._clock.unix()
            if link is not None and not _use(connection, link, now):
                return
            if by is not None:
                _take(connection, digest, by, now)
            if says is not None:
                self._put(connection, says)

    def cases(self) -> list[Case]:
        """The critical groups that nobody has taken yet, those first that wait longest."""
        with self._read() as connection:
            rows = connection.execute(f"SELECT {_CASE} FROM handling WHERE taken_by IS NULL ORDER BY opened_at").fetchall()  # noqa: S608
        return [_case(row) for row in rows]

    def asked(self, before: Case, after: Case, *, says: Draft | None = None) -> bool:
        """Note that somebody is asked, and tell it; False when the group was taken, or is over, or somebody else was asked meanwhile.

        What is told so is withdrawn when the group is taken or over before it was.
        """
        digest = group_digest(before.receiver, before.group_key)
        with self._writing() as connection:
            changed = connection.execute(
                "UPDATE handling SET asked = ?, asked_at = ? WHERE digest = ? AND asked = ? AND opened_at = ? AND taken_by IS NULL",
                (after.asked, after.asked_at, digest, before.asked, before.opened_at),
            ).rowcount
            if changed and says is not None:
                self._put(connection, replace(says, group_key=asks_key(digest)))
        return bool(changed)

    def link_used(self, link_hash: str) -> bool:
        """Whether a link has counted already."""
        with self._read() as connection:
            return connection.execute("SELECT 1 FROM used_link WHERE hash = ? AND done", (link_hash,)).fetchone() is not None

    def begin_link(self, link: UsedLink, *, patience: float) -> LinkUse:
        """Begin to use a link for what happens elsewhere; it counts by `silenced` and not before.

        Args:
            link: the link.
            patience: seconds after which an earlier use that told nothing of its end, as when the process was killed, has none any more.
        """
        with self._writing() as connection:
            now = self._clock.unix()
            row = connection.execute("SELECT at, done FROM used_link WHERE hash = ?", (link.hash,)).fetchone()
            if row is not None and row[1]:
                return LinkUse.DONE
            # By its size, so that a clock that was set back lets nobody wait longer.
            if row is not None and abs(now - row[0]) < patience:
                return LinkUse.UNDER_WAY
            connection.execute(
                "INSERT OR REPLACE INTO used_link (hash, who, at, expires_at, done) VALUES (?, ?, ?, ?, 0)",
                (link.hash, link.who, now, link.expires_at),
            )
        return LinkUse.FIRST if row is None else LinkUse.AGAIN

    def end_link(self, link: UsedLink) -> None:
        """A use of a link has ended without anything that is known to have come of it: the next may begin at once."""
        with self._writing() as connection:
            connection.execute("UPDATE used_link SET at = 0 WHERE hash = ? AND NOT done", (link.hash,))


def _use(connection: sqlite3.Connection, link: UsedLink, now: float) -> bool:
    """Let a link count; False when it has already."""
    return bool(
        connection.execute(
            "INSERT INTO used_link (hash, who, at, expires_at, done) VALUES (?, ?, ?, ?, 1)"
            " ON CONFLICT (hash) DO UPDATE SET done = 1 WHERE NOT done",
            (link.hash, link.who, now, link.expires_at),
        ).rowcount
    )


def _take(connection: sqlite3.Connection, digest: str, by: str, now: float, link: UsedLink | None = None) -> tuple[Case, bool] | None:
    row = connection.execute(
        "SELECT receiver, group_key, firing FROM receipt WHERE digest = ? ORDER BY id DESC LIMIT 1", (digest,)
    ).fetchone()
    if row is None or not row[2]:
        return None
    before = _case_of(connection, digest) or Case.opened(row[0], row[1], now)
    case = before.taken(by, now)
    if case == before:
        return case, False
    if link is not None and not _use(connection, link, now):
        raise LinkRefused(Refusal.USED)
    connection.execute(
        f"INSERT OR REPLACE INTO handling (digest, {_CASE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- ours
        (digest, *_columns(case)),
    )
    withdraw_asks(connection, digest, now)
    return case, True


def _case_of(connection: sqlite3.Connection, digest: str) -> Case | None:
    row = connection.execute(f"SELECT {_CASE} FROM handling WHERE digest = ?", (digest,)).fetchone()  # noqa: S608 -- ours
    return None if row is None else _case(row)


def _case(row: Sequence[Any]) -> Case:  # Any: columns
    return Case(receiver=row[0], group_key=row[1], opened_at=row[2], asked=row[3], asked_at=row[4], taken_by=row[5], taken_at=row[6])


def _columns(case: Case) -> tuple[object, ...]:
    return case.receiver, case.group_key, case.opened_at, case.asked, case.asked_at, case.taken_by, case.taken_at


def _receipt(row: Sequence[Any]) -> StoredReceipt:  # Any: columns
    return StoredReceipt(id=row[0], receiver=row[1], payload=zlib.decompress(row[2]), received_at=row[3], repeat=row[4])
