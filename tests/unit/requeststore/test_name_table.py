"""Names as numbers."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from service.requeststore import name_table
from service.requeststore.migrations import migrate
from service.requeststore.name_table import NameTable


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        yield connection


@pytest.mark.parametrize("name", ["match", "", "匹配", "\ud800", "a\x00b"])
def test_a_name_comes_back_by_its_number(connection, name: str) -> None:
    """Also to another reader of the same database."""
    number = NameTable(connection).number(name)
    assert NameTable(connection).name(number) == name


def test_a_name_has_one_number_whoever_asks(connection) -> None:
    """It stands in the table once."""
    numbers = {NameTable(connection).number("match") for _ in range(3)}
    assert len(numbers) == 1
    assert connection.execute("SELECT count(*) FROM name").fetchone() == (1,)


def test_more_names_than_are_remembered_keep_their_numbers(connection, monkeypatch) -> None:
    """A script that makes up names does not fill the memory."""
    monkeypatch.setattr(name_table, "_REMEMBERED", 3)
    table = NameTable(connection)
    numbers = [table.number(f"name-{index}") for index in range(10)]
    assert [table.number(f"name-{index}") for index in range(10)] == numbers
    assert [table.name(number) for number in numbers] == [f"name-{index}" for index in range(10)]


def test_an_unknown_number_is_an_error(connection) -> None:
    """The row that holds it was written by something else."""
    with pytest.raises(LookupError):
        NameTable(connection).name(7)
