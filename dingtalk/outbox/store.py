"""The outbox: every change is on the disk before its method returns, or the method raises and nothing has changed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
import uuid
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from dingtalk.alert import REPEATED, Severity
from dingtalk.errors import StoreUnavailable
from dingtalk.outbox.migrations import migrate
from dingtalk.outbox.rows import (
    NO_ROBOT,
    Accepted,
    AlertTold,
    Depth,
    MessageState,
    RobotRow,
    RobotState,
    StoredMessage,
    StoredReceipt,
    Told,
)
from dingtalk.part import Button, Mention, Part, Shape
from dingtalk.plan import Form, Lane, Outgoing, WaitingGroup
from dingtalk.quota import Degradation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dingtalk.alert import Notification
    from dingtalk.boot import Boot
    from dingtalk.clock import Clock
    from dingtalk.outbox.rows import Draft

FILE = "outbox.sqlite3"
LOCK_FILE = "outbox.lock"
BUSY = 5.0
"""Seconds a change waits for another one."""
SENDS_KEPT = 62 * 86_400.0
"""Longer than the month that is counted."""
_PURGED_AT_ONCE = 1_000
_OLD_RECEIPTS = """
    DELETE FROM receipt WHERE id IN (SELECT id FROM receipt WHERE state IN ('told', 'unsaid') AND received_at < ? LIMIT ?)
"""
_OLD_MESSAGES = """
    DELETE FROM message WHERE id IN (SELECT id FROM message WHERE state IN ('delivered', 'merged') AND changed_at < ? LIMIT ?)
"""
_OLD_TOLD = """
    DELETE FROM told WHERE (receiver, fingerprint) IN (
        SELECT receiver, fingerprint FROM told WHERE status = 'resolved' AND at < ? LIMIT ?)
"""
_OLD_SENDS = "DELETE FROM send WHERE id IN (SELECT id FROM send WHERE at < ? AND outcome IS NOT NULL LIMIT ?)"
_MESSAGE = """
    message.id, message.bundle, part, parts, form, receiver, group_key, lane, title, text, shape, mention, buttons, msg_uuid, state, robot,
    attempts, fallback_tries, next_attempt_at, outcome, detail, received_at, message.created_at, changed_at
