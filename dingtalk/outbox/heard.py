"""Which alerts were heard of, from whom ever: what reconciling compares with what fired."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from dingtalk.alert import AlertStatus
from dingtalk.missed import ENDED_AT, LATE, STARTED_AT, Episode, Heard, labels_of, moment
from dingtalk.outbox.file import OutboxFile
from dingtalk.outbox.rows import AlertTold

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from dingtalk.alert import Alert, Notification
    from dingtalk.missed import Labels

SAME_BEGINNING = 1.0
"""Seconds between the beginning that Prometheus stores and the one that it tells, at most."""


class HeardOf(OutboxFile):
    """The tables `told`, `heard`, `late` and `reconciled`."""

    def heard_since(self, since: float) -> list[Heard]:
        """The alerts that ended after a moment, or fire as far as is known; of those that fire one each, with its earliest beginning."""
        with self._read() as connection:
            told = connection.execute(
                "SELECT labels, starts_at, at, iif(status = 'firing', NULL, coalesce(ends_at, at)) AS until FROM told"
                " WHERE status = 'firing' OR coalesce(ends_at, at) >= ?",
                (since,),
            ).fetchall()
            noted = connection.execute("SELECT labels, since, at, until FROM heard WHERE until IS NULL OR until >= ?", (since,)).fetchall()
        firing: dict[str, Heard] = {}
        over: list[Heard] = []
        for labels, began, at, until in [*told, *noted]:
            one = Heard(labels=labels_of(json.loads(labels)), since=began, at=at, until=until)
            if until is not None:
                over.append(one)
            elif (known := firing.get(labels)) is None:
                firing[labels] = one
            else:
                firing[labels] = replace(known, since=min(known.since, began), at=max(known.at, at))
        return [*firing.values(), *over]

    def kept_back(self, heard: Sequence[Heard]) -> None:
        """Note alerts that Alertmanager keeps back, for the time that it does; each has an end."""
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO heard VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET at = excluded.at, until = excluded.until"
                " WHERE until IS NOT NULL",
                [(_key(dict(one.labels)), one.since, one.at, one.until) for one in heard],
            )

    def note(self, episodes: Sequence[Episode], *, at: float, posted: bool) -> None:
        """Note times that alerts fired as known; what is over ends all that was believed to fire.

        Args:
            episodes: what was missed.
            at: the present, in seconds since 1970.
            posted: whether Alertmanager was told, so that they have yet to come from there.
        """
        with self._writing() as connection:
            for one in episodes:
                labels, until = _key(dict(one.labels)), one.last if one.over else None
                connection.execute(
                    "INSERT INTO heard VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at, until = excluded.until,"
                    " posts = excluded.posts * (posts + 1)",
                    (labels, one.first, at, until, int(posted)),
                )
                if until is not None:
                    _end(connection, labels, until)

    def posted(self, *, before: float, tries: int) -> list[Episode]:
        """What Alertmanager was told before a moment, fewer times than `tries`, and has not come from there."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT labels, since, at, until FROM heard WHERE posts BETWEEN 1 AND ? AND at < ?", (tries - 1, before)
            ).fetchall()
        return [
            Episode(labels=labels_of(json.loads(labels)), first=since, last=at if until is None else until, over=until is not None)
            for labels, since, at, until in rows
        ]

    def arrived(self, labels: Sequence[Labels]) -> None:
        """What was posted of these alerts has come, or a silence keeps it back: it is not posted again."""
        with self._writing() as connection:
            _arrived(connection, [_key(dict(each)) for each in labels])

    def reconciled_until(self) -> float | None:
        """Up to when all was compared; None before the first time."""
        with self._read() as connection:
            row = connection.execute("SELECT until FROM reconciled").fetchone()
        return None if row is None else float(row[0])

    def reconciled(self, until: float) -> None:
        """Note up to when all was compared."""
        with self._writing() as connection:
            connection.execute("DELETE FROM reconciled")
            connection.execute("INSERT INTO reconciled VALUES (?)", (until,))

    def told(self) -> list[AlertTold]:
        """The last that Alertmanager told of each time an alert fired; late ones are not among them."""
        with self._read() as connection:
            rows = connection.execute("SELECT receiver, fingerprint, status, starts_at, ends_at, labels, at FROM told").fetchall()
        return [
            AlertTold(
                receiver=receiver,
                fingerprint=fingerprint,
                status=status,
                starts_at=starts_at,
                ends_at=ends_at,
                labels=json.loads(labels),
                at=at,
            )
            for receiver, fingerprint, status, starts_at, ends_at, labels, at in rows
        ]

    # Of a receipt, in its transaction.

    @staticmethod
    def _remember(connection: sqlite3.Connection, notification: Notification, now: float) -> None:
        late = [alert for alert in notification.alerts if _is_late(alert)]
        for alert in notification.alerts:
            if not _is_late(alert):
                _remember(connection, notification.receiver, alert, now)
        connection.executemany(
            "INSERT INTO late VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET over = max(over, excluded.over), at = excluded.at",
            [(notification.receiver, alert.fingerprint, _began(alert), int(ENDED_AT in alert.annotations), now) for alert in late],
        )
        _arrived(connection, [_key(dict(labels_of(alert.labels))) for alert in late])

    @staticmethod
    def _echoes(connection: sqlite3.Connection, notification: Notification) -> frozenset[str]:
        """The late alerts that say nothing new: told before, or the end of what was told late, which is not that of the alert itself."""
        found = set()
        for alert in notification.alerts:
            if not _is_late(alert):
                continue
            over = ENDED_AT in alert.annotations
            row = connection.execute(
                "SELECT over FROM late WHERE receiver = ? AND fingerprint = ? AND starts_at = ?",
                (notification.receiver, alert.fingerprint, _began(alert)),
            ).fetchone()
            if (row is not None and row[0] >= over) or (alert.status is AlertStatus.RESOLVED and not over):
                found.add(alert.fingerprint)
        return frozenset(found)

    @staticmethod
    def _brings_news(connection: sqlite3.Connection, notification: Notification, echoes: frozenset[str]) -> bool:
        """Whether any other alert is in another state than the last that was told of it."""
        for alert in notification.alerts:
            if alert.fingerprint in echoes:
                continue
            row = connection.execute(
                "SELECT status FROM told WHERE receiver = ? AND fingerprint = ? AND starts_at = ?",
                (notification.receiver, alert.fingerprint, alert.starts_at),
            ).fetchone()
            if row is None or row[0] != alert.status.value:
                return True
        return False


