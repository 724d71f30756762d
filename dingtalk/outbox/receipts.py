"""What Alertmanager told, as it came."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

from dingtalk.alert import REPEATED, Severity
from dingtalk.errors import StoreUnavailable
from dingtalk.links import group_digest
from dingtalk.outbox.handling import end_handling
from dingtalk.outbox.heard import HeardOf
from dingtalk.outbox.rows import Accepted, StoredReceipt
from dingtalk.plan import Lane, WaitingGroup
from dingtalk.told import still_firing

if TYPE_CHECKING:
    from dingtalk.alert import Notification
    from dingtalk.trace_ids import TraceIds

MAX_GROUPS = 2_000
"""More groups than a plan can tell; the rest is looked at when these are told."""
_RECEIPTS = "SELECT id, receiver, deflated, received_at, repeat, echoes FROM receipt JOIN payload ON payload.receipt = id"


class Receipts(HeardOf):
    """The tables `receipt` and `payload`, and those that every receipt changes."""

    def receive(self, notification: Notification, payload: bytes, *, replica_window: float, trace: TraceIds | None = None) -> Accepted:
        """Store a notification; the same content within `replica_window` seconds is another replica's and is not stored again.

        Args:
            notification: what it says.
            payload: as it came.
            replica_window: in seconds.
            trace: the span that received it; None where there is none.

        Raises:
            StoreUnavailable: it is not stored; too much waits, or the file cannot be written.
        """
        now = self._clock.unix()
        key = notification.content_key
        deflated = zlib.compress(payload, 1)
        digest = group_digest(notification.receiver, notification.group_key)
        firing = still_firing(notification)
        with self._writing() as connection:
            if notification.reason != REPEATED:
                known = connection.execute(
                    "SELECT id FROM receipt WHERE content_key = ? AND received_at BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
                    (key, now - replica_window, now + replica_window),
                ).fetchone()
                if known is not None:
                    return Accepted(id=known[0], duplicate=True)
            critical = notification.severity is Severity.CRITICAL
            # What is critical has a little more room: it shall not be refused for what waits for the next month's quota.
            if self._waiting >= self._limit + (self._limit // 10 if critical else 0):
                raise StoreUnavailable(f"{self._waiting} notifications wait already (max_queue)")
            before = connection.execute(
                "SELECT repeat, content_key FROM receipt WHERE receiver = ? AND group_key = ? ORDER BY id DESC LIMIT 1",
                (notification.receiver, notification.group_key),
            ).fetchone()
            # An older Alertmanager gives no reason; then the same content as before is a repetition.
            repeats = notification.reason == REPEATED or (not notification.reason and before is not None and before[1] == key)
            repeat = 1 + (before[0] if before is not None else 0) if repeats else 0
            echoes = self._echoes(connection, notification)
            # Nothing but the end of what was told late, with its end: it is told already.
            waits = not echoes or self._brings_news(connection, notification, echoes)
            cursor = connection.execute(
                "INSERT INTO receipt (received_at, receiver, group_key, content_key, severity, repeat, alerts, state, told_at, echoes,"
                " digest, firing, trace_id, span_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    now,
                    notification.receiver,
                    notification.group_key,
                    key,
                    notification.severity.value,
                    repeat,
                    len(notification.alerts) - len(echoes),
                    "waiting" if waits else "told",
                    None if waits else now,
                    json.dumps(sorted(echoes)),
                    digest,
                    firing[0].severity.value if firing else "",
                    trace.trace_id if trace is not None else "",
                    trace.span_id if trace is not None else "",
                ),
            )
            if not notification.truncated:
                # Of what Alertmanager left out nobody knows whether it is over.
                end_handling(connection, digest, firing, now)
            self._remember(connection, notification, now)
            stored = cursor.lastrowid
            assert stored is not None
            connection.execute("INSERT INTO payload (receipt, deflated) VALUES (?, ?)", (stored, deflated))
        self._waiting += int(waits)
        return Accepted(id=stored)

    def check(self) -> None:
        """Write something small.

        Raises:
            StoreUnavailable: nothing can be stored now.
        """
        with self._writing() as connection:
            connection.execute("UPDATE probe SET at = ?", (self._clock.unix(),))
        if self._waiting >= self._limit:
            raise StoreUnavailable(f"{self._waiting} notifications wait already (max_queue)")

    def waiting_groups(self, *, recent: float, limit: int = MAX_GROUPS) -> list[WaitingGroup]:
        """What waits, by receiver and group: of each receiver so many groups, critical ones first, then those that waited longest.

        Args:
            recent: seconds back in which the bundles of a group are counted.
            limit: groups of each receiver.
        """
        since = self._clock.unix() - recent
        with self._read() as connection:
            rows = connection.execute(
                """
                WITH waiting AS (
                    SELECT receiver, group_key, min(received_at) AS oldest, count(*), sum(alerts), sum(repeat > 0),
                        max(severity = 'critical') AS critical
                    FROM receipt WHERE state = 'waiting' GROUP BY receiver, group_key
                ), numbered AS (
                    SELECT *, row_number() OVER (PARTITION BY receiver ORDER BY critical DESC, oldest) AS number FROM waiting
                )
                SELECT numbered.*,
                    (SELECT max(1 + (message.lane = 'critical')) FROM receipt AS sent JOIN message USING (bundle)
                        WHERE sent.state = 'planned' AND sent.receiver = numbered.receiver AND sent.group_key = numbered.group_key),
                    (SELECT count(DISTINCT bundle) FROM receipt AS sent WHERE sent.planned_at > ?
                        AND sent.receiver = numbered.receiver AND sent.group_key = numbered.group_key)
                FROM numbered WHERE number <= ?
                """,
                (since, limit),
            ).fetchall()
        return [
            WaitingGroup(
                receiver=receiver,
                group_key=group_key,
                oldest=oldest,
                receipts=receipts,
                alerts=alerts,
                repeats=repeats,
                lane=Lane.CRITICAL if critical else Lane.NORMAL,
                busy=(busy or 0) >= (2 if critical else 1),
                recent=bundles,
            )
            for receiver, group_key, oldest, receipts, alerts, repeats, critical, _, busy, bundles in rows
        ]

    def waiting_receipts(self, receiver: str, group_key: str) -> list[StoredReceipt]:
        """What waits of one group, in the order it came."""
        return self._receipts("state = 'waiting' AND receiver = ? AND group_key = ?", (receiver, group_key))

    def receipts_of(self, bundle: int) -> list[StoredReceipt]:
        """What a bundle tells, in the order it came."""
        return self._receipts("bundle = ?", (bundle,))

    def _receipts(self, condition: str, values: tuple[object, ...]) -> list[StoredReceipt]:
        with self._read() as connection:
            rows = connection.execute(
                f"{_RECEIPTS} WHERE {condition} ORDER BY id",
                values,
            ).fetchall()
        return [
            StoredReceipt(
                id=row_id,
                receiver=receiver,
                payload=zlib.decompress(payload),
                received_at=received_at,
                repeat=repeat,
                echoes=frozenset(json.loads(echoes)),
            )
            for row_id, receiver, payload, received_at, repeat, echoes in rows
        ]

    def leave_unsaid(self, receiver: str, group_key: str) -> int:
        """Repeats of a group that are given up to save the quota; they stay in the store."""
        with self._writing() as connection:
            count = connection.execute(
                "UPDATE receipt SET state = 'unsaid' WHERE state = 'waiting' AND receiver = ? AND group_key = ? AND repeat > 0",
                (receiver, group_key),
            ).rowcount
        self._waiting = max(0, self._waiting - count)
        return count

    def last_received_at(self) -> float | None:
        """When the newest receipt came, in seconds since 1970."""
        with self._read() as connection:
            row = connection.execute("SELECT received_at FROM receipt ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else float(row[0])