"""


class Outbox:
    """The store of one notifier; made by `open`. Every method may be called by any thread.

    One connection writes, one at a time; another reads, so that a search through a long queue does not keep a receipt waiting.
    """

    def __init__(
        self, *, connection: sqlite3.Connection, reader: sqlite3.Connection, lock: int, clock: Clock, boot: Boot, limit: int
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._lock: int | None = lock
        self._clock = clock
        self._boot = boot
        self._limit = limit
        self._mutex = threading.Lock()
        self._reading = threading.Lock()
        self._waiting = 0
        self.writable = True

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
            lock = _lock(folder / LOCK_FILE)
        except OSError as error:
            raise StoreUnavailable(f"the data folder {folder} cannot be used: {error.strerror}") from error
        connections: list[sqlite3.Connection] = []
        try:
            for _ in range(2):
                connections.append(_connect(folder / FILE))
                if len(connections) == 1:
                    migrate(connections[0])
            outbox = cls(connection=connections[0], reader=connections[1], lock=lock, clock=clock, boot=boot, limit=max_queue)
            outbox._recover()
        except (sqlite3.Error, StoreUnavailable) as error:
            for connection in connections:
                connection.close()
            os.close(lock)
            raise StoreUnavailable(f"the outbox {folder / FILE} cannot be opened: {error}") from error
        return outbox

    def close(self) -> None:
        """Close the file. Safe to call again."""
        with self._mutex, self._reading:
            lock, self._lock = self._lock, None
            if lock is not None:
                self._reader.close()
                self._connection.close()
                os.close(lock)

    # Receiving.

    def receive(self, notification: Notification, payload: bytes, *, replica_window: float) -> Accepted:
        """Store a notification; the same content within `replica_window` seconds is another replica's and is not stored again.

        Raises:
            StoreUnavailable: it is not stored; too much waits, or the file cannot be written.
        """
        now = self._clock.unix()
        key = notification.content_key
        repeats = notification.reason == REPEATED
        with self._writing() as connection:
            if not repeats:
                known = connection.execute(
                    "SELECT id FROM receipt WHERE content_key = ? AND received_at BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
                    (key, now - replica_window, now + replica_window),
                ).fetchone()
                if known is not None:
                    return Accepted(id=known[0], duplicate=True)
            if self._waiting >= self._limit:
                raise StoreUnavailable(f"{self._waiting} notifications wait already (max_queue)")
            repeat = 0
            if repeats:
                before = connection.execute(
                    "SELECT repeat FROM receipt WHERE receiver = ? AND group_key = ? ORDER BY id DESC LIMIT 1",
                    (notification.receiver, notification.group_key),
                ).fetchone()
                repeat = 1 + (before[0] if before is not None else 0)
            cursor = connection.execute(
                "INSERT INTO receipt (received_at, receiver, group_key, content_key, severity, repeat, alerts, payload, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting')",
                (
                    now,
                    notification.receiver,
                    notification.group_key,
                    key,
                    notification.severity.value,
                    repeat,
                    len(notification.alerts),
                    zlib.compress(payload, 1),
                ),
            )
            self._remember(connection, notification, now)
            stored = cursor.lastrowid
            assert stored is not None
        self._waiting += 1
        return Accepted(id=stored)

    @staticmethod
    def _remember(connection: sqlite3.Connection, notification: Notification, now: float) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    notification.receiver,
                    alert.fingerprint,
                    alert.status.value,
                    alert.starts_at,
                    alert.ends_at,
                    json.dumps(dict(alert.labels), ensure_ascii=False),
                    now,
                )
                for alert in notification.alerts
            ],
        )

    def check(self) -> None:
        """Write something small.

        Raises:
            StoreUnavailable: nothing can be stored now.
        """
        with self._writing() as connection:
            connection.execute("UPDATE probe SET at = ?", (self._clock.unix(),))
        if self._waiting >= self._limit:
            raise StoreUnavailable(f"{self._waiting} notifications wait already (max_queue)")

    # Planning.

    def waiting_groups(self, *, recent: float) -> list[WaitingGroup]:
        """What waits, by receiver and group; `recent` seconds back the bundles of a group are counted."""
        since = self._clock.unix() - recent
        with self._read() as connection:
            rows = connection.execute(
                """
                SELECT receiver, group_key, min(received_at), count(*), sum(alerts), sum(repeat > 0), max(severity = 'critical'),
                    EXISTS (SELECT 1 FROM receipt AS sent WHERE sent.state = 'planned'
                        AND sent.receiver = receipt.receiver AND sent.group_key = receipt.group_key),
                    (SELECT count(DISTINCT bundle) FROM receipt AS sent WHERE sent.planned_at > ?
                        AND sent.receiver = receipt.receiver AND sent.group_key = receipt.group_key)
                FROM receipt WHERE state = 'waiting' GROUP BY receiver, group_key
                """,
                (since,),
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
                busy=bool(busy),
                recent=bundles,
            )
            for receiver, group_key, oldest, receipts, alerts, repeats, critical, busy, bundles in rows
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
                f"SELECT id, receiver, payload, received_at, repeat FROM receipt WHERE {condition} ORDER BY id",  # noqa: S608 -- ours
                values,
            ).fetchall()
        return [
            StoredReceipt(id=row_id, receiver=receiver, payload=zlib.decompress(payload), received_at=received_at, repeat=repeat)
            for row_id, receiver, payload, received_at, repeat in rows
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

    def put(self, draft: Draft) -> int:
        """Store the messages of a bundle; what they tell no longer waits. The id of the bundle."""
        with self._writing() as connection:
            bundle = self._put(connection, draft)
        self._recount()
        return bundle

    def replace(self, bundle: int, draft: Draft) -> int:
        """Put another form of a bundle in the place of what of it is not told yet."""
        with self._writing() as connection:
            _end(connection, bundle, MessageState.MERGED, self._clock.unix(), states=("waiting", "sending"))
            new = self._put(connection, draft)
        self._recount()
        return new

    def _put(self, connection: sqlite3.Connection, draft: Draft) -> int:
        now = self._clock.unix()
        cursor = connection.execute("INSERT INTO bundle (form, created_at) VALUES (?, ?)", (draft.form.value, now))
        bundle = cursor.lastrowid
        assert bundle is not None
        connection.executemany(
            "INSERT INTO message (bundle, part, parts, receiver, group_key, lane, title, text, shape, mention, buttons, msg_uuid, state,"
            " robot, pinned, attempts, fallback_tries, next_attempt_at, outcome, detail, received_at, created_at, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', '', '', 0, 0, 0, '', '', ?, ?, ?)",
            [
                (
                    bundle,
                    number,
                    len(draft.parts),
                    draft.receiver,
                    draft.group_key,
                    draft.lane.value,
                    part.title,
                    part.text,
                    part.shape.value,
                    json.dumps([part.mention.mobiles, part.mention.user_ids, part.mention.everyone]),
                    json.dumps([[button.title, button.url] for button in part.buttons], ensure_ascii=False),
                    uuid.uuid4().hex,
                    draft.received_at,
                    now,
                    now,
                )
                for number, part in enumerate(draft.parts, start=1)
            ],
        )
        connection.executemany(
            "UPDATE receipt SET state = 'planned', bundle = ?, planned_at = ? WHERE id = ?",
            [(bundle, now, receipt) for receipt in draft.receipts],
        )
        return bundle

    def recall(self, bundle: int) -> bool:
        """Take a bundle back when nothing of it is told or may be: its receipts wait again. Whether it was."""
        with self._writing() as connection:
            begun = connection.execute(
                "SELECT 1 FROM message WHERE bundle = ? AND (state IN ('sending', 'delivered') OR pinned != '') LIMIT 1",
                (bundle,),
            ).fetchone()
            if begun is None:
                _end(connection, bundle, MessageState.MERGED, self._clock.unix())
                connection.execute("UPDATE receipt SET state = 'waiting', bundle = NULL WHERE bundle = ?", (bundle,))
        self._recount()
        return begun is None

    def outgoing(self, *, limit: int = 1_000) -> list[Outgoing]:
        """The next part of each bundle under way, but not of those whose part is being sent."""
        with self._read() as connection:
            rows = connection.execute(
                """
                SELECT id, bundle, receiver, group_key, lane, received_at, next_attempt_at, pinned, attempts, fallback_tries,
                    (SELECT count(*) FROM message AS other WHERE other.bundle = message.bundle AND other.state IN ('waiting', 'sending')),
                    NOT EXISTS (SELECT 1 FROM message AS other WHERE other.bundle = message.bundle
                        AND (other.state IN ('sending', 'delivered') OR other.pinned != '')),
                    EXISTS (SELECT 1 FROM receipt JOIN receipt AS later USING (receiver, group_key)
                        WHERE receipt.bundle = message.bundle AND later.state = 'waiting')
                FROM message
                WHERE state = 'waiting' AND NOT EXISTS (SELECT 1 FROM message AS earlier WHERE earlier.bundle = message.bundle
                    AND earlier.part < message.part AND earlier.state IN ('waiting', 'sending'))
                ORDER BY lane != 'critical', bundle LIMIT ?
                """,
                (limit,),
            ).fetchall()
        return [
            Outgoing(
                id=row[0],
                bundle=row[1],
                receiver=row[2],
                key=row[3],
                lane=Lane(row[4]),
                received_at=row[5],
                next_attempt_at=row[6],
                pinned=row[7],
                attempts=row[8],
                fallback_tries=row[9],
                left=row[10],
                recallable=bool(row[11]),
                followed=bool(row[12]),
            )
            for row in rows
        ]

    # Sending.

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

    def bury(self, message: int, *, outcome: str, detail: str) -> None:
        """A message becomes a dead letter: nobody could be told."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE message SET state = 'dead', outcome = ?, detail = ?, changed_at = ? WHERE id = ?",
                (outcome, detail, self._clock.unix(), message),
            )
            self._closed(connection, message)

    def _closed(self, connection: sqlite3.Connection, message: int) -> list[Told]:
        """What the end of a message ends; the receipts of a bundle with a dead letter are dead too."""
        (bundle,) = connection.execute("SELECT bundle FROM message WHERE id = ?", (message,)).fetchone()
        states = {state for (state,) in connection.execute("SELECT DISTINCT state FROM message WHERE bundle = ?", (bundle,))}
        if states & {"waiting", "sending"}:
            return []
        if "dead" in states:
            connection.execute("UPDATE receipt SET state = 'dead' WHERE bundle = ?", (bundle,))
            return []
        rows = connection.execute("SELECT severity, received_at FROM receipt WHERE bundle = ? AND state = 'planned'", (bundle,)).fetchall()
        connection.execute("UPDATE receipt SET state = 'told', told_at = ? WHERE bundle = ?", (self._clock.unix(), bundle))
        return [Told(severity=Severity(severity), received_at=received_at) for severity, received_at in rows]

    def resend(self, message: int) -> bool:
        """Let a dead letter wait again; False when there is no such dead letter."""
        now = self._clock.unix()
        with self._writing() as connection:
            changed = connection.execute(
                "UPDATE message SET state = 'waiting', attempts = 0, fallback_tries = 0, next_attempt_at = 0, pinned = '', received_at = ?,"
                " changed_at = ? WHERE id = ? AND state = 'dead'",
                (now, now, message),
            ).rowcount
            connection.execute(
                "UPDATE receipt SET state = 'planned' WHERE state = 'dead' AND bundle = (SELECT bundle FROM message WHERE id = ?)",
                (message,),
            )
        return bool(changed)

    def revive(self, receivers: Sequence[str]) -> int:
        """Let what no robot was there for wait again, now that one may be; the number of receipts."""
        with self._read() as connection:
            dead = connection.execute(
                "SELECT DISTINCT bundle, receiver FROM message WHERE state = 'dead' AND outcome = ?", (NO_ROBOT,)
            ).fetchall()
        bundles = [bundle for bundle, receiver in dead if receiver in receivers]
        if not bundles:
            return 0
        count = 0
        with self._writing() as connection:
            for bundle in bundles:
                _end(connection, bundle, MessageState.MERGED, self._clock.unix(), states=("dead",))
                count += connection.execute(
                    "UPDATE receipt SET state = 'waiting', bundle = NULL WHERE bundle = ? AND state = 'dead'",
                    (bundle,),
                ).rowcount
        self._recount()
        return count

    # What is known of robots and organisations.

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

    def robots(self) -> dict[str, RobotRow]:
        """What is known of each robot that something is known of."""
        with self._read() as connection:
            rows = connection.execute("SELECT name, state, until, detail FROM robot").fetchall()
        return {name: RobotRow(state=RobotState(state), until=until, detail=detail) for name, state, until, detail in rows}

    def set_robot(self, name: str, row: RobotRow) -> None:
        """Remember what a robot is."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO robot VALUES (?, ?, ?, ?)", (name, row.state.value, row.until, row.detail))

    def steps(self) -> dict[str, Degradation]:
        """The step of each organisation that has had one."""
        with self._read() as connection:
            return {name: Degradation(step) for name, step in connection.execute("SELECT name, step FROM organisation")}

    def set_step(self, organisation: str, step: Degradation) -> None:
        """Remember the step of an organisation."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO organisation VALUES (?, ?)", (organisation, int(step)))

    # Looking.

    def message(self, message: int) -> StoredMessage | None:
        """One message."""
        with self._read() as connection:
            row = connection.execute(
                f"SELECT {_MESSAGE} FROM message JOIN bundle ON bundle.id = bundle WHERE message.id = ?",  # noqa: S608 -- ours
                (message,),
            ).fetchone()
        return None if row is None else _stored(row)

    def messages(self, *, state: MessageState | None = None, before: int | None = None, limit: int = 100) -> list[StoredMessage]:
        """Messages, newest first; `before` is an id to go on from."""
        conditions = ["1"] + (["state = ?"] if state else []) + (["message.id < ?"] if before is not None else [])
        values: list[object] = [*([state.value] if state else []), *([before] if before is not None else []), limit]
        with self._read() as connection:
            rows = connection.execute(
                f"SELECT {_MESSAGE} FROM message JOIN bundle ON bundle.id = bundle"  # noqa: S608 -- ours
                f" WHERE {' AND '.join(conditions)} ORDER BY message.id DESC LIMIT ?",
                values,
            ).fetchall()
        return [_stored(row) for row in rows]

    def depth(self) -> Depth:
        """How much waits."""
        with self._read() as connection:
            receipts = connection.execute(
                "SELECT severity = 'critical', count(*), min(received_at) FROM receipt WHERE state = 'waiting' GROUP BY 1",
            ).fetchall()
            messages = connection.execute(
                "SELECT lane = 'critical', count(*), min(received_at) FROM message WHERE state IN ('waiting', 'sending') GROUP BY 1",
            ).fetchall()
            (dead,) = connection.execute("SELECT count(*) FROM message WHERE state = 'dead'").fetchone()
        rows = [*receipts, *messages]
        return Depth(
            critical=sum(count for critical, count, _ in rows if critical),
            normal=sum(count for critical, count, _ in rows if not critical),
            oldest=min((oldest for _, _, oldest in rows), default=None),
            dead=dead,
        )

    def told(self) -> list[AlertTold]:
        """The last that Alertmanager told of each alert."""
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

    def last_received_at(self) -> float | None:
        """When the newest receipt came, in seconds since 1970."""
        with self._read() as connection:
            row = connection.execute("SELECT received_at FROM receipt ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else float(row[0])

    # Keeping.

    def purge(self, *, keep: float) -> int:
        """Delete a little of what was told more than `keep` seconds ago; the number of rows. Dead letters stay."""
        now = self._clock.unix()
        with self._writing() as connection:
            return sum(
                connection.execute(statement, (before, _PURGED_AT_ONCE)).rowcount
                for statement, before in (
                    (_OLD_RECEIPTS, now - keep),
                    (_OLD_MESSAGES, now - keep),
                    (_OLD_TOLD, now - keep),
                    (_OLD_SENDS, now - SENDS_KEPT),
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

    def _recount(self) -> None:
        with self._read() as connection:
            (self._waiting,) = connection.execute("SELECT count(*) FROM receipt WHERE state = 'waiting'").fetchone()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if not self._mutex.acquire(timeout=BUSY):
            raise StoreUnavailable("the outbox is busy")
        try:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise
            self.writable = True
        except sqlite3.Error as error:
            self.writable = False
            raise StoreUnavailable(f"the outbox cannot be written: {error}") from error
        finally:
            self._mutex.release()

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        if not self._reading.acquire(timeout=BUSY):
            raise StoreUnavailable("the outbox is busy")
        try:
            yield self._reader
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the outbox cannot be read: {error}") from error
        finally:
            self._reading.release()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk, not only in the kernel, before the answer says so.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreUnavailable(f"another notifier uses {path.parent}; stop it, or give this one another data_dir") from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _end(connection: sqlite3.Connection, bundle: int, state: MessageState, now: float, states: Sequence[str] = ("waiting",)) -> None:
    marks = ", ".join("?" for _ in states)
    connection.execute(
        f"UPDATE message SET state = ?, changed_at = ? WHERE bundle = ? AND state IN ({marks})",  # noqa: S608 -- question marks
        (state.value, now, bundle, *states),
    )


def _stored(row: Sequence[Any]) -> StoredMessage:  # Any: columns
    mobiles, user_ids, everyone = json.loads(row[11])
    return StoredMessage(
        id=row[0],
        bundle=row[1],
        number=row[2],
        total=row[3],
        form=Form(row[4]),
        receiver=row[5],
        group_key=row[6],
        lane=Lane(row[7]),
        part=Part(
            title=row[8],
            text=row[9],
            shape=Shape(row[10]),
            mention=Mention(mobiles=tuple(mobiles), user_ids=tuple(user_ids), everyone=everyone),
            buttons=tuple(Button(title=title, url=url) for title, url in json.loads(row[12])),
        ),
        msg_uuid=row[13],
        state=MessageState(row[14]),
        robot=row[15],
        attempts=row[16],
        fallback_tries=row[17],
        next_attempt_at=row[18],
        outcome=row[19],
        detail=row[20],
        received_at=row[21],
        created_at=row[22],
        changed_at=row[23],
    )
