"""The tables of the store, from every earlier version to this one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.errors import StartupError, StoreError
from service.requeststore.migrations import MIGRATIONS, is_ready, migrate
from service.requeststore.rows import BATCH_COLUMNS, INFERENCE_COLUMNS


@pytest.fixture
def connection(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        yield connection


def tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()


def applied(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM migration ORDER BY name")]


def test_a_blank_database_gets_all_tables(connection) -> None:
    """The columns are those of the rows, and each step is remembered."""
    migrate(connection)
    assert applied(connection) == ["m001_inferences", "m002_batches", "m003_captured_text", "m004_ledger", "m005_ledger_sends"]
    for table, columns in (("inference", INFERENCE_COLUMNS), ("batch", BATCH_COLUMNS)):
        assert [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] == ["id", *columns]


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
def test_a_store_of_any_earlier_version_becomes_the_same(connection, version: int) -> None:
    """Whichever version wrote it last."""
    migrate(connection, MIGRATIONS[:version])
    migrate(connection)
    upgraded = tables(connection)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh)
        assert upgraded == tables(fresh)


def test_the_names_of_the_steps_are_in_their_order() -> None:
    """The next one is m006."""
    assert [step.__name__[:5] for step in MIGRATIONS] == [f"m{number:03d}_" for number in range(1, len(MIGRATIONS) + 1)]


def test_a_step_that_fails_leaves_the_store_as_it_was(connection) -> None:
    """All steps or none."""
    migrate(connection, MIGRATIONS[:1])
    before = tables(connection)

    def m002_fails(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (id)")
        connection.execute("nonsense")

    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [*MIGRATIONS[:1], m002_fails])
    assert tables(connection) == before
    assert not connection.in_transaction


def test_a_store_of_a_newer_version_is_refused_with_the_fix(connection) -> None:
    """Neither writer nor reader touches what it does not understand."""
    migrate(connection)
    connection.execute("INSERT INTO migration VALUES ('m999_of_tomorrow')")
    for attempt, error in ((migrate, StartupError), (is_ready, StoreError)):
        with pytest.raises(error) as caught:
            attempt(connection)
        assert str(caught.value) == (
            "the store was written by a newer version (it knows m999_of_tomorrow); use that version, or another MGEO_DATA_DIR"
        )
    assert not connection.in_transaction


def test_a_reader_waits_for_the_first_writer(connection) -> None:
    """A file without tables is an empty store."""
    assert not is_ready(connection)
    migrate(connection)
    assert is_ready(connection)


def test_a_reader_of_an_older_store_asks_for_a_writer_first(connection) -> None:
    """Readers change nothing, tables included."""
    migrate(connection, MIGRATIONS[:2])
    with pytest.raises(StoreError, match="written by an older version; start this version of the service once"):
        is_ready(connection)
