"""The tables of the outbox, as a list of steps; each file remembers the steps it has been through.

A step never changes once it has been released: a change is a step more, at the end of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.errors import StoreUnavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    Migration = Callable[[sqlite3.Connection], None]


def m001_receipts(connection: sqlite3.Connection) -> None:
    """What Alertmanager posted, as it came, and what became of it."""
    connection.execute(
        """
        CREATE TABLE receipt (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            received_at REAL NOT NULL,   -- seconds since 1970, here and everywhere else
            receiver TEXT NOT NULL,
            group_key TEXT NOT NULL,
            content_key TEXT NOT NULL,   -- equal for the same content from another replica
            severity TEXT NOT NULL,
            repeat INTEGER NOT NULL,     -- 0: news; n: the nth time that Alertmanager repeats it
            alerts INTEGER NOT NULL,
            payload BLOB NOT NULL,       -- deflated
            state TEXT NOT NULL,         -- waiting, planned, told, unsaid, dead
            bundle INTEGER,
            planned_at REAL,
            told_at REAL
        )
        """,
    )
    connection.execute(
        "CREATE INDEX receipt_waiting ON receipt (receiver, group_key, received_at, severity, repeat, alerts) WHERE state = 'waiting'",
    )
    connection.execute("CREATE INDEX receipt_planned ON receipt (receiver, group_key) WHERE state = 'planned'")
    connection.execute("CREATE INDEX receipt_by_group ON receipt (receiver, group_key, planned_at, bundle)")
    connection.execute("CREATE INDEX receipt_by_content ON receipt (content_key, received_at)")
    connection.execute("CREATE INDEX receipt_by_bundle ON receipt (bundle) WHERE bundle IS NOT NULL")


def m002_messages(connection: sqlite3.Connection) -> None:
    """What is told: the exact text and its msgUuid, before the first attempt."""
    connection.execute("CREATE TABLE bundle (id INTEGER PRIMARY KEY AUTOINCREMENT, form TEXT NOT NULL, created_at REAL NOT NULL)")
    connection.execute(
        """
        CREATE TABLE message (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            bundle INTEGER NOT NULL,
            part INTEGER NOT NULL,
            parts INTEGER NOT NULL,
            receiver TEXT NOT NULL,
            group_key TEXT NOT NULL,     -- of its first group
            lane TEXT NOT NULL,
            title TEXT NOT NULL,
            text TEXT NOT NULL,
            shape TEXT NOT NULL,
            mention TEXT NOT NULL,       -- JSON
            buttons TEXT NOT NULL,       -- JSON
            msg_uuid TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL,         -- waiting, sending, delivered, merged, dead
            robot TEXT NOT NULL,         -- of the last attempt
            pinned TEXT NOT NULL,        -- the robot that may have sent it already
            attempts INTEGER NOT NULL,
            fallback_tries INTEGER NOT NULL,
            next_attempt_at REAL NOT NULL,
            outcome TEXT NOT NULL,       -- of the last attempt
            detail TEXT NOT NULL,
            received_at REAL NOT NULL,   -- of its oldest receipt
            created_at REAL NOT NULL,
            changed_at REAL NOT NULL
        )
        """,
    )
    connection.execute("CREATE INDEX message_open ON message (bundle, part) WHERE state IN ('waiting', 'sending')")
    connection.execute("CREATE INDEX message_by_state ON message (state, id)")
    connection.execute("CREATE INDEX message_by_bundle ON message (bundle, part)")


def m003_sends(connection: sqlite3.Connection) -> None:
    """Each attempt, written before it is made: what the minute and the month are counted by."""
    connection.execute(
        """
        CREATE TABLE send (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            message INTEGER NOT NULL,
            robot TEXT NOT NULL,
            organisation TEXT NOT NULL,
            at REAL NOT NULL,
            boot TEXT NOT NULL,          -- run of the machine that `monotonic` belongs to
            monotonic REAL NOT NULL,     -- when it ended; while it is under way, when it began
            outcome TEXT,                -- NULL while it is under way, or was when the process died
            counted INTEGER NOT NULL     -- whether it uses the monthly quota
        )
        """,
    )
    connection.execute("CREATE INDEX send_by_month ON send (organisation, at) WHERE counted = 1")
    connection.execute("CREATE INDEX send_under_way ON send (robot) WHERE outcome IS NULL")
    connection.execute("CREATE INDEX send_by_robot ON send (robot, id)")


def m004_states(connection: sqlite3.Connection) -> None:
    """What is known of robots, organisations and alerts."""
    connection.execute("CREATE TABLE robot (name TEXT PRIMARY KEY, state TEXT NOT NULL, until REAL NOT NULL, detail TEXT NOT NULL)")
    connection.execute("CREATE TABLE organisation (name TEXT PRIMARY KEY, step INTEGER NOT NULL)")
    connection.execute(
        """
        CREATE TABLE told (              -- the last that Alertmanager told of each time an alert fired
            receiver TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            status TEXT NOT NULL,
            starts_at REAL NOT NULL,
            ends_at REAL,
            labels TEXT NOT NULL,        -- JSON, sorted
            at REAL NOT NULL,
            PRIMARY KEY (receiver, fingerprint, starts_at)
        ) WITHOUT ROWID
        """,
    )
    connection.execute("CREATE TABLE probe (at REAL NOT NULL)")
    connection.execute("INSERT INTO probe VALUES (0)")


def m005_handling(connection: sqlite3.Connection) -> None:
    """Groups by the digest that links and commands name them with, who has taken each, and which links were used."""
    connection.execute("ALTER TABLE receipt ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
    # The severity of its most urgent alert that fires; empty when all of it is over.
    connection.execute("ALTER TABLE receipt ADD COLUMN firing TEXT NOT NULL DEFAULT ''")
    connection.execute("CREATE INDEX receipt_by_digest ON receipt (digest, id)")
    connection.execute(
        """
        CREATE TABLE handling (          -- a group that fires: who was asked, and who has taken it
            digest TEXT PRIMARY KEY,
            receiver TEXT NOT NULL,
            group_key TEXT NOT NULL,
            opened_at REAL NOT NULL,
            asked INTEGER NOT NULL,
            asked_at REAL NOT NULL,
            taken_by TEXT,
            taken_at REAL
        ) WITHOUT ROWID
        """,
    )
    connection.execute("CREATE INDEX handling_open ON handling (opened_at) WHERE taken_by IS NULL")
    connection.execute(
        "CREATE TABLE used_link (hash TEXT PRIMARY KEY, who TEXT NOT NULL, at REAL NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID",
    )
    connection.execute("CREATE INDEX used_link_by_expiry ON used_link (expires_at)")


def m006_traces(connection: sqlite3.Connection) -> None:
    """The span of each receipt, so that what becomes of it joins its trace; empty where there was none."""
    connection.execute("ALTER TABLE receipt ADD COLUMN trace_id TEXT NOT NULL DEFAULT ''")
    connection.execute("ALTER TABLE receipt ADD COLUMN span_id TEXT NOT NULL DEFAULT ''")
    connection.execute("CREATE INDEX send_by_message ON send (message, id)")


def m007_watch(connection: sqlite3.Connection) -> None:
    """The boxes that are watched, the heartbeats that cannot count again, and the maintenance of this box."""
    connection.execute(
        """
        CREATE TABLE box (
            name TEXT PRIMARY KEY,
            last_unix REAL,              -- of its last heartbeat
            silent INTEGER NOT NULL,     -- whether that was said
            quiet_until REAL,
            quiet_from REAL
        ) WITHOUT ROWID
        """,
    )
    connection.execute(
        "CREATE TABLE heartbeat (box TEXT NOT NULL, nonce TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (box, nonce)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX heartbeat_by_time ON heartbeat (at)")
    connection.execute(
        """
        CREATE TABLE maintenance (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            starts_at REAL NOT NULL,
            ends_at REAL NOT NULL,
            who TEXT NOT NULL,
            reason TEXT NOT NULL,
            said INTEGER NOT NULL        -- whether its beginning was
        )
        """,
    )


def m008_heard(connection: sqlite3.Connection) -> None:
    """What reconciling knows beyond `told`, and which alerts were told late."""
    connection.execute("CREATE INDEX told_firing ON told (labels, starts_at) WHERE status = 'firing'")
    connection.execute(
        """
        CREATE TABLE heard (             -- alerts that were kept back, told late, or over before there was a notifier
            labels TEXT NOT NULL,        -- JSON, sorted, without `late`
            since REAL NOT NULL,
            at REAL NOT NULL,
            until REAL,                  -- NULL while it fires
            posts INTEGER NOT NULL,      -- how often it was posted to Alertmanager without having come from there
            PRIMARY KEY (labels, since)
        ) WITHOUT ROWID
        """,
    )
    connection.execute("CREATE INDEX heard_posted ON heard (at) WHERE posts > 0")
    connection.execute(
        """
        CREATE TABLE late (              -- alerts marked `late` that came from Alertmanager
            receiver TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            starts_at REAL NOT NULL,     -- when the alert that was missed began
            over INTEGER NOT NULL,       -- whether its end came too
            at REAL NOT NULL,
            PRIMARY KEY (receiver, fingerprint, starts_at)
        ) WITHOUT ROWID
        """,
    )
    connection.execute("CREATE TABLE reconciled (until REAL NOT NULL)")
    # JSON: fingerprints of its late alerts that an earlier receipt brought already.
    connection.execute("ALTER TABLE receipt ADD COLUMN echoes TEXT NOT NULL DEFAULT '[]'")


def m009_payloads(connection: sqlite3.Connection) -> None:
    """What Alertmanager posted in a table of its own, so that a receipt whose state changes is not written anew with all of it."""
    connection.execute("CREATE TABLE payload (receipt INTEGER PRIMARY KEY, deflated BLOB NOT NULL)")
    connection.execute("INSERT INTO payload (receipt, deflated) SELECT id, payload FROM receipt")
    connection.execute("ALTER TABLE receipt DROP COLUMN payload")
    connection.execute("CREATE TRIGGER payload_goes AFTER DELETE ON receipt BEGIN DELETE FROM payload WHERE receipt = old.id; END")


def m010_links(connection: sqlite3.Connection) -> None:
    """Links whose silence is not known to be there: those may be used again."""
    connection.execute("ALTER TABLE used_link ADD COLUMN done INTEGER NOT NULL DEFAULT 1")


MIGRATIONS: tuple[Migration, ...] = (
    m001_receipts,
    m002_messages,
    m003_sends,
    m004_states,
    m005_handling,
    m006_traces,
    m007_watch,
    m008_heard,
    m009_payloads,
    m010_links,
)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring an outbox, or an empty database, to this version; all steps or none.

    Raises:
        StoreUnavailable: it has been through a step that this version does not know.
        sqlite3.Error: it cannot be written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY) WITHOUT ROWID")
        done = _known(connection, migrations)
        for step in migrations:
            if step.__name__ not in done:
                step(connection)
                connection.execute("INSERT INTO migration VALUES (?)", (step.__name__,))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _known(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> set[str]:
    done = {str(name) for (name,) in connection.execute("SELECT name FROM migration")}
    unknown = done - {step.__name__ for step in migrations}
    if unknown:
        raise StoreUnavailable(f"the outbox was written by a newer version (it knows {', '.join(sorted(unknown))}); use that version")
    return done
