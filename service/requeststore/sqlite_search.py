"""The search over the embedded store, page by page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import TYPE_CHECKING

from service.errors import InvalidQuery, Outcome
from service.requeststore.base import MAX_PAGE, RequestPage, only_here
from service.requeststore.name_table import NameTable
from service.requeststore.rows import INFERENCE_COLUMNS, from_row, hash_cell, label_cell, outcome_code, summary

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from service.requeststore.base import Search
    from service.requeststore.packing import Cell

_PLACE = struct.Struct(">qq")
_CHECK_BYTES = 4
_FOREIGN = "This cursor was not given out by this service; begin again without one."
_MAX = (1 << 63) - 1


def check(search: Search) -> None:
    """Refuse what cannot be searched for.

    Raises:
        InvalidQuery: names the parameter.
    """
    only_here(search)
    if not 1 <= search.limit <= MAX_PAGE:
        raise InvalidQuery("limit", f"limit is a whole number from 1 to {MAX_PAGE}.")
    if search.cursor is not None:
        _place(search.cursor)


def find(connection: sqlite3.Connection, search: Search) -> RequestPage:
    """One page, newest first; what comes in meanwhile does not move the pages that follow."""
    sql, values = query(search)
    rows = connection.execute(sql, values).fetchall()
    name = NameTable(connection).name
    shown = rows[: search.limit]
    more = len(rows) > search.limit
    return RequestPage(
        requests=tuple(summary(from_row(row[1:], name=name)[0]) for row in shown),
        next_cursor=_cursor(started=shown[-1][3], row=shown[-1][0]) if more else None,
    )


def query(search: Search) -> tuple[str, tuple[Cell, ...]]:
    """The statement of a search, which asks for one row more than a page has, and its values."""
    terms = list(_terms(search))
    conditions = " AND ".join(condition for condition, _ in terms) or "1"
    values = tuple(value for _, given in terms for value in given)
    columns = ", ".join(f"i.{column}" for column in INFERENCE_COLUMNS)
    return (
        f"SELECT i.id, {columns} FROM inference AS i WHERE {conditions} ORDER BY i.started DESC, i.id DESC LIMIT ?",  # noqa: S608 -- constants
        (*values, search.limit + 1),
    )


def _terms(search: Search) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    if search.since_unix_ns is not None:
        yield "i.started >= ?", (_bounded(search.since_unix_ns),)
    if search.until_unix_ns is not None:
        yield "i.started < ?", (_bounded(search.until_unix_ns),)
    if search.status is not None:
        # The first half is what lets SQLite use the index of the inferences without success.
        yield ("i.outcome = ?" if search.status is Outcome.SUCCESS else "i.outcome != 0 AND i.outcome = ?"), (outcome_code(search.status),)
    if search.label is not None:
        yield "i.label = ?", (label_cell(search.label),)
    if search.min_latency is not None:
        yield "i.duration >= ?", (search.min_latency,)
    if search.cursor is not None:
        started, row = _place(search.cursor)
        yield "i.started <= ? AND (i.started < ? OR i.id < ?)", (started, started, row)
    if search.address_hashes:
        yield _addresses([hash_cell(digest) for digest in dict.fromkeys(search.address_hashes)])


def _addresses(hashes: list[Cell]) -> tuple[str, tuple[Cell, ...]]:
    first = "SELECT id FROM inference WHERE substr(hash1, 1, 6) = substr(?, 1, 6) AND hash1 = ?"
    second = "SELECT id FROM inference WHERE substr(hash2, 1, 6) = substr(?, 1, 6) AND hash2 = ?"
    if len(hashes) == 1:
        return f"i.id IN ({first} UNION ALL {second})", (hashes[0],) * 4
    if len(hashes) == 2:
        one, other = hashes
        return (
            f"i.id IN ({first} AND hash2 = ? UNION ALL {first} AND hash2 = ?)",
            (one, one, other, other, other, one),
        )
    # An inference has two addresses.
    return "0", ()


def _cursor(*, started: int, row: int) -> str:
    place = _PLACE.pack(started, row)
    return base64.urlsafe_b64encode(_digest(place) + place).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, int]:
    try:
        packed = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, place = packed[:_CHECK_BYTES], packed[_CHECK_BYTES:]
        started, row = _PLACE.unpack(place)
    except (binascii.Error, ValueError, struct.error) as error:
        raise InvalidQuery("cursor", _FOREIGN) from error
    if digest != _digest(place):
        raise InvalidQuery("cursor", _FOREIGN)
    return started, row


def _digest(place: bytes) -> bytes:
    # Against mistakes, not against malice: a cursor gives no more than a search does.
    return hashlib.blake2b(place, digest_size=_CHECK_BYTES, person=b"mgeo.cursor").digest()


def _bounded(unix_ns: int) -> int:
    return max(min(unix_ns, _MAX), -_MAX)
