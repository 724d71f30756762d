"""The tables of the embedded store, as a list of steps; each store remembers the steps it has been through.

A step never changes once it has been released: a change is a step more, at the end of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import StartupError, StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    Migration = Callable[[sqlite3.Connection], None]


def m001_inferences(connection: sqlite3.Connection) -> None:
    """One row an inference; rows.py says what stands in the columns."""
    connection.execute("CREATE TABLE name (id INTEGER PRIMARY KEY, text NOT NULL UNIQUE)")
    connection.execute(
        """
        CREATE TABLE inference (
            id INTEGER PRIMARY KEY,
            call NOT NULL,             -- the request id without the index of a pair: 16 bytes of a UUID, or text
            item INTEGER,              -- index of the pair in a batch call
            started INTEGER NOT NULL,  -- nanoseconds since 1970
            duration REAL NOT NULL,    -- seconds
            outcome INTEGER NOT NULL,  -- 0 success, 1 invalid, 2 overloaded, 3 timeout, 4 cancelled, 5 error
            error_type TEXT,
            span NOT NULL,
            parent,
            trace,                     -- NULL when it follows from the request id
            function INTEGER NOT NULL, -- this and the next three names: rows of the table name
            instance INTEGER NOT NULL,
            length1 INTEGER,
            length2 INTEGER,
            hash1,
            hash2,
            truncated INTEGER,
            queue_depth INTEGER,
            batch,
            batch_size INTEGER,
            model_name INTEGER,
            model_version INTEGER,
            label,                     -- 0 not_match, 1 partial_match, 2 exact_match
            probabilities BLOB,        -- not, partial, exact, and the similarity when it does not follow from them
            output_length INTEGER,
            stages BLOB,
            exception BLOB,
            gpu BLOB
        )
        """,
    )
    connection.execute("CREATE INDEX inference_by_call ON inference (call, item)")
    # With what searches filter by, so that a search for something rare reads the index alone.
    connection.execute("CREATE INDEX inference_by_start ON inference (started, outcome, duration, label)")
    connection.execute("CREATE INDEX inference_not_well ON inference (outcome, started) WHERE outcome != 0")
    # Six bytes tell addresses apart well enough for an index; the row itself has all sixteen.
    connection.execute("CREATE INDEX inference_by_hash1 ON inference (substr(hash1, 1, 6)) WHERE hash1 IS NOT NULL")
    connection.execute("CREATE INDEX inference_by_hash2 ON inference (substr(hash2, 1, 6)) WHERE hash2 IS NOT NULL")


def m002_batches(connection: sqlite3.Connection) -> None:
    """One row a run of the model."""
    connection.execute(
        """
        CREATE TABLE batch (
            id INTEGER PRIMARY KEY,
            batch NOT NULL,
            started INTEGER NOT NULL,
            duration REAL NOT NULL,
            tokenize REAL,
            forward REAL,
            error_type TEXT,
            exception BLOB,
            model_name INTEGER NOT NULL,
            model_version INTEGER NOT NULL,
            instance INTEGER NOT NULL,
            members BLOB NOT NULL
        )
        """,
    )
    connection.execute("CREATE INDEX batch_by_batch ON batch (batch)")


def m003_captured_text(connection: sqlite3.Connection) -> None:
    """The addresses as received, where capture_text keeps them. Personal data: goes with its inference."""
    connection.execute("CREATE TABLE captured_text (inference INTEGER PRIMARY KEY, address1 NOT NULL, address2 NOT NULL)")


def m004_ledger(connection: sqlite3.Connection) -> None:
    """How many inferences of each process life had ended at each collection of its metrics, and their numbers in the rows.

    A life is an instance and the moment it started, `<instance>:<nanoseconds>`. From here on it stands in the column `instance`
    of an inference; older rows have the instance alone, and no number.
    """
    connection.execute("ALTER TABLE inference ADD COLUMN seq INTEGER")
    connection.execute(
        """
        CREATE TABLE ledger (
            life INTEGER NOT NULL,      -- row of the table name
            collected INTEGER NOT NULL, -- nanoseconds since 1970, as in the data points
            total INTEGER NOT NULL,     -- the number of the last inference it covers; the sum of the following
            success INTEGER NOT NULL,
            invalid INTEGER NOT NULL,
            overloaded INTEGER NOT NULL,
            timeout INTEGER NOT NULL,
            cancelled INTEGER NOT NULL,
            error INTEGER NOT NULL,
            last_row INTEGER NOT NULL,  -- highest id in inference when it was written: what it covers stands at or before it
            final INTEGER NOT NULL,     -- 1: the life has ended, this is all there was; 2: it has died
            PRIMARY KEY (life, collected)
        ) WITHOUT ROWID
        """,
    )
    connection.execute("CREATE INDEX ledger_by_time ON ledger (collected)")


def m005_ledger_sends(connection: sqlite3.Connection) -> None:
    """Which signals left the process by OTLP: bits in the order of the names table. NULL where that is not known, as in older entries."""
    connection.execute("ALTER TABLE ledger ADD COLUMN sends INTEGER")


MIGRATIONS: tuple[Migration, ...] = (m001_inferences, m002_batches, m003_captured_text, m004_ledger, m005_ledger_sends)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a store, or an empty database, to this version; all steps or none. Other processes wait.

    Raises:
        StartupError: the store has been through a step that this version does not know.
        sqlite3.Error: it cannot be written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY) WITHOUT ROWID")
        done = _unknown_free(connection, migrations, StartupError)
        for step in migrations:
            if step.__name__ not in done:
                step(connection)
                connection.execute("INSERT INTO migration VALUES (?)", (step.__name__,))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def is_ready(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether a reader of this version can read the store; False while nobody has made its tables.

    Raises:
        StoreError: the store is of a newer version, or of an older one that no writer has brought up to date yet.
    """
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone() is None:
        return False
    missing = {step.__name__ for step in migrations} - _unknown_free(connection, migrations, StoreError)
    if missing:
        raise StoreError("the store was written by an older version; start this version of the service once on its data folder")
    return True


def _unknown_free(
    connection: sqlite3.Connection,
    migrations: Sequence[Migration],
    error: type[StartupError | StoreError],
) -> set[str]:
    done = {str(name) for (name,) in connection.execute("SELECT name FROM migration")}
    unknown = done - {step.__name__ for step in migrations}
    if unknown:
        raise error(
            f"the store was written by a newer version (it knows {', '.join(sorted(unknown))}); use that version, or another MGEO_DATA_DIR",
        )
    return done
