"""Pure: the bytes of a table of open inferences. Little-endian; a header of 512 bytes, then slots of 512 bytes.

The process may end between any two stores, and in the middle of one longer than 8 bytes. Therefore:

- The fixed part of the header stands before the file gets its name.
- A slot is filled first and marked as open after; its checksum tells whether it is whole.
- To close an inference takes three stores: count it, free its slot, and note when. An 8-byte word, the intent, is stored before
  and cleared after: it says which count and which slot, and what the sum of the counts is once this one is counted. Whoever
  reads the table after the process died completes what the intent says. So an inference is open or counted, never both, never
  neither.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.telemetry.event import EventDraft

HEADER_BYTES = SLOT_BYTES = 512
MAX_SLOTS = 65_536
FREE, OPEN = 0, 1

# Words are counted from the start of the file, 8 bytes each.
SEEN_WORD = 32
INTENT_WORD = 33
FIRST_COUNT_WORD = 34

# The place of an outcome is the place of its count: add at the end only.
OUTCOMES = (Outcome.SUCCESS, Outcome.INVALID, Outcome.OVERLOADED, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.ERROR)

_MAGIC = b"mgeo open 1\n"
_HEADER = struct.Struct("<12sIQQH202s")
_CRC = struct.Struct("<I")
_SLOT = struct.Struct("<Q16s8s8sHH")
_PAYLOAD = 8
_TEXT_BYTES = SLOT_BYTES - _PAYLOAD - _SLOT.size
_MAX_ID_BYTES = 256
_NO_SPAN = bytes(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInference:
    """What a slot says of an open inference."""

    request_id: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    function: str
    started_unix_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableContents:
    """A table as its process left it.

    Attributes:
        life: of the process.
        pid: its number.
        started_unix_ns: when it made the table.
        seen_unix_ns: the last moment it is known to have lived.
        counts: what had ended, by outcome; every outcome.
        inferences: what is open.
    """

    life: str
    pid: int
    started_unix_ns: int
    seen_unix_ns: int
    counts: Mapping[Outcome, int]
    inferences: tuple[OpenInference, ...]


def header(*, life: str, pid: int, started_unix_ns: int, slots: int) -> bytes:
    """The header of a new table."""
    text = life.encode()
    fixed = _HEADER.pack(_MAGIC, slots, pid, started_unix_ns, len(text), text)
    words = struct.pack("<Q", started_unix_ns)
    return ((fixed + _CRC.pack(zlib.crc32(fixed))).ljust(SEEN_WORD * 8, b"\0") + words).ljust(HEADER_BYTES, b"\0")


def slot_offset(slot: int) -> int:
    """Where a slot begins; its first byte is `FREE` or `OPEN`, and what `pack_slot` makes follows 4 bytes later."""
    return HEADER_BYTES + slot * SLOT_BYTES


def pack_slot(inference: OpenInference | EventDraft) -> bytes | None:
    """The bytes of a slot from its fifth on; None when the id is too long for one. A long function name is cut."""
    request_id = inference.request_id.encode("utf-8", "surrogatepass")
    if len(request_id) > _MAX_ID_BYTES:
        return None
    function = inference.function.encode("utf-8", "backslashreplace")[: _TEXT_BYTES - len(request_id)]
    parent = inference.parent_span_id
    payload = (
        _SLOT.pack(
            inference.started_unix_ns,
            bytes.fromhex(inference.trace_id),
            bytes.fromhex(inference.span_id),
            _NO_SPAN if parent is None else bytes.fromhex(parent),
            len(request_id),
            len(function),
        )
        + request_id
        + function
    )
    return _CRC.pack(zlib.crc32(payload)) + payload


def intent(*, total: int, slot: int | None, code: int) -> int:
    """The word that says what is about to be counted: never 0."""
    return total << 24 | (0 if slot is None else slot + 1) << 4 | code


def read_table(content: bytes) -> TableContents | None:
    """What a table says after its process has died; None when it is none, or of another version."""
    if len(content) < HEADER_BYTES:
        return None
    magic, slots, pid, started, length, text = _HEADER.unpack_from(content)
    (checksum,) = _CRC.unpack_from(content, _HEADER.size)
    if magic != _MAGIC or checksum != zlib.crc32(content[: _HEADER.size]):
        return None
    seen, unfinished, *counts = struct.unpack_from(f"<{2 + len(OUTCOMES)}Q", content, SEEN_WORD * 8)
    counted = None
    if unfinished:
        total, counted, code = unfinished >> 24, (unfinished >> 4 & 0xFFFFF) - 1, unfinished & 0xF
        counts[code] += total - sum(counts)
    found = (_unpack_slot(content, slot_offset(slot)) for slot in range(min(slots, MAX_SLOTS)) if slot != counted)
    return TableContents(
        life=text[:length].decode(),
        pid=pid,
        started_unix_ns=started,
        seen_unix_ns=seen,
        counts=dict(zip(OUTCOMES, counts, strict=True)),
        inferences=tuple(inference for inference in found if inference is not None),
    )


def _unpack_slot(content: bytes, offset: int) -> OpenInference | None:
    slot = content[offset : offset + SLOT_BYTES]
    if len(slot) < SLOT_BYTES or slot[0] != OPEN:
        return None
    started, trace, span, parent, id_length, function_length = _SLOT.unpack_from(slot, _PAYLOAD)
    end = _PAYLOAD + _SLOT.size + id_length + function_length
    if end > SLOT_BYTES or _CRC.unpack_from(slot, _PAYLOAD - _CRC.size)[0] != zlib.crc32(slot[_PAYLOAD:end]):
        return None
    begin = _PAYLOAD + _SLOT.size
    return OpenInference(
        request_id=slot[begin : begin + id_length].decode("utf-8", "surrogatepass"),
        trace_id=trace.hex(),
        span_id=span.hex(),
        parent_span_id=None if parent == _NO_SPAN else parent.hex(),
        function=slot[begin + id_length : end].decode("utf-8", "ignore"),
        started_unix_ns=started,
    )
