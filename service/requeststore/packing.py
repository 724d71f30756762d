"""Small exact encodings for the columns of the store: what comes out is what went in, to the last bit of every float.

A column that expects hex or a UUID takes any other text as it is: SQLite columns hold either.
"""

from __future__ import annotations

import json
import re
import struct
import uuid
import zlib
from typing import TYPE_CHECKING

from service.telemetry.event import BatchMember, ExceptionFacts, Stage, StageTiming
from service.telemetry.ids import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Cell = bytes | str | int | float | None

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_STAGES = tuple(Stage)
_STAGE_CODES = {stage: code for code, stage in enumerate(_STAGES)}
# A clock's resolution depends on how long the machine has been up: 2^-32 s in the second week, more bits before.
_SCALES = tuple((exponent, float(1 << exponent)) for exponent in range(30, 54, 4))
_RAW = 255
_FLOATS = {length: (struct.Struct(f"<{length}f"), struct.Struct(f"<{length}d")) for length in (3, 4)}
_BY_SIZE = {packer.size: packer for packers in _FLOATS.values() for packer in packers}
_HAS_ITEM, _HAS_TRACE, _HAS_TEXT_ID = 1, 2, 4


def pack_hex(text: str | None, size: int) -> Cell:
    """`size` bytes for that many lower-case hex pairs, the text itself for anything else."""
    return bytes.fromhex(text) if text is not None and len(text) == 2 * size and _HEX.fullmatch(text) else text


def unpack_hex(cell: Cell) -> str | None:
    """What `pack_hex` was given."""
    return cell.hex() if isinstance(cell, bytes) else _text_or_none(cell)


def pack_id(text: str | None) -> Cell:
    """16 bytes for a UUID in its usual form, the text itself for any other id."""
    return bytes.fromhex(text.replace("-", "")) if text is not None and _UUID.fullmatch(text) else text


def unpack_id(cell: Cell) -> str | None:
    """What `pack_id` was given."""
    return str(uuid.UUID(bytes=cell)) if isinstance(cell, bytes) else _text_or_none(cell)


def split_id(inference_id: str) -> tuple[Cell, int | None]:
    """The call's packed id, and the index of the pair in a batch call."""
    call, _, index = inference_id.partition(":")
    if index.isascii() and index.isdigit() and str(int(index)) == index:
        return pack_id(call), int(index)
    return pack_id(inference_id), None


def join_id(call: Cell, item: int | None) -> str:
    """What `split_id` was given."""
    text = unpack_id(call) or ""
    return text if item is None else f"{text}:{item}"


def pack_text(text: str) -> Cell:
    """The text, or its bytes when lone surrogates keep it from being UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def unpack_text(cell: Cell) -> str:
    """What `pack_text` was given."""
    return cell.decode("utf-8", "surrogatepass") if isinstance(cell, bytes) else str(cell)


def pack_floats(values: tuple[float, ...]) -> bytes:
    """Three or four numbers, in single precision when that loses nothing, as with the output of a model."""
    single, double = _FLOATS[len(values)]
    try:
        packed = single.pack(*values)
    except OverflowError:
        return double.pack(*values)
    return packed if single.unpack(packed) == values else double.pack(*values)


def unpack_floats(packed: bytes) -> tuple[float, ...]:
    """What `pack_floats` was given."""
    return _BY_SIZE[len(packed)].unpack(packed)


def pack_stages(stages: tuple[StageTiming, ...]) -> bytes | None:
    """All stages; None for none.

    The timings of an event are differences of one clock's readings, and so multiples of one small power of two: as whole
    numbers of it they take 4 bytes each, where doubles need 8. Numbers that are not go as doubles.
    """
    if not stages:
        return None
    numbers = [number for timing in stages for number in (timing.offset, timing.duration)]
    codes = bytes([_STAGE_CODES[timing.stage] for timing in stages])
    for exponent, scale in _SCALES:
        scaled = [number * scale for number in numbers]
        if all(map(float.is_integer, scaled)) and min(scaled) >= 0:
            width = int(max(scaled)).bit_length() // 8 + 1
            if width < 8:
                return bytes((exponent, width)) + codes + b"".join([int(number).to_bytes(width, "little") for number in scaled])
    return bytes((_RAW, 8)) + codes + struct.pack(f"<{len(numbers)}d", *numbers)


def unpack_stages(packed: bytes | None) -> tuple[StageTiming, ...]:
    """What `pack_stages` was given."""
    if packed is None:
        return ()
    exponent, width = packed[0], packed[1]
    count = (len(packed) - 2) // (1 + 2 * width)
    codes, rest = packed[2 : 2 + count], packed[2 + count :]
    numbers: Sequence[float]
    if exponent == _RAW:
        numbers = struct.unpack(f"<{2 * count}d", rest)
    else:
        unit = 1 << exponent
        numbers = [int.from_bytes(rest[start : start + width], "little") / unit for start in range(0, len(rest), width)]
    return tuple(
        StageTiming(stage=_STAGES[code], offset=numbers[2 * index], duration=numbers[2 * index + 1]) for index, code in enumerate(codes)
    )


def pack_exception(facts: ExceptionFacts | None) -> bytes | None:
    """Type and frames, compressed: the paths of the frames share most of their text."""
    return None if facts is None else zlib.compress(json.dumps([facts.type, *facts.frames]).encode())


def unpack_exception(packed: bytes | None) -> ExceptionFacts | None:
    """What `pack_exception` was given."""
    if packed is None:
        return None
    kind, *frames = json.loads(zlib.decompress(packed))
    return ExceptionFacts(type=kind, frames=tuple(frames))


def pack_members(members: tuple[BatchMember, ...]) -> bytes:
    """The members of a batch: 25 bytes each when ids are UUIDs and trace ids follow from them."""
    return b"".join(map(_pack_member, members))


def unpack_members(packed: bytes) -> tuple[BatchMember, ...]:
    """What `pack_members` was given."""
    members = []
    start = 0
    while start < len(packed):
        member, start = _unpack_member(packed, start)
        members.append(member)
    return tuple(members)


def _pack_member(member: BatchMember) -> bytes:
    call, item = split_id(member.request_id)
    flags = 0
    parts = [bytes.fromhex(member.span_id)]
    if member.trace_id != trace_id_of(member.request_id):
        flags |= _HAS_TRACE
        parts.append(bytes.fromhex(member.trace_id))
    if item is not None:
        flags |= _HAS_ITEM
        parts.append(item.to_bytes(4, "little"))
    if isinstance(call, bytes):
        parts.append(call)
    else:
        flags |= _HAS_TEXT_ID
        text = str(call).encode()
        parts.append(len(text).to_bytes(2, "little") + text)
    return bytes([flags]) + b"".join(parts)


def _unpack_member(packed: bytes, start: int) -> tuple[BatchMember, int]:
    flags = packed[start]
    span = packed[start + 1 : start + 9]
    start += 9
    trace = b""
    item: int | None = None
    if flags & _HAS_TRACE:
        trace, start = packed[start : start + 16], start + 16
    if flags & _HAS_ITEM:
        item, start = int.from_bytes(packed[start : start + 4], "little"), start + 4
    call: Cell
    if flags & _HAS_TEXT_ID:
        end = start + 2 + int.from_bytes(packed[start : start + 2], "little")
        call, start = packed[start + 2 : end].decode(), end
    else:
        call, start = packed[start : start + 16], start + 16
    request_id = join_id(call, item)
    return BatchMember(request_id=request_id, trace_id=trace.hex() or trace_id_of(request_id), span_id=span.hex()), start


def _text_or_none(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
