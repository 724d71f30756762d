"""What is told: bundles of messages, from the moment they are written down to their end."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from dingtalk.alert import Severity
from dingtalk.outbox.file import OutboxFile
from dingtalk.outbox.rows import NO_ROBOT, Depth, MessageState, StoredMessage, Told
from dingtalk.part import Button, Mention, Part, Shape
from dingtalk.plan import Form, Lane, Outgoing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from dingtalk.outbox.rows import Draft

_MESSAGE = """
    message.id, message.bundle, part, parts, form, receiver, group_key, lane, title, text, shape, mention, buttons, msg_uuid, state, robot,
    attempts, fallback_tries, next_attempt_at, outcome, detail, received_at, message.created_at, changed_at
"""


class Messages(OutboxFile):
    """The tables `bundle` and `message`."""

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
