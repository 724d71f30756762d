"""A piece of one signal's queue: payloads in order, in a file that outlives the process or, when no file can be, in memory."""

from __future__ import annotations

import errno
import os
import struct
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from service.telemetry.sdk.spool.frame import HEAD_BYTES, Head, frame, read_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC = b"MGEOSP1\n"
_ACKNOWLEDGED = struct.Struct("<Q")
_PREFACE = len(_MAGIC) + _ACKNOWLEDGED.size
OVERHEAD = _PREFACE + HEAD_BYTES
"""Bytes that a file of one payload has beside the payload."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One payload, how many items are in it, and when it was spooled."""

    payload: bytes
    items: int
    unix_ns: int


class Piece(Protocol):
    """Payloads in order, the acknowledged ones gone. For one thread at a time."""

    @property
    def size(self) -> int:
        """Bytes it takes, in its file or in memory."""
        ...

    @property
    def items(self) -> int:
        """Items not yet acknowledged."""
        ...

    @property
    def oldest_unix_ns(self) -> int:
        """When the first of them was spooled."""
        ...

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        ...

    def append(self, entry: Entry) -> None:
        """Add one payload. Raises OSError when that is not possible; then nothing was added."""
        ...

    def first(self) -> Entry | None:
        """The first payload that can be read; None when there is none. Raises OSError when it cannot be read now."""
        ...

    def advance(self) -> int:
        """Be done with the first payload, for good: its items."""
        ...

    def take_damaged(self) -> int:
        """Items found unreadable since this was last asked."""
        ...

    def remove(self) -> None:
        """Give the room back; never raises."""
        ...


class Segment:
    """A file. It is opened for each of its few operations a second, so that no descriptor outlives a fork or a removal.

    The file begins with the offset up to which all is acknowledged; after the death of the process that is where its successor
    goes on. Neither write is atomic, but a torn payload fails its checksum, and eight bytes are never torn.
    """

    def __init__(self, path: Path, *, start: int = _PREFACE, end: int = _PREFACE, items: int = 0, oldest_unix_ns: int = 0) -> None:
        self.path = path
        self._start, self._end = start, end
        self._items = items
        self._oldest = oldest_unix_ns
        self._head: Head | None = None
        self._damaged = 0

    @classmethod
    def create(cls, path: Path) -> Self:
        """Begin a file.

        Raises:
            OSError: it cannot be written.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, _MAGIC + _ACKNOWLEDGED.pack(_PREFACE), 0)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(descriptor)
        return cls(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Take over what a dead process has left. What it did not finish writing counts as damaged.

        Raises:
            OSError: it cannot be read.
        """
        segment = cls(path)
        with _opened(path, os.O_RDWR) as descriptor:
            size = os.fstat(descriptor).st_size
            preface = os.pread(descriptor, _PREFACE, 0)
            if len(preface) < _PREFACE or not preface.startswith(_MAGIC):
                return segment
            (acknowledged,) = _ACKNOWLEDGED.unpack_from(preface, len(_MAGIC))
            segment._start = segment._end = max(acknowledged, _PREFACE)
            while (head := read_head(os.pread(descriptor, HEAD_BYTES, segment._end))) is not None:
                if segment._end + head.size > size:
                    segment._damaged += head.items
                    break
                if not segment._items:
                    segment._oldest = head.unix_ns
                segment._items += head.items
                segment._end += head.size
            os.ftruncate(descriptor, segment._end)
        return segment

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._end

    @property
    def items(self) -> int:
        """Items not yet acknowledged."""
        return self._items

    @property
    def oldest_unix_ns(self) -> int:
        """When the first of them was spooled."""
        return self._oldest

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return self._start >= self._end

    def append(self, entry: Entry) -> None:
        """Write one payload at the end. Raises OSError when that is not possible; then nothing was added."""
        data = frame(entry.payload, items=entry.items, unix_ns=entry.unix_ns)
        with _opened(self.path, os.O_WRONLY) as descriptor:
            try:
                _write(descriptor, data, self._end)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, self._end)
                raise
        if self.empty:
            self._oldest = entry.unix_ns
        self._end += len(data)
        self._items += entry.items

    def first(self) -> Entry | None:
        """The first payload whose checksum is right; what is damaged before it is passed over.

        Raises:
            OSError: it cannot be read now.
        """
        try:
            with _opened(self.path, os.O_RDONLY) as descriptor:
                while not self.empty:
                    head = read_head(os.pread(descriptor, HEAD_BYTES, self._start))
                    if head is None or self._start + head.size > self._end:
                        break
                    payload = os.pread(descriptor, head.length, self._start + HEAD_BYTES)
                    if head.fits(payload):
                        self._head = head
                        return Entry(payload, head.items, head.unix_ns)
                    self._damaged += head.items
                    self._pass(head)
        except FileNotFoundError:
            pass  # somebody has removed it
        self._damaged += self._items
        self._items, self._start = 0, self._end
        return None

    def advance(self) -> int:
        """Be done with the first payload: its items. That stands in the file too, if the file can be written."""
        head, following = self._head, None
        with suppress(OSError), _opened(self.path, os.O_RDWR) as descriptor:
            head = head or read_head(os.pread(descriptor, HEAD_BYTES, self._start))
            if head is not None:
                following = read_head(os.pread(descriptor, HEAD_BYTES, self._start + head.size))
                _write(descriptor, _ACKNOWLEDGED.pack(self._start + head.size), len(_MAGIC))
        if head is None:  # nobody can tell any more where the next one begins
            items, self._items, self._start = self._items, 0, self._end
            return items
        self._pass(head)
        if following is not None:
            self._oldest = following.unix_ns
        return head.items

    def take_damaged(self) -> int:
        """Items found unreadable since this was last asked."""
        damaged, self._damaged = self._damaged, 0
        return damaged

    def remove(self) -> None:
        """Delete the file, if that can be done."""
        with suppress(OSError):
            self.path.unlink()

    def _pass(self, head: Head) -> None:
        self._head = None
        self._start += head.size
        self._items -= head.items


class MemorySegment:
    """The same in memory, while no file can be written. It keeps the place of the file it would have been."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._items = 0

    @property
    def size(self) -> int:
        """Bytes of the payloads."""
        return self._size

    @property
    def items(self) -> int:
        """Items not yet acknowledged."""
        return self._items

    @property
    def count(self) -> int:
        """Payloads in it."""
        return len(self._entries)

    @property
    def oldest_unix_ns(self) -> int:
        """When the first of them was spooled."""
        return self._entries[0].unix_ns if self._entries else 0

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self._entries

    def append(self, entry: Entry) -> None:
        """Keep one payload."""
        self._entries.append(entry)
        self._size += len(entry.payload)
        self._items += entry.items

    def first(self) -> Entry | None:
        """The first payload."""
        return self._entries[0] if self._entries else None

    def advance(self) -> int:
        """Forget the first payload: its items."""
        entry = self._entries.popleft()
        self._size -= len(entry.payload)
        self._items -= entry.items
        return entry.items

    def take_damaged(self) -> int:
        """Nothing in memory is unreadable."""
        return 0

    def remove(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._size = self._items = 0

    def to_file(self) -> Segment:
        """Write everything to its place.

        Raises:
            OSError: not all of it can be written; no file is left.
        """
        assert self.path is not None
        segment = Segment.create(self.path)
        try:
            for entry in self._entries:
                segment.append(entry)
        except OSError:
            segment.remove()
            raise
        return segment


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it; a disk that fills on the way takes a part and says nothing."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest, offset = rest[written:], offset + written
