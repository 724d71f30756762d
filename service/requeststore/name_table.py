"""The table of names that repeat: each stands there once, and in the rows as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.requeststore.packing import pack_text, unpack_text

if TYPE_CHECKING:
    import sqlite3

_REMEMBERED = 4096


class NameTable:
    """Numbers and names of one open database, remembered. For one thread, and for a writer inside its transaction.

    A writer whose transaction was rolled back needs a new one: what it remembers was not written.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def number(self, name: str) -> int:
        """The number of a name, which gets one if it has none."""
        found = self._numbers.get(name)
        if found is None:
            cell = pack_text(name)
            row = self._connection.execute("SELECT id FROM name WHERE text = ?", (cell,)).fetchone()
            if row is None:
                row = (self._connection.execute("INSERT INTO name (text) VALUES (?)", (cell,)).lastrowid,)
            found = int(row[0])
            if len(self._numbers) >= _REMEMBERED:
                self._numbers.clear()
            self._numbers[name] = found
        return found

    def name(self, number: int) -> str:
        """The name of a number.

        Raises:
            LookupError: there is no such number.
        """
        found = self._names.get(number)
        if found is None:
            row = self._connection.execute("SELECT text FROM name WHERE id = ?", (number,)).fetchone()
            if row is None:
                raise LookupError(number)
            found = unpack_text(row[0])
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            self._names[number] = found
        return found