def _remember(connection: sqlite3.Connection, receiver: str, alert: Alert, now: float) -> None:
    labels = _key(alert.labels)
    connection.execute(
        "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?, ?, ?)",
        (receiver, alert.fingerprint, alert.status.value, alert.starts_at, alert.ends_at, labels, now),
    )
    # An alert that fires anew was over before. When, nobody said; it may have fired in between, which nobody has heard of.
    connection.execute(
        "UPDATE told SET status = 'resolved', ends_at = at WHERE receiver = ? AND fingerprint = ? AND starts_at < ? AND status = 'firing'",
        (receiver, alert.fingerprint, alert.starts_at),
    )
    connection.execute(
        "UPDATE heard SET until = at WHERE labels = ? AND until IS NULL AND since < ?", (labels, alert.starts_at - SAME_BEGINNING)
    )
    # What was told late as firing has come by itself; so it need not be posted again.
    connection.execute("UPDATE heard SET posts = 0 WHERE labels = ? AND until IS NULL AND posts > 0", (labels,))
    if alert.ends_at is not None:
        _end_noted(connection, labels, alert.ends_at)


def _end_noted(connection: sqlite3.Connection, labels: str, until: float) -> None:
    connection.execute("UPDATE heard SET until = ? WHERE labels = ? AND until IS NULL AND since <= ?", (until, labels, until))


def _end(connection: sqlite3.Connection, labels: str, until: float) -> None:
    _end_noted(connection, labels, until)
    connection.execute(
        "UPDATE told SET status = 'resolved', ends_at = ? WHERE labels = ? AND status = 'firing' AND starts_at <= ?", (until, labels, until)
    )


def _arrived(connection: sqlite3.Connection, labels: Sequence[str]) -> None:
    connection.executemany("UPDATE heard SET posts = 0 WHERE labels = ? AND posts > 0", [(each,) for each in labels])


def _is_late(alert: Alert) -> bool:
    # Anybody may have a label of that name; ours says when it began.
    return alert.labels.get(LATE) == "true" and STARTED_AT in alert.annotations


def _began(alert: Alert) -> float:
    """When the alert that was missed began; Alertmanager may have joined it with another."""
    began = moment(alert.annotations[STARTED_AT])
    return alert.starts_at if began is None else began


def _key(labels: Mapping[str, str]) -> str:
    return json.dumps(dict(labels), ensure_ascii=False, sort_keys=True)
