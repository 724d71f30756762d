"""The file of pairs that comes in: CSV of any size and encoding, row by row, whatever is wrong with single rows."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, BinaryIO, Self

from cli.match.row import ADDED_COLUMNS, ADDRESS_COLUMNS, PairRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Buffer

SAMPLE_BYTES = 65_536
UTF8_BOM = b"\xef\xbb\xbf"
WRONG_ENCODING_SHARE = 0.1
"""Part of the sample's bytes over ASCII that do not fit the encoding, above which it is the wrong one, and not some bad rows."""


class UnusableInput(ValueError):
    """The file as a whole cannot be read as pairs; the message says why and what to do."""


class CountingReader(io.RawIOBase):
    """Passes bytes through and counts them."""

    def __init__(self, raw: BinaryIO) -> None:
        self.count = 0
        self._raw = raw

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read into the buffer and count what came."""
        view = memoryview(buffer)
        data = self._raw.read(len(view))
        view[: len(data)] = data
        self.count += len(data)
        return len(data)


class PairFile:
    """A CSV file with the columns address1 and address2, open for one pass. A context manager.

    Bytes that do not fit the encoding are kept as lone surrogates: such an address is refused as text, and the output holds
    the same bytes again.

    Attributes:
        header: the names of the columns.
        encoding: as given, or `utf-8-sig` for UTF-8 with a byte order mark.
        line_end: how the first line ended.
        size: bytes of the file.

    Raises:
        UnusableInput: it cannot be opened, is in another encoding, or lacks one of the columns.
    """

    def __init__(self, path: Path, *, encoding: str = "utf-8") -> None:
        try:
            self._raw = path.open("rb", buffering=0)
            self.size = path.stat().st_size
            sample = self._raw.read(SAMPLE_BYTES)
            self._raw.seek(0)
        except OSError as error:
            raise UnusableInput(f"{path} cannot be read: {error.strerror}") from error
        self.encoding = "utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} and sample.startswith(UTF8_BOM) else encoding
        self.line_end = "\r\n" if b"\r\n" in sample else "\n"
        self._bytes = CountingReader(self._raw)
        try:
            self._check_encoding(path, sample)
            text = io.TextIOWrapper(io.BufferedReader(self._bytes, SAMPLE_BYTES), self.encoding, "surrogateescape", newline="")
            self._rows = csv.reader(text)
            self.header = tuple(next(self._rows, ()))
            self._columns = _address_columns(path, self.header)
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        """The file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self._raw.close()

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""
        return self._bytes.count

    def rows(self) -> Iterator[PairRow]:
        """The rows after the header, once. A row that is no CSV, or has another number of columns, has no addresses."""
        index = 0
        while True:
            try:
                fields = next(self._rows, None)
            except csv.Error:
                # A quote that never closes would swallow the file; the reader gives up at its limit and goes on with the next line.
                fields = [""] * len(self.header)
                yield PairRow(index=index, line=self._rows.line_num, fields=tuple(fields), addresses=None)
                index += 1
                continue
            if fields is None:
                return
            if fields:
                yield self._row(index, fields)
                index += 1

    def _row(self, index: int, fields: Sequence[str]) -> PairRow:
        width = len(self.header)
        fits = len(fields) == width
        first, second = self._columns
        return PairRow(
            index=index,
            line=self._rows.line_num,
            fields=(*fields[:width], *[""] * (width - len(fields))),
            surplus=tuple(fields[width:]),
            addresses=(fields[first], fields[second]) if fits else None,
        )

    def _check_encoding(self, path: Path, sample: bytes) -> None:
        try:
            text = sample.decode(self.encoding, "surrogateescape")
        except LookupError as error:
            raise UnusableInput(f"there is no encoding {self.encoding!r}; common are utf-8, gb18030 (reads GBK too), big5") from error
        wrong = sum("\udc80" <= character <= "\udcff" for character in text)
        if wrong > WRONG_ENCODING_SHARE * sum(byte >= 0x80 for byte in sample):
            raise UnusableInput(f"{path} is not in {self.encoding}; name its encoding, such as --encoding gb18030 for GBK")


def _address_columns(path: Path, header: tuple[str, ...]) -> tuple[int, int]:
    names = [name.strip() for name in header]
    missing = [column for column in ADDRESS_COLUMNS if names.count(column) != 1]
    if missing:
        found = ", ".join(names) or "nothing"
        raise UnusableInput(f"{path}: the first line must have the columns address1 and address2 once each; it has {found}")
    taken = [column for column in ADDED_COLUMNS if column in names]
    if taken:
        raise UnusableInput(f"{path}: the column {taken[0]} would be added by the answers, but is there already; rename or remove it")
    return names.index(ADDRESS_COLUMNS[0]), names.index(ADDRESS_COLUMNS[1])
