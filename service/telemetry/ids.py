"""Request, trace and batch ids: made, checked, and derived from one another without a table.

A trace id is the first 16 bytes of BLAKE2b (digest size 16) of the request id, so that whoever holds a
request id can open its trace in one look-up. A plain UUID in the trace id would break ratio samplers, which compare
its low 64 bits and find the UUID variant there.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_ITEM_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}(?::[0-9]{1,9})?")


def new_request_id(unix_ns: Callable[[], int] = time.time_ns, random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """Make a UUIDv7 (RFC 9562): the milliseconds of the wall clock, then 74 random bits."""
    milliseconds = unix_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(random_bytes(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def is_request_id(text: str) -> bool:
    """Whether a caller may use `text` as a request id: 1-128 of the unreserved characters of RFC 3986."""
    return _REQUEST_ID.fullmatch(text) is not None


def is_inference_id(text: str) -> bool:
    """Whether `text` can name an inference: a request id, or one followed by `:` and the index in its batch call."""
    return _ITEM_ID.fullmatch(text) is not None


def item_id(request_id: str, index: int) -> str:
    """The id of one pair of a batch call."""
    return f"{request_id}:{index}"


def call_id(inference_id: str) -> str:
    """The id of the HTTP call an inference belongs to: the part before `:`."""
    return inference_id.partition(":")[0]


def trace_id_of(request_id: str) -> str:
    """The trace id (32 hex digits) of a request that came without a valid `traceparent`."""
    return hashlib.blake2b(call_id(request_id).encode(), digest_size=16).hexdigest()


def random_trace_id(random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """A trace id (32 hex digits) that belongs to no request. Never all zeros, which would mean none."""
    return f"{int.from_bytes(random_bytes(16), 'big') or 1:032x}"


def new_span_id(random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """A span id (16 hex digits). Never all zeros, which would mean none."""
    return f"{int.from_bytes(random_bytes(8), 'big') or 1:016x}"


def batch_span_id_of(batch_id: str) -> str:
    """The span id (16 hex digits) of a batch; its trace id is `trace_id_of(batch_id)`.

    Members link to their batch by this function alone, also one whose caller stopped waiting before the batch ended.
    """
    return hashlib.blake2b(batch_id.encode(), digest_size=8, person=b"mgeo.batch").hexdigest()
