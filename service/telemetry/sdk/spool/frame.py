"""Pure: one payload as it stands in a file of the spool, so that a torn or damaged one is known for what it is."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

_FIELDS = struct.Struct("<IIQI")
_CHECKSUM = struct.Struct("<I")
HEAD_BYTES = _FIELDS.size + _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a payload.

    Args:
        length: bytes of the payload.
        items: spans, log records or collections in it.
        unix_ns: when it was spooled.
        checksum: CRC-32 of the payload.
    """

    length: int
    items: int
    unix_ns: int
    checksum: int

    @property
    def size(self) -> int:
        """Bytes of head and payload."""
        return HEAD_BYTES + self.length

    def fits(self, payload: bytes) -> bool:
        """Whether this is the payload that was written."""
        return len(payload) == self.length and crc32(payload) == self.checksum


def frame(payload: bytes, *, items: int, unix_ns: int) -> bytes:
    """The head and the payload."""
    fields = _FIELDS.pack(len(payload), items, unix_ns, crc32(payload))
    return fields + _CHECKSUM.pack(crc32(fields)) + payload


def read_head(data: bytes) -> Head | None:
    """The head that these bytes begin with; None when they are too few or not what was written."""
    if len(data) < HEAD_BYTES:
        return None
    fields = data[: _FIELDS.size]
    if _CHECKSUM.unpack_from(data, _FIELDS.size) != (crc32(fields),):
        return None
    return Head(*_FIELDS.unpack(fields))
